"""The data of a run: read, and asked for what they do not say themselves."""

import copy
import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import DataLoader

from gridstorm.config import (
    AUTO,
    RunConfig,
    digest_of_folder,
    fitting,
    is_module,
    named_files,
    named_folders,
    of_runs,
    of_target,
    task_of,
)
from gridstorm.error import Problem, UserError, refused, said
from gridstorm.module import PLACES, TRANSFER, Batch, hooks, picked
from gridstorm.target import build, is_a_librarys, where

SAYS = ("task", "inputs", "input_shape", "num_outputs")  # what our LightningModule has to know of its data
CHOICES = Path(__file__).parents[1] / "conf"  # by whose names choices that fit are told
COUNTS = ("num_classes", "num_outputs")  # how a data set may call the number of its classes


def prepared(config: RunConfig) -> Any:
    """Return the data module with its parts read, split and standardised, and with what it does not say of itself.

    Raises:
        UserError: It cannot be read, or one of its batches does not tell what the model has to know.
    """
    data = made(config)
    key = f"data={config.choices.get('data')}"
    try:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            data.prepare_data()
        data.setup("fit")
    except Exception as error:
        path = str(config.values["data"]["_target_"])
        if isinstance(error, ValueError | OSError) and is_a_librarys(path):  # ours say what to do
            raise refused(key, error) from error
        fact = f"{path} raised {' '.join(said(error).split()).rstrip('.')}{where(error)}."
        raise UserError([Problem(key, fact, "Correct the class, or what it is given.")]) from error
    if not is_module(config.values["model"]["_target_"]):
        describe(config, data)
    return data


def made(config: RunConfig) -> Any:
    """Return the data module, its data not read yet: the one that Python gave, or what its section describes."""
    given = config.objects.get("data")
    return build(of_target("data", config.values["data"])) if given is None else given


def unread(config: RunConfig) -> Any:
    """Return the data module without its data where it says all that a model has to know, as read where it does not."""
    data = made(config)
    is_told = config.values.get("task", AUTO) in (AUTO, getattr(data, "task", None))
    if is_module(config.values["model"]["_target_"]) or (is_told and all(hasattr(data, name) for name in SAYS)):
        return data
    return prepared(config)


def describe(config: RunConfig, data: Any) -> None:
    """Give a data module what it does not say of itself, as its first training batch shows it.

    Raises:
        UserError: A batch is not an input and a target, the number of classes is nowhere, or the choices do not fit.
    """
    asked, says = config.values.get("task", AUTO), getattr(data, "task", None)
    if asked in (AUTO, says) and all(hasattr(data, name) for name in SAYS):
        if task_of(config.values) is None:  # what was read told it, and not the class, which was checked before
            _refuse_what_does_not_fit(config, str(says), data.inputs)
        return
    pair = first_batch(config, data)
    if pair is None:
        fact = "Its training part yields no batch."
        raise UserError([Problem(f"data={config.choices.get('data')}", fact, "Give it samples, or a smaller batch.")])
    x, y = pair
    task = _task(x, y) if asked == AUTO and says is None else str(says if asked == AUTO else asked)
    found = {
        "task": task,
        "inputs": {1: "table", 3: "image"}.get(x.dim() - 1) if x.is_floating_point() else "tokens",
        "input_shape": tuple(x.shape[1:]),
    }
    for name, value in found.items():
        if not hasattr(data, name) or name == "task":
            setattr(data, name, value)
    if not hasattr(data, "num_outputs") or task != says:
        data.num_outputs = _num_outputs(config, data, task, x, y)
    if says is None:
        _refuse_what_does_not_fit(config, task, data.inputs)


def _refuse_what_does_not_fit(config: RunConfig, task: str, inputs: str) -> None:
    if problems := [*fitting(config.values, task, inputs, [CHOICES])]:
        raise UserError([_by_choices(config, problem) for problem in problems])


