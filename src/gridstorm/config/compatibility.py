"""Whether choices fit one another: the loss the task, the model the input, the monitor what the task logs."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from gridstorm.config.group import is_module, of_runs
from gridstorm.config.task import AUTO, METRICS, TORCH_LOSSES, monitors, task_of
from gridstorm.error import Problem, did_you_mean
from gridstorm.target import find

YIELDS = {"image": "images", "table": "tables", "tokens": "text", "texts": "labeled texts"}


def compatible(plain: Mapping[str, Any], folders: Collection[Path], unknown: Collection[str] = ()) -> Iterator[Problem]:
    """Yield what does not fit.

    Args:
        plain: The configuration, in which every section has a `_target_`.
        folders: Where the choices' files are, to name the choices that fit.
        unknown: Groups whose choice is not known, so that nothing is said of them.
    """
    yield from _grouped(plain)
    if is_module(plain["model"]["_target_"]):  # what it takes and logs is seen when a batch is tried
        yield from _never_measured(plain)
        return
    if plain.get("monitor_later"):
        fact = "It is of what a LightningModule of your own logs, and what this run logs is known."
        yield Problem("monitor_later=true", fact, "Leave it out.")
    path = plain["data"]["_target_"]
    if "data" in unknown or not isinstance(path, str) or find(path) is None:
        return
    task = task_of(plain)
    if task in METRICS:
        yield from fitting(plain, task, _constant(path, "inputs"), folders, unknown)
    elif task is not None and plain.get("task") == AUTO:
        remedy = f"Let its class say task = {' or '.join(map(repr, METRICS))}."
        yield Problem(f"data._target_={path}", f"There is no task called {task!r}.", remedy)
    yield from _never_measured(plain)  # where only the data can tell their task, the rest is seen when they are built


def fitting(
    plain: Mapping[str, Any], task: str, inputs: Any, folders: Collection[Path] = (), unknown: Collection[str] = ()
) -> Iterator[Problem]:
    """Yield the choices that do not fit a task and what the data yield."""
    needs = {
        "loss": ("tasks", task, f"is {task.replace('_', ' ')}" if plain.get("task", AUTO) == AUTO else f"task={task}"),
        "model": ("inputs", inputs, f"yields {YIELDS.get(inputs, inputs)}"),
    }
    for group, (constant, need, words) in needs.items():
        if group not in unknown and not _takes(plain[group]["_target_"], constant, need):
            named = choices(folders, group).items()
            good = [f"{group}={name}" for name, path in named if _takes(path, constant, need)]
            if (
                group == "loss" and not folders
            ):  # the choices' files are not at hand, and torch's losses are choices too
                good = [
                    f"loss=torch.nn.{path.rpartition('.')[2]}" for path, tasks in TORCH_LOSSES.items() if need in tasks
                ]
            other = choice(plain, "data", folders)
            fact = (
                f"It does not fit {words}." if words.startswith("task=") else f"It does not fit {other}, which {words}."
            )
            remedy = f"Choose one that does: {', '.join(good)}." if good else f"Choose another {group}."
            yield Problem(choice(plain, group, folders), fact, remedy)
    yield from _monitored(plain, task)


def choice(plain: Mapping[str, Any], group: str, folders: Collection[Path]) -> str:
    """Return `group=choice` for the section's target, or its class where no choice of the group has it."""
    path = plain[group]["_target_"]
    return f"{group}={next((name for name, target in choices(folders, group).items() if target == path), path)}"


def choices(folders: Collection[Path], group: str) -> dict[str, str]:
    """Return the `_target_` of each choice of a group that names one itself."""
    by_name: dict[str, str] = {}
    for file in (file for folder in folders for file in sorted((folder / group).glob("*.yaml"))):
        named = [line for line in file.read_text(errors="replace").splitlines() if line.startswith("_target_:")]
        if named:
            by_name.setdefault(file.stem, named[0].partition(":")[2].split("#")[0].strip())
    return by_name


def _takes(path: Any, constant: str, need: Any) -> bool:
    """Tell whether a class lists `need`; one that lists nothing takes everything."""
    listed = _constant(path, constant)
    return need is None or listed is None or need in ([listed] if isinstance(listed, str) else listed)


