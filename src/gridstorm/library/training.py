"""Composing a configuration, and training one or many, from Python."""

import argparse
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridstorm.command import Door, Overrides
from gridstorm.command import compose as composed
from gridstorm.config import RunConfig, checked_again, left_out, of_object, of_runs
from gridstorm.error import Problem, UserError
from gridstorm.library.run import Run
from gridstorm.library.session import composing, training
from gridstorm.library.sweeps import Sweep
from gridstorm.target import Project

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule
    from torch import nn

NO_FLAGS = argparse.Namespace(config_path=None, config_dir=None, config_name=None)


def _overrides(texts: tuple[str, ...], sweep: bool = False) -> Overrides:
    door = Door(Project.door, Path.cwd(), lambda _: None)
    return Overrides(door.hydra(NO_FLAGS).config_loader, door.name, [*texts], sweep)


def compose(*overrides: str) -> RunConfig:
    """Return the configuration that a command line would train, checked, without loading torch.

    Choices are found as `gridstorm train` finds them: in `conf/` of the working directory, and behind it in Gridstorm.

    Args:
        *overrides: As on a command line, such as `"model=cnn", "optimizer.lr=0.01"`.

    Raises:
        UserError: Something is wrong with them; every problem is in it.
    """
    with composing():
        return composed(_overrides(overrides)).run


def train(
    config: RunConfig,
    *,
    model: "nn.Module | None" = None,
    data: "LightningDataModule | None" = None,
    verbose: bool = False,
) -> Run:
    """Train a configuration and return its run, whose directory is below its `output_dir`.

    Args:
        config: What `compose` returned.
        model: A network or a LightningModule to be trained in the place of the configured one. A copy of it is: the
            run begins with the weights that it has, and it keeps them.
        data: A data module in the place of the configured one. The record of a run with either of the two names their
            classes; it cannot train the run again on its own.
        verbose: Whether to print what a command does: the hyperparameters, a progress bar, the result.

    Raises:
        UserError: Nothing was trained, since something is wrong with what was asked for.
        RunFailed: The training raised; its cause is what was raised, and the run's directory has the traceback.
        KeyboardInterrupt: Ctrl-C stopped it; `compose("resume=DIRECTORY")` goes on.
    """
    asked: Any = config
    if not isinstance(asked, RunConfig):
        fact = f"It is no configuration, and this is {type(asked).__name__}."
        raise UserError([Problem("config", fact, "Give what gridstorm.compose(...) returned.")])
    if config.values["explain"]:
        fact = "It trains nothing, and there would be no run to return."
        raise UserError([Problem("explain=true", fact, "Leave it out; the configuration is compose(...).values.")])
    with composing():  # a user may have changed its values since
        config = checked_again(replace(config, values=deepcopy(config.values)))
    config = _with_objects(config, {"model": model, "data": data})
    with training(verbose):
        from gridstorm.run import run

        record = run(config)
    if record is None:
        raise UserError([Problem("gridstorm.train", "Another process of this training has the run.", "Ask that one.")])
    return Run(record.directory, **config.objects)


def _with_objects(config: RunConfig, objects: dict[str, Any]) -> RunConfig:
    """Return a configuration of which some sections say that Python gave what they stand for."""
    given = {name: value for name, value in objects.items() if value is not None}
    if not given:
        return config
    import pytorch_lightning as pl
    from torch import nn

    from gridstorm.objects import digest_of_weights

    kinds = {"model": (nn.Module, "a torch.nn.Module"), "data": (pl.LightningDataModule, "a LightningDataModule")}
    wrong = [name for name, value in given.items() if not isinstance(value, kinds[name][0])]
    if wrong:
        fact = f"It is no object of {kinds[wrong[0]][1]}, and this is {type(given[wrong[0]]).__name__}."
        raise UserError([Problem(wrong[0], fact, "Give one, or leave it out and compose it.")])
    _refuse_what_is_ignored(config, given)
    sections = {name: of_object(name, value, isinstance(value, pl.LightningModule)) for name, value in given.items()}
    if "model" in given:
        sections["model"]["_weights_"] = digest_of_weights(given["model"])  # which its numbers depend on
    for name in sections:
        sections[name] |= of_runs(name, config.values[name])
    values = {**config.values, **sections}
    unused = left_out(values)
    return replace(
        config,
        values={key: value for key, value in values.items() if key not in unused},
        choices={
            **{key: value for key, value in config.choices.items() if key not in unused},
            **{name: type(value).__name__ for name, value in given.items()},
        },
        origins={key: origin for key, origin in config.origins.items() if key.partition(".")[0] not in sections}
        | {f"{name}._target_": "an object" for name in sections},
        objects=given,
    )


def _refuse_what_is_ignored(config: RunConfig, given: Mapping[str, Any]) -> None:
    """Refuse what was set of a section that an object stands for, but for what the run itself reads of it."""
    read = {f"{name}.{key}" for name in given for key in of_runs(name, config.values[name])}
    asked = (key for key, origin in config.origins.items() if origin == "command line" or origin.startswith("choice "))
    for key in asked:
        name = key.partition(".")[0]
        if name in given and not any(f"{key}.".startswith(f"{one}.") for one in read):
            fact = f"The {name} is given as an object, and this would be ignored."
            raise UserError([Problem(key.removesuffix("._target_"), fact, "Leave one of the two out.")])


def sweep(*overrides: str, verbose: bool = False) -> Sweep:
    """Train every combination that overrides span and that is not trained yet, in processes of their own.

    Args:
        *overrides: As on a command line with `-m`, such as `"optimizer.lr=1e-3,1e-2", "sampler=tpe"`.
        verbose: Whether to print what a command does: each run that ended, and the table.

    Returns:
        The sweep; what failed in it is among its trials.

    Raises:
        UserError: Nothing was trained, since something is wrong with what was asked for.
        KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
    """
    with training(verbose):
        from gridstorm.sweeper import Plan
        from gridstorm.sweeper import sweep as carried_out

        asked = _overrides(overrides, sweep=True)
        plan = Plan(asked.loader, asked.config_name, overrides, composed(asked))
        if plan.settings["dry_run"]:
            fact = "It trains nothing, and there would be no sweep to return."
            raise UserError([Problem("sweep.dry_run=true", fact, "Leave it out, or ask gridstorm train -m.")])
        if carried_out(plan) > 1:
            raise KeyboardInterrupt
    return Sweep(plan.directory)