def _by_choices(config: RunConfig, problem: Problem) -> Problem:
    """Name choices as they were chosen, in place of their classes."""
    for group, choice in config.choices.items():
        section = config.values.get(group)
        if isinstance(section, dict) and "_target_" in section:
            before, after = f"{group}={section['_target_']}", f"{group}={choice}"
            problem = Problem(problem.key.replace(before, after), problem.fact.replace(before, after), problem.remedy)
    return problem


def first_batch(config: RunConfig, data: Any, part: str = "train") -> Batch | None:
    """Return the input and the target of a part's first batch, None where it has none; random numbers are as before.

    Raises:
        UserError: They are not two tensors of as many samples each.
    """
    key = f"data={config.choices.get('data', config.values['data']['_target_'])}"
    names = batch_names(config)
    with isolate_rng():
        batch = first_of(getattr(data, f"{part}_dataloader")())
        if batch is not None and hooks(data, TRANSFER):
            batch = data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)
    if batch is None:
        return None
    asked = config.values.get("task", AUTO)
    pair = picked(batch, names, getattr(data, "task", AUTO) if asked == AUTO else asked)
    if pair is None:
        raise UserError([_not_a_pair(key, batch, part, names)])
    return pair


def first_of(loader: Any) -> Any:
    """Return the first batch that a loader gives, None where it has none; read without its workers.

    A worker that is let go while it still hands over a batch may end with an error, which takes this process with it.
    """
    if isinstance(loader, DataLoader) and loader.num_workers and loader.worker_init_fn is None:
        loader = copy.copy(loader)
        loader.num_workers, loader.timeout, loader.prefetch_factor = 0, 0, None
    return next(iter(loader), None)


def batch_names(config: RunConfig) -> Mapping[str, Any] | None:
    """Return what a batch calls its input and its target, None where it is the pair of them."""
    return {place: name for place, name in _of_batches(config).items() if place in PLACES and name is not None} or None


def _of_batches(config: RunConfig) -> dict[str, Any]:
    return of_runs("data", config.values["data"]).get("batch") or {}


def _not_a_pair(key: str, batch: Any, part: str, names: Mapping[str, Any] | None) -> Problem:
    """Return the problem of a batch of which nobody says what is input and target."""
    fields = _fields(batch)
    if names and fields:
        fact = f"A batch of the {part} part has {', '.join(fields)}, and not two tensors of as many samples at {names}."
        return Problem("data.batch", fact, f"Name two of them, such as +data.batch={{x:{fields[0]},y:{fields[-1]}}}.")
    fact = f"A batch of the {part} part is not two tensors, x and y, of as many samples each."
    if fields:
        remedy = f"It has {', '.join(fields)}: name them, such as '+data.batch={{x:{fields[0]},y:{fields[-1]}}}'."
        return Problem(key, fact, remedy)
    return Problem(key, fact, "Let its loaders yield (x, y).")


def _fields(batch: Any) -> list[str]:
    """Return the names of what a batch holds, the numbers of a tuple's."""
    if isinstance(batch, Mapping):
        return [str(name) for name in batch]
    if dataclasses.is_dataclass(batch):
        return [field.name for field in dataclasses.fields(batch)]
    if hasattr(batch, "_fields"):  # a named tuple
        return [*batch._fields]
    return [str(number) for number in range(len(batch))] if isinstance(batch, list | tuple) and len(batch) > 2 else []


def _task(x: Tensor, y: Tensor) -> str:
    """Return what is learned, as an input and a target tell it; `docs/own_work.md` has the rules."""
    is_number = y.is_floating_point()
    if not is_number and not x.is_floating_point() and y.shape == x.shape and y.dim() == 2:
        return "language_modelling"
    if y.dim() == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all()):
        return "multilabel"
    if not is_number and y.dim() > 2:
        return "segmentation"
    if is_number:
        return "reconstruction" if y.dim() > 2 and y.shape == x.shape else "regression"
    return "classification"


