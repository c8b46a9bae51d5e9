"""Composing a configuration, and training one or many, from Python."""

import argparse
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridstorm.command import Door, Overrides, ignored
from gridstorm.command import compose as composed
from gridstorm.config import OF_MODULES, RunConfig, checked_again, left_out, of_object, of_runs
from gridstorm.error import Problem, UserError
from gridstorm.library.run import Run
from gridstorm.library.session import composing, training
from gridstorm.library.sweeps import Sweep
from gridstorm.lint import Draft, advise
from gridstorm.target import Project, shown

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule
    from torch import nn

NO_FLAGS = argparse.Namespace(config_path=None, config_dir=None, config_name=None)


def _overrides(texts: tuple[str, ...], sweep: bool = False) -> Overrides:
    asked: tuple[Any, ...] = texts
    if wrong := [text for text in asked if not isinstance(text, str)]:
        fact = f"An override is a text, and this is {type(wrong[0]).__name__}."
        given = "*overrides" if isinstance(wrong[0], list | tuple) else '"model=cnn", "optimizer.lr=0.01"'
        name = "sweep" if sweep else "compose"
        raise UserError([Problem(shown(wrong[0]), fact, f"Write gridstorm.{name}({given}).")])
    door = Door(Project.door, Path.cwd(), lambda _: None)
    return Overrides(door.hydra(NO_FLAGS).config_loader, door.name, [*texts], sweep)


def compose(*overrides: str, model: "nn.Module | None" = None, data: "LightningDataModule | None" = None) -> RunConfig:
    """Return the configuration that a command line would train, checked, without loading torch.

    Choices are found as `gridstorm train` finds them: in `conf/` of the working directory, and behind it in Gridstorm.

    Args:
        *overrides: As on a command line, such as `"model=cnn", "optimizer.lr=0.01"`.
        model: A network or a LightningModule that is to be trained in the place of the configured one, where the
            overrides speak of it: `compose("monitor=val_acc", model=net)`.
        data: A data module in the place of the configured one, likewise.

    Raises:
        UserError: Something is wrong with them; every problem is in it.
    """
    objects = _of_their_kinds({"model": model, "data": data})
    sections = {name: _section(name, value) for name, value in objects.items()}
    with composing():
        config = composed(_overrides(overrides), sections).run
    _refuse_what_is_ignored(config, objects, {text.lstrip("+~").partition("=")[0] for text in overrides})
    return _of_objects(config, objects)


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
    if config.values["find"]:
        fact = "It trains nothing, and there would be no run to return."
        raise UserError([Problem(f"find={config.values['find']}", fact, "Ask gridstorm train.")])
    if config.values["heal"]:
        fact = "A remedy is a command line, and knows nothing of what Python has set."
        raise UserError([Problem("heal=true", fact, "Ask gridstorm train.")])
    objects = _of_their_kinds({"model": model, "data": data})
    with composing():  # a user may have changed its values since
        config = checked_again(replace(config, values=deepcopy(config.values)))
    config = _with_objects(config, objects) if objects else config
    with training(verbose):
        advise(Draft(config.values))
        from gridstorm.run import run

        record = run(config)
    if record is None:
        raise UserError([Problem("gridstorm.train", "Another process of this training has the run.", "Ask that one.")])
    return Run(record.directory, **config.objects)


def _of_their_kinds(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Return the objects that were given, each of which is what it stands for."""
    given = {name: value for name, value in objects.items() if value is not None}
    if not given:
        return given
    import pytorch_lightning as pl
    from torch import nn

    kinds = {"model": (nn.Module, "a torch.nn.Module"), "data": (pl.LightningDataModule, "a LightningDataModule")}
    wrong = [name for name, value in given.items() if not isinstance(value, kinds[name][0])]
    if wrong:
        fact = f"It is no object of {kinds[wrong[0]][1]}, and this is {type(given[wrong[0]]).__name__}."
        raise UserError([Problem(wrong[0], fact, "Give one, or leave it out and compose it.")])
    return given


def _section(name: str, value: Any) -> dict[str, Any]:
    """Return the section that stands for an object."""
    import pytorch_lightning as pl

    from gridstorm.objects import digest_of_weights

    section = of_object(name, value, isinstance(value, pl.LightningModule))
    if name == "model":
        section["_weights_"] = digest_of_weights(value)  # which its numbers depend on
    return section


def _with_objects(config: RunConfig, given: dict[str, Any]) -> RunConfig:
    """Return a configuration of which some sections say that Python gave what they stand for."""
    asked = {key for key, origin in config.origins.items() if origin == "command line" or origin.startswith("choice ")}
    _refuse_what_is_ignored(config, given, asked)
    sections = {name: _section(name, value) | of_runs(name, config.values[name]) for name, value in given.items()}
    values = {**config.values, **sections}
    unused = left_out(values)
    of_unused = {key: origin for key, origin in config.origins.items() if key.partition(".")[0] in unused}
    if problems := ignored(values["model"], of_unused):
        raise UserError(problems)
    kept = {key: value for key, value in values.items() if key not in unused}
    return _of_objects(replace(config, values=kept), given)


def _of_objects(config: RunConfig, given: dict[str, Any]) -> RunConfig:
    """Return a configuration that holds the objects and says of their sections where they come from."""
    chosen = {key: value for key, value in config.choices.items() if key in config.values or key not in OF_MODULES}
    origins = {key: origin for key, origin in config.origins.items() if key.partition(".")[0] not in given}
    return replace(
        config,
        choices={**chosen, **{name: type(value).__name__ for name, value in given.items()}},
        origins=origins | {f"{name}._target_": "an object" for name in given},
        objects={**config.objects, **given},
    )


def _refuse_what_is_ignored(config: RunConfig, given: Mapping[str, Any], asked: Collection[str]) -> None:
    """Refuse what was set of a section that an object stands for, but for what the run itself reads of it."""
    read = {f"{name}.{key}" for name in given for key in of_runs(name, config.values[name])}
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
