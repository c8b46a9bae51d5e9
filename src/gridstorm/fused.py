"""Many runs as one: each directory holds in the end what a run alone would leave there."""

import copy
import ctypes
import os
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gridstorm.card import try_one_batch
from gridstorm.config import Composed
from gridstorm.data import InMemory
from gridstorm.ensemble import Ensemble
from gridstorm.group import Group, Zipped
from gridstorm.member import Member
from gridstorm.module import HOOKS, Batch, Module, epoch_seed, hooks, passed
from gridstorm.record import Record
from gridstorm.refusal import Refusal, said, warned
from gridstorm.review import loaded
from gridstorm.run import begin, module_for, network_for, prepared, threads, train, trainer_for

MALLOC = {-1: 2**31 - 1, -3: 2**25}  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (mallopt(3)), bytes
PROBE = 8  # samples that are passed to see whether a network can be stacked
TOLERANCE = 1e-3  # relative: between its losses in a stack and alone


def train_together(records: Sequence[Record]) -> None:
    """Train the runs in these directories; what comes out, and what fails, is in each of them.

    Runs whose last checkpoints are of one epoch are one group. Where a group fails, for want of memory or because of
    one of its runs, its halves go on from the last checkpoints; a group of one is a run alone.

    Args:
        records: Of runs whose `gridstorm.grouping.key` is equal.
    """
    for _, found in groupby(sorted(records, key=_epoch), key=_epoch):
        group = [*found]
        if len(group) == 1:
            _train_alone(group[0])
            continue
        try:
            fit(group)
        except Exception as error:
            print(f"{len(group)} runs could not go on together; their halves do. {said(error)}", flush=True)
            for record in group:
                record.close()
            left = [Record(record.directory) for record in group if record.result is None]
            train_together(left[: len(left) // 2])
            train_together(left[len(left) // 2 :])


def _train_alone(record: Record) -> None:
    try:
        train(record.composed, lambda: record, alone=False)
    except Exception as error:
        record.fail(said(error), traceback.format_exc())


def _epoch(record: Record) -> int:
    """Return the number of the last epoch that is saved, -1 where none is."""
    file = record.last_checkpoint
    return int(loaded(file)["epoch"]) if file else -1


def fit(records: Sequence[Record]) -> None:
    """Train the runs in these directories, all at the same epoch, to their ends as one group.

    Raises:
        Exception: Whatever torch or a run's callback raises, for want of memory or otherwise; each run can go on from
            its last checkpoint.
    """
    with warned() as alerts:
        _fit(records, alerts)


def _fit(records: Sequence[Record], alerts: Sequence[str]) -> None:
    _keep_memory()
    composed = [record.composed for record in records]
    built = [*_built(composed)]
    if own := hooks(built[0][1], HOOKS):
        raise ValueError(f"The data's {own[0]} is for runs alone.")
    try_one_batch(composed[0], *built[0])
    threads(composed[0].config["threads"], built[0][0].network)
    trainer = trainer_for(replace(composed[0], config={**composed[0].config, "callbacks": {}}), bar=False)
    members = []
    for record, one, (module, data) in zip(records, composed, built, strict=True):
        data.trainer = trainer
        begin(one, record, trainer, data)
        members.append(Member(one, record, module, data, trainer))
    distinct = {id(data): data for _, data in built}
    sources = [[*distinct].index(id(data)) for _, data in built]
    batches = Zipped([data.train_dataloader() for data in distinct.values()])
    group, file = Group(members, batches, sources), records[0].last_checkpoint
    val = Zipped([built[0][1].val_dataloader()])
    group.alerts = alerts
    trainer.fit(group, batches, val, ckpt_path=file, weights_only=True if file else None)
    for member in members:
        member.conclude(alerts)


def _keep_memory() -> None:
    """Let the process keep what a step frees: the next one would get it again page by page, a tenth of its time."""
    library = ctypes.CDLL(None)
    for option, size in MALLOC.items() if hasattr(library, "mallopt") else ():  # other C libraries have none
        library.mallopt(option, size)


def _built(composed: Sequence[Composed]) -> Iterator[tuple[Module, Any]]:
    """Yield each run's module and its data, which runs share that would read the same."""
    known: dict[str, Any] = {}
    for one in composed:
        config = one.config["data"]
        same, alike = str(config), str({**config, "seed": None})
        torch.manual_seed(one.config["seed"])
        if same not in known and alike in known:
            known[same] = copy.copy(known[alike])
            known[same].seed = config["seed"]  # of the order of the training batches, and of nothing else
        data = known.get(same)
        if data is None:
            before = torch.get_rng_state()
            data = prepared(one)
            if torch.equal(before, torch.get_rng_state()):  # else it draws what the network's weights follow on
                known[same] = data
                known |= {alike: data} if isinstance(data, InMemory) else {}
        yield module_for(one, network_for(one, data), data), data


def fusible(composed: Composed) -> str | None:
    """Return why a network cannot be trained in a stack, in words, None if it can.

    Two of it pass a few training samples each, stacked and alone, forwards and backwards.
    """
    seeds = [composed.config["seed"] + number for number in range(2)]
    both = [replace(composed, config={**composed.config, "seed": seed}) for seed in seeds]
    built = [*_built(both)]
    if own := hooks(built[0][1], HOOKS):
        return f"the data's {own[0]} is for runs alone"
    try:
        try_one_batch(both[0], *built[0])
    except Refusal as refusal:
        return said(refusal)
    x, y = (part[:PROBE] for part in next(iter(built[0][1].train_dataloader())))
    batch = torch.stack([x, x.flip(0)]), torch.stack([y, y.flip(0)])
    modules = [module for module, _ in built]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*performance drop")
            ensemble = Ensemble(modules, [0, 1])
            ensemble.build(batch)
            agree = all(_agree(ensemble, modules, batch, training) for training in (False, True))
    except Exception as error:
        return f"its pass cannot be stacked ({said(error)})"
    return None if agree else "in a stack it gives another loss than alone"


def needs(composed: Composed) -> dict[str, float]:
    """Return the `bytes` of memory that a run needs in a stack, and how many are `free` where it would be trained.

    What a pass keeps for its way back counts twice, for the gradients, and its weights five times: with gradients by
    layer and by row, and two moments of the optimizer.
    """
    module, data = next(_built([composed]))
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        passed(module.network, module.loss, next(iter(data.train_dataloader())))
    weights = sum(one.numel() * one.element_size() for one in module.parameters())
    double = 2 if "64" in str(composed.config["trainer"].get("precision")) else 1
    device = trainer_for(composed, bar=False).strategy.root_device
    return {
        "bytes": float(double * (2 * sum(one.nbytes() for one in kept.values()) + 5 * weights)),
        "free": _free_memory(device),
    }


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if (told := Path("/proc/meminfo")).is_file():  # what files fill is free too, which sysconf does not say
        [line] = [line for line in told.read_text().splitlines() if line.startswith("MemAvailable")]
        return float(line.split()[1]) * 1024
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _agree(ensemble: Ensemble, modules: Sequence[Module], batch: Batch, training: bool) -> bool:
    """Tell whether networks give the same losses in a stack and alone."""
    seeds = [epoch_seed(module.seed, 0) for module in modules]
    alone = []
    for module, seed, x, y in zip(copy.deepcopy([*modules]), seeds, *batch, strict=True):
        torch.manual_seed(seed)
        module.network.train(training)
        alone.append(module._step("train", (x, y))[0].detach())
    ensemble.whole.train(training)
    ensemble.streams.seed(seeds)
    losses, _ = ensemble(batch)
    torch.autograd.grad(losses.sum(), [*ensemble.stack.leaves.values()])
    return torch.allclose(losses, torch.stack(alone), rtol=TOLERANCE)
