"""Whether a network pays: models of scikit-learn on the same parts."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gridstorm.config import number
from gridstorm.error import Problem, UserError
from gridstorm.model import OneHot
from gridstorm.objects import prepared, quiet
from gridstorm.record import RunRecord
from gridstorm.report import table

METRICS = {"classification": ("test/loss", "test/accuracy"), "regression": ("test/rmse", "test/r2")}
Arrays = dict[str, tuple[NDArray[Any], NDArray[Any]]]


def baseline(record: RunRecord) -> str:
    """Return a table of a run's test metrics beside those of scikit-learn's models, trained on the same samples.

    A constant guess, a linear model (logistic or ridge regression) and histogram gradient boosting, each as
    scikit-learn sets it; no hyperparameter of them is searched, and the validation part is not used.

    Raises:
        UserError: The run is of another task, or its data are not held in memory or not there.
    """
    config = record.checked_config
    with quiet():
        data = prepared(config)
    task, parts = getattr(data, "task", None), getattr(data, "parts", None)
    if task not in METRICS or not parts or getattr(data, "inputs", None) == "tokens":
        fact = f"There are baselines of {' and '.join(METRICS)} of data in memory, and this is {task}."
        raise UserError([Problem(str(record.directory), fact, "Give another run.")])
    result = record.result
    own = {name: (result.metrics.get(name) if result else None) for name in METRICS[task]}
    seconds = result.seconds if result else math.nan
    rows = [("this run", *(number(value) if value is not None else "" for value in own.values()), f"{seconds:.1f} s")]
    for name, model, is_plain in _models(task, data):
        began = time.perf_counter()
        found = _scores(task, model, _arrays(parts, data, is_plain), data)
        rows.append(
            (name, *(number(found[metric]) for metric in METRICS[task]), f"{time.perf_counter() - began:.1f} s")
        )
    return table([("", *METRICS[task], "training"), *rows], right=[1, 2, 3])


def _models(task: str, data: Any) -> list[tuple[str, Any, bool]]:
    """Return the name of each model, the model, and whether it takes categories by their numbers."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.multioutput import MultiOutputRegressor

    sizes = getattr(data, "cardinalities", ())
    last = [False] * (int(np.prod(data.input_shape)) - len(sizes)) + [size < 255 for size in sizes]
    if task == "classification":
        boosted = HistGradientBoostingClassifier(random_state=0, categorical_features=last)
        linear = LogisticRegression(max_iter=2000)
        return [("a constant guess", DummyClassifier(), True), ("logistic regression", linear, False),
                ("gradient boosting", boosted, True)]  # fmt: skip
    boosted = HistGradientBoostingRegressor(random_state=0, categorical_features=last)
    boosted = MultiOutputRegressor(boosted) if data.num_outputs > 1 else boosted
    return [("a constant guess", DummyRegressor(), True), ("ridge regression", RidgeCV(np.logspace(-3, 3, 13)), False),
            ("gradient boosting", boosted, True)]  # fmt: skip


def _arrays(parts: Mapping[str, tuple[Tensor, Tensor]], data: Any, is_plain: bool) -> Arrays:
    """Return inputs [N, D] and targets of the parts, categories as zeros and ones for what takes no numbers of them."""
    sizes = getattr(data, "cardinalities", ())
    wide = OneHot(sizes) if sizes and not is_plain else torch.nn.Identity()
    made = {}
    for part, (x, y) in parts.items():
        inputs = wide(x.flatten(1)).numpy()
        made[part] = inputs, y.numpy().squeeze()
    return made


def _scores(task: str, model: Any, arrays: Arrays, data: Any) -> dict[str, float]:
    """Train a model and return its test metrics."""
    from sklearn.metrics import log_loss, r2_score

    (x, y), (new, true) = arrays["train"], arrays["test"]
    model.fit(x, y)
    if task == "classification":
        shares = model.predict_proba(new)
        known = [*model.classes_]
        loss = log_loss([known.index(one) if one in known else -1 for one in true], shares, labels=[*range(len(known))])
        return {"test/loss": float(loss), "test/accuracy": float(model.score(new, true))}
    unit = np.asarray(data.target_std)
    guess = model.predict(new)
    squares = ((guess - true) * unit) ** 2
    return {"test/rmse": float(np.sqrt(squares.mean())), "test/r2": float(r2_score(true, guess))}
