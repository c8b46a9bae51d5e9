"""The values that the keys of a configuration can take, beyond what their targets say of them."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from gridstorm.error import Problem

# The keys that no target takes, and those of Lightning's that it writes down as any text.
TYPES = {
    "seed": "int",
    "monitor": "str",
    "mode": "Literal['min', 'max']",
    "monitor_later": "bool",
    "regularization": "dict",
    "regularization.l1": "float",
    "regularization.skip_norm_and_bias": "bool",
    "threads": "Literal['auto'] | int",
    "name": "str | None",
    "output_dir": "str",
    "resume": "str | None",
    "branch": "str | None",
    "horizon": "Literal['keep', 'stretch']",
    "parent": "dict | None",
    "init_from": "str | None",
    "freeze": "list[str]",
    "explain": "bool",
    "heal": "bool",
    "find": "Literal['lr', 'batch_size'] | None",
    "note": "str | None",
    "tags": "list[str]",
    "lint": "dict",
    "lint.ignore": "list[str]",
    "logger": "dict | None",
    "callbacks": "dict | None",
    "metric": "dict | None",
    "task": (
        "Literal['auto', 'classification', 'multilabel', 'regression', 'segmentation', 'reconstruction', "
        "'language_modelling']"
    ),
    "sweep": "dict",
    "sweep.name": "str | None",
    "sweep.params": "dict",
    "sweep.zip": "list",
    "sweep.conditional": "bool",
    "sweep.n_trials": "int",
    "sweep.repeats": "int",
    "sweep.max_runs": "int",
    "sweep.seed": "int",
    "sweep.from": "str | None",
    "sweep.retries": "int",
    "sweep.timeout": "str | float | None",
    "sweep.budget": "str | float | None",
    "sweep.trim": "bool",
    "sweep.stale": "Literal['keep', 'retrain'] | None",
    "sweep.dry_run": "bool",
    "sweep.scientific": "list[str]",
    "sweep.nuisance": "list[str]",
    "sweep.fuse": "Literal['auto', 'off'] | int",
}
NAMES = {"name": "Write output_dir=DIRECTORY name=NAME.", "sweep.name": "Write output_dir=DIRECTORY sweep.name=NAME."}
CONFIG, MANIFEST = "config.yaml", "sweep.json"  # the files that make a directory a run's and a sweep's
LONGEST = 100  # bytes of the name of a directory that is made of values
WEIGHTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")  # of a run, the first that is there
ADDED = (
    "sweep.max_runs",
    "sweep.scientific",
    "sweep.nuisance",
    "note",
    "tags",
    "monitor_later",
    "metric",
    "task",
    "horizon",
    "parent",
    "branch",
    "heal",
    "find",
    "init_from",
    "freeze",
    "lint",
)  # keys that records of before have not
TRAINER_TYPES = {
    "trainer.accelerator": "Literal['auto', 'cpu', 'gpu', 'cuda', 'mps', 'tpu']",
    "trainer.precision": (
        "Literal['32-true', '16-mixed', 'bf16-mixed', '64-true', '16-true', 'bf16-true', "
        "'transformer-engine', 'transformer-engine-float16', '16', '32', '64', 'bf16', 16, 32, 64] | None"
    ),
}


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter can take, and one that is often good."""

    example: float | tuple[float, ...]
    low: float = 0
    high: float = math.inf
    above: bool = False  # low itself is out of range
    below: bool = False  # high itself is out of range

    def holds(self, value: float) -> bool:
        """Tell whether `value` is in the range; NaN and infinity never are."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return over and under and math.isfinite(value)

    def __str__(self) -> str:
        """Return the range in words."""
        if self.low == -math.inf:
            return "a finite number"
        low = f"{'greater than' if self.above else 'at least'} {self.low:,}"
        high = f"{'less than' if self.below else 'at most'} {self.high:,}"
        return low if self.high == math.inf else f"{low} and {high}"


def is_file(file: Path) -> bool:
    """Tell whether there is a file, also where the text can be no path."""
    try:
        return file.is_file()
    except (OSError, ValueError):  # too long, or with a zero byte in it
        return False


def misnamed(key: str, name: str) -> Problem | None:
    """Return why a text is not the name of one directory, inside the one that it is made in; None if it is.

    Names that begin with a dot are hidden, and left to what is not finished yet.
    """
    facts = {
        "It is not the name of one directory.": name.strip() in ("", ".", "..") or bool({*name} & {*"/\\"}),
        "It is the name of a hidden directory.": name.startswith("."),
        "It holds what cannot be shown.": not name.isprintable(),
        "It ends in a dot or a space, which some file systems leave out.": name != name.rstrip(". "),
        f"It is longer than {LONGEST} bytes.": len(name.encode(errors="replace")) > LONGEST,
    }
    fact = next((fact for fact, holds in facts.items() if holds), None)
    return Problem(f"{key}={name}", fact, NAMES.get(key, "Write another one.")) if fact else None


def component(text: str, longest: int = LONGEST) -> str:
    """Return the name of one directory that shows a text; one that is too long ends in a digest of the whole."""
    shown = (
        "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in text).lstrip(".") or "_"
    )
    encoded = shown.encode(errors="replace")
    if len(encoded) <= longest:
        return encoded.decode()
    end = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    return f"{encoded[: longest - 9].decode(errors='ignore')}-{end}"


ANY = Range(0.1, low=-math.inf)  # any finite number: for keys without a range of their own

# By the key's last name: a name means the same thing wherever it stands.
RANGES = {
    "every": Range(1, low=1),
    "lr": Range(0.001, above=True),
    "max_lr": Range(0.01, above=True),
    "weight_decay": Range(0.01),
    "l1": Range(0.0001),
    "momentum": Range(0.9, high=1, below=True),
    "betas": Range((0.9, 0.999), high=1, below=True),
    "alpha": Range(0.99, high=1, below=True),
    "eps": Range(1e-8),
    "lr_decay": Range(0.01),
    "momentum_decay": Range(0.004),
    "dropout": Range(0.1, high=1, below=True),
    "label_smoothing": Range(0.1, high=1, below=True),
    "gamma": Range(0.9),
    "delta": Range(1.0, above=True),
    "factor": Range(0.5, high=1),
    "step_size": Range(10, low=1),
    "total_iters": Range(10),
    "eta_min": Range(0.0001),
    "min_lr_ratio": Range(0.1, high=1),
    "pct_start": Range(0.3, high=1),
    "div_factor": Range(25, above=True),
    "final_div_factor": Range(10_000, above=True),
    "warmup_steps": Range(100),
    "patience": Range(5),
    "min_delta": Range(0.001),
    "batch_size": Range(64, low=1),
    "context": Range(128, low=1),
    "val_fraction": Range(0.1, high=1, above=True, below=True),
    "test_fraction": Range(0.2, high=1, above=True, below=True),
    "depth": Range(2),
    "width": Range(128, low=1),
    "heads": Range(4, low=1),
    "seed": Range(0, high=2**32 - 1),
    "split_seed": Range(0, high=2**32 - 1),
    "threads": Range(1, low=1),
    "places": Range(2, low=1),
    "per_device": Range(1, low=1),
    "n_trials": Range(20, low=1, high=1_000_000),
    "max_runs": Range(10_000, low=1),
    "fuse": Range(8, low=1),
    "repeats": Range(3, low=1, high=10_000),
    "retries": Range(1),
    "timeout": Range(600, above=True),
    "budget": Range(1800, above=True),
    "max_epochs": Range(10, low=1),
    "min_epochs": Range(1),
    "log_every_n_steps": Range(50, low=1),
    "accumulate_grad_batches": Range(1, low=1),
    "check_val_every_n_epoch": Range(1, low=1),
    "gradient_clip_val": Range(1.0),
    "overfit_batches": Range(10),
    "limit_train_batches": Range(1.0, above=True),
    "limit_val_batches": Range(1.0, above=True),
    "limit_test_batches": Range(1.0, above=True),
}
