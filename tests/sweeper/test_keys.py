"""Any key of any choice either changes the signature of a run, or changes no curve."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from composing import composed
from conftest import Command, rows
from gridstorm.config.limit import ANY, RANGES
from gridstorm.config.resolve import leaves

CONF = Path(__file__).parents[2] / "conf"


def keys_of_choices() -> Iterator[tuple[str, str, Any, Any]]:
    """Yield (what chooses it, key, its value, another value) for each key of each choice, and of the root."""
    for file in sorted(CONF.glob("*/*.yaml")):
        group, choice = file.parent.name, file.stem
        if group in ("hydra", "experiment", "sampler", "pruner", "launcher", "sweep", "trainer", "logger"):
            continue
        if file.stem == "loaders":  # of a user's own sets (tests/own/test_loaders.py)
            continue
        for key, value in leaves(yaml.safe_load(file.read_text()) or {}):
            together = key.endswith("mode")  # which has to be that of the monitor beside it
            if not together and not key.startswith(("defaults", "_")) and "._" not in key:
                yield f"{group}={choice}", f"{group}.{key}", value, None
    for key, value in leaves(yaml.safe_load((CONF / "trainer" / "default.yaml").read_text())):
        if not key.startswith("_"):
            yield "trainer=default", f"trainer.{key}", value, None
    yield from (
        ("", key, None, None) for key in ("seed", "monitor", "regularization.l1", "threads", "name", "output_dir")
    )


BESIDE = {
    "data=diabetes": ("model=linear", "loss=mse"), "data=breast_cancer": ("model=linear",),
    "data=python_text": ("model=transformer",), "data=text": ("model=transformer",),
    "model=transformer": ("data=python_text",), "loss=mse": ("data=diabetes", "model=linear"),
    "loss=huber": ("data=diabetes", "model=linear"), "loss=l1": ("data=diabetes", "model=linear"),
    "data=table": ("data.path=a.csv", "data.target=y"), "data=images": ("data.path=a",),
    "data=npz": ("data.path=a.npz",),
    "data=huggingface": ("data.path=a", "data.x=x", "data.y=y"), "model=tabular": ("data=breast_cancer",),
    "data=text_classification": ("data.path=a.csv", "model=text_cnn"),
    "model=text_cnn": ("data=text_classification", "data.path=a.csv"),
}  # fmt: skip
OTHER_VALUES = {
    "trainer.accelerator": "auto", "trainer.devices": "auto", "trainer.precision": "64-true", "monitor": "train/loss",
    "threads": 2, "name": "another", "output_dir": "elsewhere", "trainer.limit_val_batches": 1, "seed": 5,
    "trainer.limit_train_batches": 3, "trainer.limit_test_batches": 1, "trainer.gradient_clip_val": 0.01,
    "trainer.max_epochs": 3, "loss.reduction": "sum", "scheduler.anneal_strategy": "linear", "data.corpus": "stdlib",
    "data.path": str(CONF / "config.yaml"), "callbacks.progress_bar.score": "train/loss",
    "callbacks.checkpoint.monitor": "train/loss", "callbacks.early_stopping.monitor": "train/loss",
    "model.heads": 1, "model.norm": "batch", "loss.weight": "balanced",
    **{f"metric.{name}.average": "weighted" for name in ("auroc", "f1", "precision", "recall")},
    "data.seed": 5, "data.target": "z", "data.task": "regression", "data.ignore": ["a"], "data.categories": ["a"],
    "data.split": "group", "data.by": "a", "data.weight": "a", "data.scale": "none",
    "data.date_format": "%d.%m.%Y", "data.channels": 1,
    "data.augment": ["flip"], "data.x": "a", "data.y": "b", "data.name": "a", "data.tokenizer": "bpe", "data.text": "a",
    "data.field": "a",
    "model.numbers": "plain", "model.windows": [3],
    "model.activation": "tanh", "scheduler.max_lr": 0.02, "scheduler.warmup_steps": 1,
}  # fmt: skip


def another(key: str, value: Any) -> Any:
    """Return another value that a key can take."""
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [0.5, 0.6]
    limit = RANGES.get(key.rpartition(".")[2], ANY)
    tried = [limit.example, 1, 2, 0.5, 3, 5] if not isinstance(limit.example, tuple) else [0.5]
    numbers = [one for one in tried if isinstance(value, float) or float(one) == int(one)]
    return next(one for one in numbers if one != value and limit.holds(float(one)))


@pytest.mark.parametrize(("choice", "key", "value", "_"), [*keys_of_choices()], ids=lambda one: str(one)[:40])
def test_any_key_of_any_choice_changes_the_signature_or_no_curve(
    command: Command, tmp_path: Path, choice: str, key: str, value: Any, _: Any
) -> None:
    base = [*filter(None, [choice, *BESIDE.get(choice, ())]), "trainer.max_epochs=2", "trainer.limit_train_batches=6"]
    base += [f"data.path={CONF / 'trainer' / 'default.yaml'}", "data.context=8"] if choice == "data=text" else []
    base = (
        base
        if key in ("data.path", "data.target", "data.x", "data.y")
        else [text for text in base if text.partition("=")[0] != key]
    )
    given = f"{key}={json.dumps(another(key, value))}"
    first, second = composed(*base), composed(*base, given)
    if first.signature != second.signature:
        return
    outside = tmp_path / "runs"
    for name, more in (("one", ()), ("two", (given,))):
        line = (*base, f"output_dir={outside}", f"name={name}", *more)
        if key in ("name", "output_dir"):
            line = tuple(text for text in line if not text.startswith(f"{key}=")) + more
        assert command(*line)[0] == 0, line
    made = sorted([*tmp_path.glob("**/checkpoints")], key=lambda one: one.stat().st_mtime)
    one, two = (folder.parent for folder in made)
    ends = [[row for row in rows(run) if "val/loss" in row] for run in (one, two)]
    numbers = [
        [{n: v for n, v in row.items() if n.startswith(("val/", "opt/weight", "lr"))} for row in end] for end in ends
    ]
    assert numbers[0] == numbers[1], key
    shutil.rmtree(outside, ignore_errors=True)
