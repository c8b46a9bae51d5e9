"""Trying configurations before any is trained: whether they can be built, and how long they take."""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridstorm.config import RunConfig
from gridstorm.error import UserError
from gridstorm.record import CHECKPOINTS, RunRecord
from gridstorm.sweeper.job import carry_out
from gridstorm.target import is_a_librarys

PILOT_STEPS = 20
TRY_STEPS, TRY_SECONDS = 4, 0.25  # of an epoch of a try-out: at least so many steps, and about so long


def probe(config: RunConfig) -> dict[str, Any]:
    """Build what a configuration names, the model on the meta device; what is built once is quick the next time.

    Returns:
        `data` (the data's fingerprint), `torch` (its version) and `parameters` (how many), or `problems` where they
        cannot be built.
    """
    import torch

    from gridstorm.objects import fingerprint, module_for, num_parameters, prepared, quiet, sketched, trainer_for
    from gridstorm.run import tried_out

    try:
        with quiet():
            data = prepared(config)
            network = sketched(config, data)
            with torch.device("meta"):
                module = module_for(config, network, data)
            # A network of the user's own may hang, or end its process: that is to cost its own run alone.
            if all(is_a_librarys(str(config.values[name]["_target_"])) for name in ("model", "loss")):
                tried_out(config, module, data)
            trainer_for(config, bar=False)
    except UserError as refusal:
        return {"problems": refusal.problems}
    parameters = num_parameters(network)
    # A plain text: to read a TorchVersion, the process that plans would load torch.
    return {"data": fingerprint(config, data), "torch": str(torch.__version__), "parameters": parameters}


def time_run(config: RunConfig) -> dict[str, float]:
    """Train a configuration for two short epochs in a folder that is thrown away, and estimate the whole run.

    Returns:
        `step` (seconds of a training step, with its share of the validation), `seconds` (of the whole run, NaN where
        the data do not say how many batches they have) and `bytes` of its checkpoints.
    """
    from gridstorm.objects import num_batches, prepared, quiet

    with quiet():
        total = num_batches(config, prepared(config)) or math.nan
    [record], whole = _trained_briefly([config])
    around = whole - record["seconds"][-1]
    step = _epoch(record) / min(PILOT_STEPS, total)
    epochs = int(config.values["trainer"]["max_epochs"] or 1) - (config.values.get("parent") or {}).get("epoch", 0)
    return {"step": step, "seconds": around + epochs * total * step, "bytes": record["bytes"]}


def time_group(configs: Sequence[RunConfig], measured: bool = True) -> dict[str, Any]:
    """Train configurations for two short epochs, as one stacked model and one of them alone.

    Args:
        configs: Those of a group.
        measured: Whether to time them; if not, only check that they can be stacked.

    Returns:
        `why` they cannot be stacked, None if they can; `gain`: how many times less time they take; `bytes` of memory
        that each of them needs in the stack, and how many are `free`.
    """
    from gridstorm.fusion import fusible, needs
    from gridstorm.objects import quiet

    with quiet():
        why = fusible(configs[0])
        answer = {"why": why, "gain": 1.0} | ({} if why else needs(configs[0]))
    if why or not measured:
        return answer
    limits: tuple[int, int | None] = PILOT_STEPS, None
    [alone], _ = _trained_briefly(configs[:1], *limits)
    most = int(TRY_SECONDS / (len(configs) * _epoch(alone) / PILOT_STEPS))
    if (steps := max(TRY_STEPS, most)) < PILOT_STEPS:
        limits = steps, steps
        [alone], _ = _trained_briefly(configs[:1], *limits)
    together, _ = _trained_briefly(configs, *limits)
    return answer | {"gain": len(configs) * _epoch(alone) / _epoch(together[0])}


def _trained_briefly(
    configs: Sequence[RunConfig], steps: int = PILOT_STEPS, val_steps: int | None = None
) -> tuple[list[dict[str, Any]], float]:
    """Train for two short epochs in a folder that is thrown away; return each run's seconds and bytes, and the time."""
    from gridstorm.objects import quiet

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, quiet():
        made = [
            RunRecord.create(Path(folder), str(number), _short(config, steps, val_steps), "")
            for number, config in enumerate(configs)
        ]
        carry_out([str(record.directory) for record in made], [record.config.signature for record in made])
        whole = time.monotonic() - started
        outcomes = [
            {
                "seconds": [*{row["epoch"]: row["seconds"] for row in record.rows()}.values()],
                "bytes": float(sum(file.stat().st_size for file in (record.directory / CHECKPOINTS).iterdir())),
                "error": record.result.error if record.result else None,
            }
            for record in made
        ]
    if wrong := next((run["error"] for run in outcomes if run["error"]), None):
        raise RuntimeError(wrong)
    return outcomes, whole


def _short(config: RunConfig, steps: int, val_steps: int | None) -> RunConfig:
    """Return a configuration for two epochs of so many steps, validated with so many batches at most."""
    trainer = {**config.values["trainer"], "max_epochs": 2, "limit_train_batches": steps}
    asked = trainer.get("limit_val_batches")
    if val_steps is not None and not (isinstance(asked, int) and asked < val_steps):
        trainer["limit_val_batches"] = val_steps
    begun = {"branch": None, "parent": None}  # how long a step takes does not depend on where it begins
    return replace(config, values={**config.values, **begun, "trainer": trainer, "name": None})


def _epoch(tried: dict[str, Any]) -> float:
    """Return the seconds of the second epoch: the first one warms up."""
    first, last = tried["seconds"][-2:]
    return float(max(last - first, 1e-3))