def _num_outputs(config: RunConfig, data: Any, task: str, x: Tensor, y: Tensor) -> int:
    """Return how many numbers the model is to return for a sample."""
    if task in ("regression", "multilabel"):
        return y.shape[1] if y.dim() == 2 else 1
    if task == "reconstruction":
        return math.prod(y.shape[1:])
    counted = _of_batches(config).get("num_outputs") or _classes(data)
    if counted is None:
        fact = "Nothing says how many classes there are, and one batch may lack some."
        plus = "" if "batch" in config.values["data"] else "+"
        remedy = f"Write {plus}data.batch.num_outputs=10, or let the data module or its training set have num_classes."
        raise UserError([Problem(f"data={config.choices.get('data')}", fact, remedy)])
    return int(counted)


def _classes(data: Any) -> int | None:
    """Return how many classes a data module or its training set says there are, as torchvision's sets do."""
    loader = data.train_dataloader()
    for holder in (data, getattr(loader, "dataset", None)):
        for name in COUNTS:
            if isinstance(count := getattr(holder, name, None), int):
                return count
        if isinstance(classes := getattr(holder, "classes", None), list | tuple):
            return len(classes)
        labels = getattr(holder, "targets", None)
        if labels is None and isinstance(holder, torch.utils.data.TensorDataset):
            labels = holder.tensors[-1]
        if isinstance(labels, list | Tensor) and len(labels):
            return int(torch.as_tensor(labels).max()) + 1
    return None


def told_of_targets(data: Any) -> dict[str, Any]:
    """Return the number of training `samples` of a data set that is held in memory, and what is `trivial` to reach.

    That is what the best constant prediction reaches: the cross entropy of the frequencies of classes, of several
    labels the mean of theirs, and the variance of numbers; `loss` on the training targets, `val_loss` on those of
    validation. Empty where the data do not say enough.
    """
    parts, task = getattr(data, "parts", None), getattr(data, "task", None)
    targets = [parts[part][-1] for part in ("train", "val")] if isinstance(parts, dict) and len(parts) > 1 else []
    if not targets or not all(isinstance(y, Tensor) and y.numel() for y in targets):
        return {}
    train, val = targets
    found = {"loss": _constant_loss(task, train, train), "val_loss": _constant_loss(task, train, val)}
    known = {name: loss for name, loss in found.items() if loss is not None}
    return {"samples": len(train), "val_samples": len(val), "trivial": known}


def _constant_loss(task: str | None, train: Tensor, y: Tensor) -> float | None:
    """Return the loss on some targets of what is best to predict always on those of training."""
    if task in ("classification", "language_modelling") and not y.is_floating_point():
        size = int(max(train.max(), y.max())) + 1
        shares, of_y = (torch.bincount(part.flatten(), minlength=size).double() / part.numel() for part in (train, y))
        return float(-(of_y * shares.clamp(min=1 / train.numel()).log()).sum())
    mean = train.double().mean(0)
    if task == "multilabel":
        return float(torch.nn.functional.binary_cross_entropy(mean.expand(y.shape), y.double()))
    return float((y.double() - mean).square().mean()) if task == "regression" else None


def fingerprint(config: RunConfig, data: Any) -> str:
    """Return the data module's name for its data, or one for the files that its section names; empty without any.

    Of a folder the names, sizes and times of its files count, and the content of those that are small.
    """
    if hasattr(data, "fingerprint"):
        try:
            return str(data.fingerprint())
        except Exception as error:  # of the user's own code
            fact = f"{type(data).__name__}.fingerprint raised {said(error).rstrip('.')}{where(error)}."
            raise UserError([Problem(f"data={config.choices.get('data')}", fact, "Correct it.")]) from error
    section = config.values["data"]
    files = named_files(section) | {name: digest_of_folder(Path(name)) for name in named_folders(section)}
    return hashlib.sha256(str(files).encode()).hexdigest() if files else ""
