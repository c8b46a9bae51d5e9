"""Command lines that are good, drawn at random: what would be trained, what is shown, and what is really trained."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GLOBAL = "# @package _global_\n"
Prepare = Callable[[Path], object]
MODELS = {
    "digits": ("mlp", "linear", "cnn"),
    "breast_cancer": ("mlp", "linear"),
    "diabetes": ("mlp", "linear"),
    "python_text": ("transformer",),
}
LOSSES = {
    "digits": ("cross_entropy", "focal"),
    "breast_cancer": ("cross_entropy", "focal"),
    "diabetes": ("mse", "huber", "l1"),
    "python_text": ("cross_entropy",),
}
SHAPES: dict[str, dict[str, tuple[Any, ...]]] = {
    "mlp": {
        "depth": (0, 1, 2, 3),
        "width": (1, 4, 12),
        "dropout": (0, 0.1, 0.5),
        "activation": ("relu", "tanh", "gelu"),
        "norm": ("none", "batch", "layer"),
    },
    "linear": {},
    "cnn": {"depth": (1, 2), "width": (1, 2, 4), "dropout": (0, 0.3)},
    "transformer": {"depth": (1,), "width": (4, 8), "heads": (1, 2)},
}
OPTIONAL: dict[str, tuple[Any, ...]] = {
    "optimizer": ("sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam"),
    "scheduler": ("constant", "step", "exponential", "cosine", "warmup_cosine", "one_cycle", "plateau"),
    "optimizer.lr": (1e-4, 0.001, 0.01, 0.05),
    "optimizer.weight_decay": (0, 0.01, 0.1),
    "+optimizer.foreach": ("true", "false"),
    "seed": tuple(range(100)),
    "data.batch_size": (16, 32, 64),
    "data.split_seed": (0, "${seed}", 3),
    "callbacks": ("default", "early_stopping", "none"),
    "trainer": ("default", "cpu"),
    "trainer.gradient_clip_val": ("null", 1.0),
    "trainer.accumulate_grad_batches": (1, 2),
    "trainer.log_every_n_steps": (1, 5, 50),
    "regularization.l1": (0, 1e-4),
    "regularization.skip_norm_and_bias": ("true", "false"),
    "threads": ("auto", 1),
}
AXES: dict[str, tuple[str, ...]] = {
    "optimizer.lr": ("0.01,0.02", "1e-3,1e-2,1e-1", "choice(0.1,0.2)", "range(0.01,0.04,0.01)"),
    "seed": ("0,1", "range(0,3)"),
    "model.width": ("2,3", "4,8"),
    "optimizer": ("adam,sgd", "adam,adamw"),
    "scheduler": ("constant,cosine",),
    "data.batch_size": ("32,64",),
    "regularization.l1": ("0,0.001",),
    "threads": ("1,2",),
}
SHIPPED = ("digits_mlp", "digits_cnn", "breast_cancer", "diabetes")
SHOWN = (["--cfg", "job"], ["--help"], ["--cfg", "job", "--resolve"])


def nothing(folder: Path) -> None:
    """Prepare nothing."""


@dataclass
class Line:
    """A command line.

    Args:
        kind: `plan`, `mistake`, `noise` or `train`.
        what: The mistake, or what is planned.
        arguments: What follows `train.py`; `{folder}` is the working directory.
        prepare: Makes the files that it names.
    """

    kind: str
    what: str
    arguments: list[str]
    prepare: Prepare = field(default=nothing)


def values(draw: random.Random) -> dict[str, Any]:
    """Return the overrides of a valid run, which is small."""
    data = draw.choice(["digits"] * 4 + ["breast_cancer"] * 2 + ["diabetes"] * 2 + ["python_text"])
    model = draw.choice(MODELS[data])
    given: dict[str, Any] = {"data": data, "model": model, "loss": draw.choice(LOSSES[data])}
    optional = {key: draw.choice(some) for key, some in OPTIONAL.items()}
    shape = {f"model.{key}": draw.choice(some) for key, some in SHAPES[model].items()}
    given |= {key: value for key, value in optional.items() if draw.random() < 0.4}
    given |= {key: value for key, value in shape.items() if model == "transformer" or draw.random() < 0.6}
    return given | ({"data.context": 8, "data.batch_size": 64} if data == "python_text" else {})


def short(draw: random.Random) -> dict[str, Any]:
    """Return what makes a run take a moment."""
    limits = {f"trainer.limit_{part}_batches": 1 for part in ("val", "test")}
    return {"trainer.max_epochs": draw.choice([1, 2]), "trainer.limit_train_batches": draw.randint(2, 4), **limits}


def texts(draw: random.Random, given: dict[str, Any]) -> list[str]:
    found = [f"{key}={value}" for key, value in given.items()]
    draw.shuffle(found)
    return found


def swept(draw: random.Random) -> list[str]:
    """Return the overrides of a valid sweep, without -m."""
    fuse = draw.choice(["off", "auto", 2])
    base: dict[str, Any] = {"model": "mlp", **short(draw), "launcher": "in_process", "sweep.fuse": fuse}
    axes = {key: draw.choice(AXES[key]) for key in draw.sample([*AXES], draw.randint(1, 2))}
    found = texts(draw, base | axes)
    if draw.random() < 0.2 and "optimizer.lr" in axes and "seed" not in axes:
        found += ["sampler=random", "sweep.n_trials=2"]
    return found + (["sweep.repeats=2"] if draw.random() < 0.1 and "seed" not in axes else [])


def preset(draw: random.Random) -> Prepare:
    """Return what writes a good preset."""
    choices = f"defaults:\n- override /model: mlp\noptimizer:\n  lr: {draw.choice([0.003, 0.03])}\n"
    return written("preset.yaml", f"{GLOBAL}{choices}model:\n  width: {draw.randint(2, 9)}\n")


def written(name: str, text: str) -> Prepare:
    """Return what writes a file."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return write


