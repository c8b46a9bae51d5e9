"""What a run is told: its configuration, the part of it that is the recipe, and the recipe's signature."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

RECIPE = ("data", "model", "loss", "optimizer", "scheduler", "regularization", "seed", "monitor", "mode")
# The trainer's keys that decide numbers; the others say on what and how it is watched.
RECIPE_TRAINER = (
    "max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "precision", "gradient_clip_val",
    "gradient_clip_algorithm", "accumulate_grad_batches", "overfit_batches", "limit_train_batches",
    "limit_val_batches", "limit_test_batches", "check_val_every_n_epoch", "val_check_interval",
)  # fmt: skip

CONDITIONAL = "_sweep_"  # in a choice: what its own keys can take in a sweep, `{momentum: interval(0.5, 0.99)}`
SHARES = ("overfit_batches", "limit_train_batches", "limit_val_batches", "limit_test_batches", "val_check_interval")


@dataclass(frozen=True)
class Composed:
    """A configuration that was checked, resolved to plain values, and where its values came from.

    Args:
        config: The values.
        overrides: The command line.
        choices: The choice of each group that has one.
        origins: For each dotted key `default`, `choice GROUP=NAME`, `preset NAME` or `command line`.
    """

    config: dict[str, Any]
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def recipe(self) -> dict[str, Any]:
        """The part of the configuration that decides the run's numbers."""
        trainer = {key: value for key, value in self.config["trainer"].items() if key in RECIPE_TRAINER}
        callbacks = self.config["callbacks"] or {}
        stopping = {name: node for name, node in callbacks.items() if node["_target_"].endswith(".EarlyStopping")}
        return {**{key: self.config[key] for key in RECIPE}, "trainer": trainer, "early_stopping": stopping}

    @property
    def signature(self) -> str:
        """Twelve hexadecimal digits that name the resolved recipe: equal recipes have equal signatures."""
        stopping = sorted(map(_text, self.recipe["early_stopping"].values()))  # under whatever names
        text = _text({**self.recipe, "early_stopping": stopping})
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _text(node: Any) -> str:
    return json.dumps(_canonical(node), sort_keys=True, separators=(",", ":"))


def _canonical(node: Any) -> Any:
    """Write equal values equally: 1.0 as 1, except where 1.0 is a share and 1 is a number of batches."""
    if isinstance(node, dict):
        return {str(key): value if key in SHARES else _canonical(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_canonical(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node
