"""The objects that a configuration names: data, network, LightningModule, Trainer."""

import copy
import inspect
import warnings
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn

from gridstorm.config import OF_CLASSES, OF_MODULES, RunConfig, is_module, of_runs, of_target, weights_file
from gridstorm.error import Problem, UserError, refused, said
from gridstorm.model import OneHot, one_hot_shape
from gridstorm.module import Module, NoProfiler, direction, picked, refuse_a_wrong_direction
from gridstorm.objects.checkpoint import tensors
from gridstorm.objects.data import batch_names, fingerprint, prepared
from gridstorm.objects.warning import quiet
from gridstorm.objects.weights import begun, with_shapes
from gridstorm.record import PROFILE, RunRecord, code
from gridstorm.target import build, is_a_librarys


def network_for(config: RunConfig, data: Any) -> nn.Module:
    """Return the model, built for the data's shape."""
    if (
        "model" in config.objects
    ):  # a copy, since a run begins with the weights that the object has, and so does the next
        network = _copied(config.objects["model"])
        return begun(config, network if isinstance(network, pl.LightningModule) else with_shapes(network, data))
    partial = build(config.values["model"])
    arguments = {name: _shape(data, name) for name in ("input_shape", "num_outputs") if takes(partial.func, name)}
    sizes = getattr(data, "cardinalities", ())  # of a table's categories
    embeds = takes(partial.func, "cardinalities", exactly=True) and "cardinalities" not in partial.keywords
    if embeds:
        arguments["cardinalities"] = sizes
    if takes(partial.func, "num_tokens", exactly=True) and "num_tokens" not in partial.keywords:
        arguments["num_tokens"] = _shape(data, "num_tokens")
    if sizes and not embeds and "input_shape" in arguments:
        arguments["input_shape"] = one_hot_shape(data.input_shape, sizes)
    if is_module(config.values["model"]["_target_"]):
        arguments |= {name: build(of_target(name, config.values[name])) for name in OF_MODULES if name in config.values}
    try:
        network = partial(**arguments)
    except ValueError as error:
        raise refused(f"model={config.choices.get('model')}", error) from error
    if sizes and not embeds and not isinstance(network, pl.LightningModule):
        network = nn.Sequential(OrderedDict(one_hot=OneHot(sizes), network=network))
    return begun(config, network if isinstance(network, pl.LightningModule) else with_shapes(network, data))


def _copied(model: nn.Module) -> nn.Module:
    """Return a copy of a model that was given as an object.

    Raises:
        UserError: Something in it cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # of whatever kind its parts raise
        fact = f"It cannot be copied ({said(error).rstrip('.')}), and a run trains a copy."
        raise UserError(
            [Problem("model", fact, "Give its class by its path: compose('model=package.Class').")]
        ) from error


def trained(config: RunConfig, directory: Path, data: Any = None) -> nn.Module:
    """Return the model of a run with its best weights, in eval mode, built as the run built it.

    Args:
        config: The run's configuration.
        directory: Its directory.
        data: Its data module as `restored` returns it; None reads the data themselves.

    Raises:
        UserError: There are no weights, or the model or its data cannot be built.
    """
    file = weights_file(str(directory))
    if file is None:
        raise UserError([Problem(str(directory), "It has no weights yet.", "Wait for its first checkpoint.")])
    config = replace(config, values={**config.values, "init_from": None, "freeze": []})  # which are in the weights
    with quiet(), isolate_rng():
        network = network_for(config, data or prepared(config))
        begin = "" if isinstance(network, pl.LightningModule) else "network."
        weights = tensors(file)
        own = {name.removeprefix(begin): weights[name] for name in weights if name.startswith(begin)}
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            fact = f"Its weights do not fit ({' '.join(str(error).split())})."
            raise UserError([Problem(str(directory), fact, "Give the model that it was trained with.")]) from error
    return network.eval()


def sketched(config: RunConfig, data: Any) -> nn.Module:
    """Return the model without memory for its weights; a class of a user's own may not bear that, if it reads some."""
    path = config.values["model"]["_target_"]
    if not is_module(path):
        bears_all: list[type[Exception]] = [] if is_a_librarys(path) else [Exception]
        with suppress(*bears_all), torch.device("meta"):
            return network_for(config, data)
    return network_for(config, data)


def _shape(data: Any, name: str) -> Any:
    try:
        return getattr(data, name)
    except AttributeError as error:
        fact, remedy = f"{type(data).__name__} does not say its {name}, which the model takes.", f"Give it {name}."
        raise UserError([Problem("data", fact, remedy)]) from error


def takes(function: Any, name: str, exactly: bool = False) -> bool:
    """Tell whether a class or a function takes an argument, `exactly`: by its name, and not as one of any."""
    arguments = inspect.signature(function).parameters
    anything = not exactly and any(argument.kind == argument.VAR_KEYWORD for argument in arguments.values())
    return name in arguments or anything


def module_for(config: RunConfig, network: nn.Module, data: Any) -> pl.LightningModule:
    """Return the LightningModule: ours around the network, or the model itself where it is one."""
    if isinstance(network, pl.LightningModule):
        return network
    values, unit = config.values, 0.0 if data.task == "language_modelling" else 1.0
    return Module(
        network,
        loss_for(config, data),
        *(build(of_target(name, values[name])) for name in ("optimizer", "scheduler")),
        task=data.task,
        seed=values["seed"],
        unit=getattr(data, "bytes_per_token" if data.task == "language_modelling" else "target_std", unit),
        shift=getattr(data, "target_mean", 0.0),
        names=batch_names(config),
        groups=of_runs("optimizer", values["optimizer"]).get("groups"),
        horizon=(values.get("parent") or {}).get("horizon") if values.get("horizon") != "stretch" else None,
        stretch=values.get("horizon") == "stretch",
        metrics=metrics_for(config, data),
        **values["regularization"],
    )