def unfinished(folder: Path) -> None:
    """Copy the record of an interrupted run."""
    shutil.copytree(ROOT / "tests" / "record" / "specimen" / "interrupted", folder / "record")


def plan(draw: random.Random) -> Line:
    """Return a line that is accepted."""
    way = draw.choices(["explain", "sweep", "preset", "shipped", "folder", "show"], [55, 12, 8, 5, 8, 12])[0]
    if way == "explain":
        return Line("plan", way, [*texts(draw, values(draw)), "explain=true"])
    if way == "sweep":
        return Line("plan", way, ["-m", *swept(draw), "sweep.dry_run=true"])
    if way == "preset":
        return Line("plan", way, ["experiment=preset.yaml", f"seed={draw.randint(0, 9)}", "explain=true"], preset(draw))
    if way == "shipped":
        return Line("plan", way, [f"experiment={draw.choice(SHIPPED)}", "explain=true"])
    if way == "show":
        return Line("plan", way, [*draw.choice(SHOWN), *texts(draw, values(draw))])
    choice = f"_target_: gridstorm.model.mlp.MLP\n_partial_: true\nwidth: {draw.randint(2, 9)}\n"
    flag = draw.choice([["--config-dir", "mine"], ["hydra.searchpath=[file://{folder}/mine]"]])
    return Line("plan", way, [*flag, "model=small", "explain=true"], written("mine/model/small.yaml", choice))


def trained(draw: random.Random) -> Line:
    """Return a line that is really trained: a run, a sweep, a preset, or a record that goes on."""
    way = draw.choices(["run", "sweep", "preset", "resume"], [60, 20, 10, 10])[0]
    if way == "run":
        return Line("train", way, [*texts(draw, values(draw) | short(draw)), f"name=run-{draw.randint(0, 99)}"])
    if way == "sweep":
        return Line("train", way, ["-m", *swept(draw)])
    if way == "preset":
        return Line("train", way, ["experiment=preset.yaml", *texts(draw, short(draw))], preset(draw))
    return Line("train", way, ["resume=record"], unfinished)
