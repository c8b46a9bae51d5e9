"""What was fitted to a run's training data: kept with the run, so that its model predicts without them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError
from gridstorm.objects.data import SAYS, made
from gridstorm.record import COLUMNS, FITTED, RunRecord, unreadable
from gridstorm.target import is_a_librarys

SHAPES = (*SAYS, "class_names", "cardinalities", "num_tokens", "target_mean", "target_std", "bytes_per_token")


def keep(data: Any, record: RunRecord) -> None:
    """Write what a model has to know of its data, and what was fitted to the training part, to a run's directory."""
    if not all(hasattr(data, name) for name in SAYS):
        return
    content = {name: getattr(data, name) for name in SHAPES if hasattr(data, name)}
    if hasattr(data, "fitted"):
        content["fitted"] = data.fitted()
    if hasattr(data, "save"):
        data.save(record.directory / COLUMNS)
    record.write(FITTED, json.dumps(content, indent=1, default=list))


def restored(config: RunConfig, directory: Path) -> Any:
    """Return a data module as a run had it, without its training data; None where the run has not kept it.

    Of a class of a user's own that says nothing of what it has fitted, it is what the model has to know alone.

    Raises:
        UserError: A file is damaged.
    """
    file = directory / FITTED
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text())
        says = {name: tuple(value) if isinstance(value, list) and name not in ("target_mean", "target_std") else value
                for name, value in content.items() if name in SHAPES}  # fmt: skip
        is_own = not is_a_librarys(str(config.values["data"]["_target_"]))
        if "data" in config.objects or (is_own and "fitted" not in content):
            return SimpleNamespace(**says)
        data = made(config)
        if "fitted" in content:
            data.restore(content["fitted"], directory / COLUMNS)
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(file, str(error)) from error
    for name, value in says.items():
        if getattr(data, name, None) != value:
            setattr(data, name, value)
    return data


def encoding(config: RunConfig, data: Any) -> Any:
    """Return the data module where it can make inputs of what a user gives.

    Raises:
        UserError: It cannot.
    """
    if hasattr(data, "encode"):
        return data
    target = config.values["data"]["_target_"]
    fact = f"{target} does not say how new samples become inputs."
    remedy = "Give it encode(samples), which returns a tensor, or predict from tensors: Run(...).model()(x)."
    raise UserError([Problem(f"data={config.choices.get('data', target)}", fact, remedy)])
