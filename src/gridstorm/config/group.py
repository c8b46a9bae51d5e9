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
# What the run gives where a section does not.
OFFERED = {
    "model": ("cardinalities", "num_tokens"),
    "scheduler": COUNTED,
    "logger": (
        "save_dir", "name", "version", "run_name", "experiment_name", "tracking_uri", "id", "run_id", "group",
    ),
}  # fmt: skip
PACKAGES = {  # that a logger needs, by where it is defined
    "pytorch_lightning.loggers.wandb.WandbLogger": ("wandb", "wandb"),
    "pytorch_lightning.loggers.mlflow.MLFlowLogger": ("mlflow", "mlflow-skinny"),
    "pytorch_lightning.loggers.comet.CometLogger": ("comet_ml", "comet-ml"),
    "pytorch_lightning.loggers.neptune.NeptuneLogger": ("neptune", "neptune"),
}
MODULE = "pytorch_lightning.core.module.LightningModule"
OBJECT = "_object_"  # in a section: the class of an object that Python gave, which no record can build again
OF_MODULES = ("loss", "optimizer", "scheduler")  # sections that a LightningModule is given if it takes them
NOT_A_SWEEP = "This key only applies to a sweep (-m)."
OF_SWEEPS = ("sweep", "sampler", "pruner", "launcher")
GROUPS = (*SECTIONS, "callbacks", "metric", "logger", "sweep", "experiment")
MAPPINGS = ("callbacks", "metric", "logger")  # the groups whose section holds several objects, by name
LISTS = (*MAPPINGS, "experiment")  # the groups of which a run can have several choices


def offered(key: str) -> tuple[str, ...]:
    """Return what the run gives the target at this key where its section does not."""
    return OFFERED.get(key.partition(".")[0], ()) if key in SECTIONS or key.count(".") == 1 else ()


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


def of_object(name: str, value: Any, is_module: bool) -> dict[str, Any]:
    """Return the section of an object that Python gave: what it is for Lightning, and its class."""
    kinds = {"data": "pytorch_lightning.core.datamodule.LightningDataModule", "model": "torch.nn.modules.module.Module"}
    return {
        "_target_": MODULE if is_module else kinds[name],
        OBJECT: f"{type(value).__module__}.{type(value).__name__}",
    }


def left_out(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sections of a configuration that its model has no use for: a LightningModule may bring its own."""
    path = plain["model"].get("_target_") if isinstance(plain.get("model"), dict) else None
    if not is_module(path):
        return ()
    target = find(str(path))
    signature = target.signature() if target else None
    return "regularization", "metric", *(name for name in OF_MODULES if signature and not signature.get(name))