def _constant(path: Any, name: str) -> Any:
    target = find(path) if isinstance(path, str) else None
    if target is None:
        return None
    return TORCH_LOSSES.get(target.path) if name == "tasks" and target.path in TORCH_LOSSES else target.constant(name)


def _monitored(plain: Mapping[str, Any], task: str) -> Iterator[Problem]:
    """Whatever monitors a metric names one that the task logs, in the direction in which it is better."""
    directions: dict[str, str | None] = {**monitors(task), **dict(_of_metrics(plain))}
    if task == "language_modelling" and _constant(plain["data"]["_target_"], "bytes_per_token") is None:
        directions = {name: mode for name, mode in directions.items() if not name.endswith("bits_per_byte")}
    for key, name, mode in _monitors(plain):
        if name not in directions and key != "scheduler.":
            words = f"A {task.replace('_', ' ')} run does not log it."
            yield Problem(f"{key}monitor={name}", words, did_you_mean(name, directions))
        elif mode in ("min", "max") and (known := directions.get(name)) and mode != known:
            yield wrong_direction(name, mode, known, key)


def wrong_direction(name: str, mode: str, known: str, key: str = "") -> Problem:
    """Return the problem of a metric that is to get worse; `key`: what stands before `mode` in the configuration."""
    words = "smaller" if known == "min" else "larger"
    return Problem(f"{key}mode={mode}", f"{name} is better when it is {words}.", f"Write {key}mode={known}.")


def _grouped(plain: Mapping[str, Any]) -> Iterator[Problem]:
    """What is set for some parameters alone has an effect."""
    groups = of_runs("optimizer", plain.get("optimizer") or {}).get("groups")
    if not groups:
        return
    if is_module(plain["model"]["_target_"]):
        fact = "A LightningModule gives its optimizer its parameters itself."
        yield Problem("optimizer.groups", fact, "Leave it out, and group them in configure_optimizers.")
        return
    scheduler = find(str(plain["scheduler"]["_target_"]))
    sets_lr = any(isinstance(settings, Mapping) and "lr" in settings for settings in groups.values())
    if sets_lr and scheduler and scheduler.signature().get("max_lr"):
        fact = f"{scheduler.name} gives every group its own max_lr, whatever its lr."
        yield Problem("optimizer.groups", fact, "Choose another scheduler, such as scheduler=warmup_cosine.")


def _of_metrics(plain: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield what the metrics of the user's choice are logged as, each with its direction where its class says so."""
    held = plain.get("metric")
    for name, node in held.items() if isinstance(held, Mapping) else ():
        higher = _constant(node.get("_target_") if isinstance(node, Mapping) else None, "higher_is_better")
        yield f"val/{name}", None if higher is None else "max" if higher else "min"


def _never_measured(plain: Mapping[str, Any]) -> Iterator[Problem]:
    """What is monitored is measured at least once."""
    trainer, monitor = plain["trainer"], str(plain.get("monitor"))
    every, epochs = trainer.get("check_val_every_n_epoch"), trainer.get("max_epochs")
    whole = isinstance(every, int) and isinstance(epochs, int) and trainer.get("val_check_interval") in (None, 1.0)
    if whole and monitor.startswith("val/") and 0 < epochs < every:
        key = f"trainer.check_val_every_n_epoch={every}"
        fact = f"In {epochs} epochs {monitor} is never measured, which is the run's score."
        yield Problem(key, fact, f"Give {epochs} or less, or monitor=train/loss.")


def _monitors(plain: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (the key's beginning, metric, mode) of everything that monitors one; a plateau reads the run's score."""
    scheduler = {"monitor": plain.get("monitor"), "mode": plain["scheduler"].get("mode")}
    callbacks = plain.get("callbacks")
    nodes = callbacks if isinstance(callbacks, Mapping) else {}
    watching = {f"callbacks.{name}.": node for name, node in nodes.items()}
    for key, node in {"": plain, "scheduler.": scheduler, **watching}.items():
        if isinstance(node, Mapping) and isinstance(node.get("monitor"), str):
            yield key, node["monitor"], node.get("mode")
