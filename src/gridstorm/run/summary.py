"""What a run is, before it starts: the hyperparameters that were set, and the parameters that training will learn."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from gridstorm.config import AUTO, RunConfig, is_module, leaves, task_of
from gridstorm.data import InMemory
from gridstorm.data.loaders import Loaders
from gridstorm.error import MANY
from gridstorm.objects import HIDDEN, fingerprint, match, num_parameters
from gridstorm.record import RunRecord, is_run, latest
from gridstorm.report import defaults_differ, recipes_differ, table
from gridstorm.target import project, shown, shown_path, targets


def card(config: RunConfig, network: nn.Module, notes: Sequence[str] = ()) -> str:
    """Return both tables as text.

    Args:
        config: The configuration.
        network: What is trained; it may be on the meta device.
        notes: What else is to be known before the training, a sentence each.
    """
    set_by_you = "Hyperparameters: what you set\n" + table(hyperparameters(config))
    rows = list(parameters(network))
    total = num_parameters(network)
    learned = "Parameters: what training learns\n" + table([*rows, ("total", "", "", f"{total:,}")], right=(3,))
    return "\n".join([f"{set_by_you}\n\n{learned}", *(["", *notes] if notes else [])])


def _branch(config: RunConfig) -> str:
    """Return where a branch begins, and what is another one from there on."""
    parent = config.values["parent"]
    words = f"Branches off after epoch {parent['epoch']} of {parent['directory']}"
    if not is_run(Path(parent["directory"])):
        return words
    changed = ", ".join(recipes_differ(RunRecord(Path(parent["directory"])).config, config))
    return f"{words}: {changed or 'nothing is changed'}"


def _horizon(config: RunConfig) -> str:
    """Return what becomes of a schedule that counted the steps of a shorter run."""
    steps = config.values["parent"].get("horizon")
    if not steps:
        return ""
    if config.values["horizon"] == "stretch":
        return "; its schedule is stretched to the new end"
    return (
        f"; its schedule ends at step {steps} as before, and then holds its last learning rate (horizon=stretch: not)"
    )


def _drawn_otherwise(data: Any) -> str:
    """Return what a run that goes on cannot draw again: torch seeds workers only where they start."""
    if isinstance(data, Loaders):  # which seeds them at each epoch
        return ""
    with suppress(Exception):  # the training tells
        if getattr(data.train_dataloader(), "persistent_workers", False):
            return "; its workers live on (persistent_workers), and then draw other random numbers"
    return ""


def _columns(data: Any) -> Iterator[str]:
    """Yield what is made of the columns of a table, by the training part."""
    rows: list[tuple[str, str, str]] = getattr(data, "told", list)()
    if rows:
        yield "Columns: what is made of them\n" + table(rows) + "\n"
    yield from getattr(data, "notes", ())


def _of_ones_own(config: RunConfig) -> Iterator[str]:
    """Yield what is to be known of a user's own code in a run: who allowed it, and whether it can be built again."""
    if config.objects:
        named = ", ".join(f"{name} ({type(value).__name__})" for name, value in config.objects.items())
        yield f"Given as objects, so that the record alone cannot train it again: {named}"
    own = {str(node["_target_"]).partition(".")[0] for _, node in targets(config.values)} & {*project().allow}
    if own and (file := project().file):
        yield f"Allowed by {shown_path(file)}: {', '.join(sorted(own))}"


def _other_defaults(config: RunConfig, own: Path | None) -> Iterator[str]:
    """Yield what an upgrade, or an edited file, has changed since the last run of the same command."""
    with suppress(Exception):  # of a record that is damaged, which is no matter of this run
        before = latest(Path(config.values["output_dir"]), config, own)
        if before and not config.values.get("parent") and (changed := defaults_differ(before.config, config)):
            more = f" and {len(changed) - MANY} more" if len(changed) > MANY else ""
            yield f"Other defaults than in {before.directory}: {'; '.join(changed[:MANY])}{more}"


def notes(
    config: RunConfig, network: nn.Module, data: Any, left_out: Sequence[str] = (), own: Path | None = None
) -> list[str]:
    """Return what is to be known of a run beside its two tables.

    Args:
        config: The configuration.
        network: What is trained.
        data: The data module.
        left_out: The hyperparameters that no checkpoint will hold, since they are no plain values.
        own: The run's directory, where it has one already.
    """
    lines = [*_columns(data), *_of_ones_own(config), *_other_defaults(config, own)]
    if not is_module(config.values["model"]["_target_"]):
        asked = config.values.get("task", AUTO) != AUTO
        says = "the data say so" if task_of(config.values) else "as their first batch shows"
        why = "asked for" if asked else getattr(data, "why", "") or says
        lines.append(f"Task: {data.task} ({why})")
    callbacks = config.values.get("callbacks") or {}
    chosen = str(config.choices.get("callbacks"))
    if "." in chosen and not any("checkpoint" in str(node["_target_"]).lower() for node in callbacks.values()):
        both = f"[default,{chosen.strip('[]')}]"
        lines.append(f"No checkpoint: callbacks={chosen} stands in the place of the default (both: callbacks={both})")
    if parent := config.values.get("parent"):
        if config.values.get("branch"):
            lines.append(_branch(config))
        else:
            lines.append(f"Trains on from epoch {parent['epoch']} of {parent['directory']}{_horizon(config)}")
    if source := config.values.get("init_from"):
        lines.append(f"First weights: of {source}, {match(source, network)}")
    if frozen := [name for name, parameter in network.named_parameters() if not parameter.requires_grad]:
        lines.append(f"Not trained: {', '.join(frozen[:MANY])}{', ...' if len(frozen) > MANY else ''}")
    if not hasattr(data, "fingerprint") and not fingerprint(config, data):
        lines.append("Data: nothing tells whether they change between runs (no fingerprint, and no file is named)")
    if not isinstance(data, InMemory):
        steps = (callbacks.get("checkpoint") or {}).get("every_n_steps")
        where = f"within an epoch, where it was saved every {steps} steps" if steps else "at the start of an epoch"
        lines.append(f"A run that is interrupted goes on {where}{_drawn_otherwise(data)}")
    if left_out:
        lines.append(f"Not in its checkpoints, since they are built anew from config.yaml: {', '.join(left_out)}")
    return lines


def hyperparameters(config: RunConfig) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) for each choice and for each value of the recipe."""
    rows = []
    for section, node in config.recipe.items():
        if section == "parent":
            continue  # told in a sentence
        if section in config.choices:
            origin = config.origins.get(f"{section}._target_", "default")
            rows.append((section, config.choices[section], origin))
        for key, value in leaves(node, section):
            if key.rpartition(".")[2] not in HIDDEN:
                rows.append((key, shown(value), config.origins.get(key, "default")))
    return rows


def parameters(network: nn.Module) -> Iterable[tuple[str, str, str, str]]:
    """Yield (layer, W and its shape, b and its shape, count) for every layer that has parameters of its own."""
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own:
            weights = [f"{_letter(key)} {_shape(p)}" for key, p in own.items() if not key.endswith("bias")]
            biases = [f"b {_shape(p)}" for key, p in own.items() if key.endswith("bias")]
            count = sum(parameter.numel() for parameter in own.values() if not is_lazy(parameter))
            yield f"{name or 'network'} ({type(module).__name__})", " ".join(weights), " ".join(biases), f"{count:,}"


def _shape(parameter: nn.Parameter) -> str:
    return "?" if is_lazy(parameter) else "x".join(map(str, parameter.shape))


def _letter(name: str) -> str:
    return "W" if name.endswith("weight") else name
