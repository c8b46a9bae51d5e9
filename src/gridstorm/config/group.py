"""The groups of choices: which sections a run has, and what the run itself gives them."""

import ast
from collections.abc import Mapping
from typing import Any

from gridstorm.target import Argument, Target, find

SECTIONS = ("data", "model", "loss", "optimizer", "scheduler", "trainer", "sampler", "pruner", "launcher")
PARTIAL = ("model", "optimizer", "scheduler", "sampler")  # the run builds these when it has the arguments that it gives

# What the run gives, so that it is neither missing nor to be set, and what to do instead.
GIVEN = {
    "model": dict.fromkeys(("input_shape", "num_outputs"), "Leave it out: it follows from the data."),
    "optimizer": {"params": "Leave it out: they are the model's."},
    "scheduler": {"optimizer": "Leave it out, and choose optimizer=NAME."},
    "sampler": dict.fromkeys(("seed", "sweep_seed", "space"), "Leave it out, and set sweep.seed."),
    "trainer": {
        "logger": "Leave it out, and set logger beside trainer.",
        "callbacks": "Leave it out, and choose callbacks=NAME.",
        "default_root_dir": "Leave it out, and set output_dir=DIRECTORY.",
    },
}
# Keys of a section that the run reads itself, with their types, unless its target takes an argument of that name.
OF_RUNS: dict[str, dict[str, str]] = {"data": {"batch": "dict | None"}, "optimizer": {"groups": "dict | None"}}
OF_BATCHES = {"x": "str | int | None", "y": "str | int | None", "num_outputs": "int | None"}  # what data.batch says
COUNTED = ("total_steps", "T_max")
MODULE = "pytorch_lightning.core.module.LightningModule"
OF_MODULES = ("loss", "optimizer", "scheduler")  # sections that a LightningModule is given if it takes them
NOT_A_SWEEP = "This key only applies to a sweep (-m)."
OF_SWEEPS = ("sweep", "sampler", "pruner", "launcher")
GROUPS = (*SECTIONS, "callbacks", "metric", "sweep", "experiment")
MAPPINGS = ("callbacks", "metric")  # the groups whose section holds several objects, by name
LISTS = (*MAPPINGS, "experiment")  # the groups of which a run can have several choices


def of_runs(key: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a section the run reads itself."""
    target = find(str(node.get("_target_")))
    signature = target.signature() if target else None
    names = [name for name in OF_RUNS.get(key, {}) if not (signature and signature.get(name))]
    return {name: node[name] for name in names if name in node}


def of_target(key: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a section its target is given."""
    apart = of_runs(key, node)
    return {name: value for name, value in node.items() if name not in apart}


def is_of_tensors(argument: Argument) -> bool:
    """Tell whether an argument is a tensor, which a configuration writes as a list of numbers."""
    return argument.type is not None and "Tensor" in ast.unparse(argument.type)


def is_module(path: Any) -> bool:
    """Tell whether a target is a whole LightningModule, which brings its own training step."""
    target = find(path) if isinstance(path, str) else None
    return target is not None and any(base.path == MODULE for base in target.ancestry())


def given(key: str, target: Target) -> Mapping[str, str]:
    """Return what the run gives a target at this key, each with what to do instead of setting it."""
    if key == "model" and is_module(target.path):
        return GIVEN["model"] | {name: f"Leave it out, and choose {name}=NAME." for name in OF_MODULES}
    if key.startswith("metric."):
        return dict.fromkeys(("num_classes", "num_labels", "task"), "Leave it out: it follows from the data.")
    return GIVEN.get(key, {})


def left_out(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sections of a configuration that its model has no use for: a LightningModule may bring its own."""
    path = plain["model"].get("_target_") if isinstance(plain.get("model"), dict) else None
    if not is_module(path):
        return ()
    target = find(str(path))
    signature = target.signature() if target else None
    return "regularization", "metric", *(name for name in OF_MODULES if signature and not signature.get(name))
