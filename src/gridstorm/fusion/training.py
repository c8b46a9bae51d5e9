"""Many runs as one: each directory holds in the end what a run alone would leave there."""

import ctypes
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gridstorm.error import said, say
from gridstorm.fusion.build import build_all
from gridstorm.fusion.group import Group, Zipped
from gridstorm.fusion.member import Member
from gridstorm.module import HOOKS, hooks
from gridstorm.objects import last_state, trainer_for, try_one_batch, warned
from gridstorm.record import RunRecord
from gridstorm.run import begin, threads, train

MALLOC = {-1: 2**31 - 1, -3: 2**25}  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (mallopt(3)), bytes


def train_together(records: Sequence[RunRecord]) -> None:
    """Train the runs in these directories; what comes out, and what fails, is in each of them.

    Runs whose last checkpoints are of one epoch are one group. Where a group fails, for want of memory or because of
    one of its runs, its halves go on from the last checkpoints; a group of one is a run alone.

    Args:
        records: Of runs whose `gridstorm.sweeper.grouping.key` is equal.
    """
    groups: dict[int, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(_epoch(last_state(record)), []).append(record)
    for _, group in sorted(groups.items()):
        if len(group) == 1:
            _train_alone(group[0])
            continue
        try:
            fit(group)
        except Exception as error:
            for record in group:
                record.close()
            with suppress(OSError):  # of a full disk, on which the output is
                say(f"{len(group)} runs could not go on together; their halves do. {said(error)}")
            left = [RunRecord(record.directory) for record in group if record.result is None]
            train_together(left[: len(left) // 2])
            train_together(left[len(left) // 2 :])


def _train_alone(record: RunRecord) -> None:
    try:
        train(record.config, lambda: record, alone=False)
    except Exception as error:
        record.fail(said(error), traceback.format_exc())


def _epoch(state: dict[str, Any] | None) -> int:
    """Return the number of the last epoch that is saved, -1 where none is."""
    return int(state["epoch"]) if state else -1


def fit(records: Sequence[RunRecord]) -> None:
    """Train the runs in these directories, all at the same epoch, to their ends as one group.

    Raises:
        Exception: Whatever torch or a run's callback raises, for want of memory or otherwise; each run can go on from
            its last checkpoint.
    """
    with warned() as alerts:
        _fit(records, alerts)


def _fit(records: Sequence[RunRecord], alerts: Sequence[str]) -> None:
    _keep_memory()
    configs = [record.config for record in records]
    built = [*build_all(configs)]
    if own := hooks(built[0][1], HOOKS):
        raise ValueError(f"The data's {own[0]} is for runs alone.")
    try_one_batch(configs[0], *built[0])
    threads(configs[0].values["threads"], built[0][0].network)
    trainer = trainer_for(replace(configs[0], values={**configs[0].values, "callbacks": {}}), bar=False)
    members = []
    for record, config, (module, data) in zip(records, configs, built, strict=True):
        data.trainer = trainer
        begin(config, record, trainer, data)
        members.append(Member(config, record, module, data, trainer))
    distinct = {id(data): data for _, data in built}
    sources = [[*distinct].index(id(data)) for _, data in built]
    batches = Zipped([data.train_dataloader() for data in distinct.values()], built[0][0].pair)
    group, file = Group(members, batches, sources), records[0].last_checkpoint
    val = Zipped([built[0][1].val_dataloader()], built[0][0].pair)
    group.alerts = alerts
    trainer.fit(group, batches, val, ckpt_path=file, weights_only=True if file else None)
    for member in members:
        member.conclude(alerts)


def _keep_memory() -> None:
    """Let the process keep what a step frees: the next one would get it again page by page, a tenth of its time."""
    library = ctypes.CDLL(None)
    for option, size in MALLOC.items() if hasattr(library, "mallopt") else ():  # other C libraries have none
        library.mallopt(option, size)