def metrics_for(config: RunConfig, data: Any) -> dict[str, Any]:
    """Return the metrics of the user's choice, by name, made for the data's classes.

    Raises:
        UserError: One gives several numbers, or is monitored in another direction than the one in which it is better.
    """
    metrics = {}
    for name, node in (config.values.get("metric") or {}).items():
        target = resolve_name(node["_target_"])
        _refuse_another_task(name, target.__name__, data.task)
        count, kind = data.num_outputs, "multilabel" if data.task == "multilabel" else "multiclass"
        known = {"num_classes": count, "num_labels": count, "num_outputs": count, "task": kind}
        metrics[name] = build(node, **{key: value for key, value in known.items() if takes(target, key, exactly=True)})
    monitor = config.values["monitor"].removeprefix("val/")
    if monitor in metrics:
        refuse_a_wrong_direction(config, direction(monitor, metrics[monitor]))
    return metrics


def _refuse_another_task(name: str, metric: str, task: str) -> None:
    """Refuse a metric of torchmetrics that counts otherwise: given predictions of another task it may count nonsense.

    Raises:
        UserError: So it is.
    """
    if (metric.startswith("Multiclass") and task == "multilabel") or (
        metric.startswith("Multilabel") and task != "multilabel"
    ):
        words, general = task.replace("_", " "), metric.removeprefix("Multiclass").removeprefix("Multilabel")
        remedy = f"Choose the one of all tasks: metric=torchmetrics.{general}."
        raise UserError([Problem(f"metric.{name}", f"{metric} does not fit {words}.", remedy)])


def loss_for(config: RunConfig, data: Any) -> nn.Module:
    """Return the loss, its lists of numbers as tensors.

    `weight=balanced` is n / (C * n_c) for a class with n_c of the n training samples, as in scikit-learn's
    compute_class_weight (King and Zeng, Logistic Regression in Rare Events Data, 2001).

    Raises:
        UserError: There are more or fewer weights than classes, or a class has no sample to be balanced by.
    """
    node = config.values["loss"]
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in node.items() if _is_numbers(value)}
    if node.get("weight") == "balanced":
        tensors["weight"] = balanced(config, data)
    classes, weight = getattr(data, "num_outputs", None), tensors.get("weight")
    if weight is not None and classes is not None and len(weight) != classes:
        fact = f"It has {len(weight)} numbers, and there are {classes} classes."
        raise UserError([Problem("loss.weight", fact, "Give one for each class, or loss.weight=balanced.")])
    loss: nn.Module = build({**node, **dict.fromkeys(tensors)}, **tensors)
    return loss


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int | float) for item in value)


def balanced(config: RunConfig, data: Any) -> torch.Tensor:
    """Return the weight of each class with which all of them count the same in training."""
    if data.task not in OF_CLASSES:
        fact = f"It counts classes, and the task is {data.task.replace('_', ' ')}."
        raise UserError([Problem("loss.weight=balanced", fact, "Give a list of numbers.")])
    pairs = (picked(batch, batch_names(config), data.task) for batch in data.train_dataloader())
    y = torch.cat([pair[1].flatten().cpu() for pair in pairs if pair])
    y = y[y >= 0]  # what does not count has -100
    counts = torch.bincount(y, minlength=data.num_outputs)
    if missing := (counts == 0).nonzero().flatten().tolist():
        fact = f"Class {missing[0]} has no training sample to be balanced by."
        raise UserError([Problem("loss.weight=balanced", fact, "Give a list of weights.")])
    return len(y) / (len(counts) * counts.float())


def callbacks_for(config: RunConfig) -> list[pl.Callback]:
    """Return the callbacks of a configuration."""
    return [build(node) for node in (config.values["callbacks"] or {}).values()]


def trainer_for(config: RunConfig, bar: bool = True) -> pl.Trainer:
    """Return the Trainer, still without loggers; what Lightning would print of itself is left out.

    Args:
        config: The configuration.
        bar: Whether to keep its progress bar, if it has one.
    """
    callbacks = callbacks_for(config)
    callbacks = [callback for callback in callbacks if bar or not isinstance(callback, pl.callbacks.ProgressBar)]
    ours = {
        "enable_progress_bar": any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
        "enable_checkpointing": any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks),
        "enable_model_summary": False,
    }
    profiler = {} if config.values["trainer"].get("profiler") else {"profiler": NoProfiler()}
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*AMP with fp16 is not supported")  # which is refused below
        trainer: pl.Trainer = build({**ours, **config.values["trainer"]}, logger=False, callbacks=callbacks, **profiler)
    asked = str(config.values["trainer"].get("precision"))
    if asked in ("16", "16-mixed") and trainer.precision != "16-mixed":
        fact = f"The {trainer.strategy.root_device} cannot do it, and Lightning would take {trainer.precision} instead."
        remedy = f"Write trainer.precision={trainer.precision}."
        raise UserError([Problem(f"trainer.precision={asked}", fact, remedy)])
    return trainer


def profile_in(trainer: pl.Trainer, record: RunRecord) -> None:
    """Let a profiler that was told no place write beside the record: Lightning would print what it found."""
    profiler: Any = trainer.profiler  # type: ignore[attr-defined]  # the Trainer has it
    if isinstance(profiler, Profiler) and not isinstance(profiler, NoProfiler):
        profiler.dirpath = profiler.dirpath or record.directory
        profiler.filename = profiler.filename or PROFILE


def made_by(config: RunConfig, data: Any) -> dict[str, str]:
    """Return what a run is made by, beside its recipe; it is asked before the training, which it could not undo."""
    return {"code": code(config.recipe), "data": fingerprint(config, data), "torch": str(torch.__version__)}
