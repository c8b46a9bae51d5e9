"""Many cells of a grid trained as one, against the same cells one after another through our own run.

    python -m bench.fused [mlp] [dropout] [cnn] [transformer]

Wall time of whole runs in one process on one thread: each cell has its own directory, curves, event file and
checkpoints. A run alone saves at every epoch's end, a group at its last one's and every two seconds. The floor is the
stacked step alone in plain PyTorch: no validation, no metrics, no files, no Lightning.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, product
from pathlib import Path

import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import Parameter

from bench.compare import composed, machine, medians
from gridstorm.config.recipe import RunConfig
from gridstorm.fusion import training as fused
from gridstorm.objects.build import network_for
from gridstorm.objects.data import prepared
from gridstorm.objects.warning import quiet
from gridstorm.record.run import RunRecord
from gridstorm.report.table import table
from gridstorm.run.run import train
from gridstorm.target.build import build

TEXT = ("data=python_text", "model=transformer", "trainer.limit_train_batches=20", "trainer.limit_val_batches=5")
SHAPES: dict[str, Sequence[str]] = {
    "mlp": (),
    "dropout": ("model.dropout=0.1",),
    "cnn": ("model=cnn",),
    "transformer": (*TEXT, "model.depth=1", "model.width=32", "data.context=32"),
}
EPOCHS = {"mlp": 10, "dropout": 10, "cnn": 2, "transformer": 2}
SIZES = {"mlp": (1, 4, 16, 64), "dropout": (64,), "cnn": (1, 4, 16), "transformer": (1, 4, 16)}
RATES = (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2)
DECAYS = (0.0, 1e-4, 1e-3, 1e-2)
REPETITIONS = 3


def cells(shape: str, size: int) -> list[RunConfig]:
    """Return the first cells of the grid: two seeds, eight learning rates, four weight decays."""
    config = composed("threads=1", f"trainer.max_epochs={EPOCHS[shape]}", *SHAPES[shape]).values
    grid = islice(product(DECAYS, RATES, (0, 1)), size)
    return [
        RunConfig(
            {
                **config,
                "seed": seed,
                "data": {**config["data"], "seed": seed},
                "optimizer": {**config["optimizer"], "lr": lr, "weight_decay": decay},
            }
        )
        for decay, lr, seed in grid
    ]


def timed(shape: str, size: int, together: bool) -> float:
    """Return the seconds that these cells take."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        records = [
            RunRecord.create(Path(folder), f"{number}", one, "") for number, one in enumerate(cells(shape, size))
        ]
        start = time.perf_counter()
        if together and size > 1:
            fused.fit(records)
        else:
            for record in records:
                train(record.config, lambda record=record: record, alone=False)  # type: ignore[misc]
        return time.perf_counter() - start


def floor(shape: str, size: int) -> float:
    """Return the seconds of the steps alone."""
    all_cells = cells(shape, size)
    data = prepared(all_cells[0])
    networks = [network_for(one, data) for one in all_cells]
    loss = build(all_cells[0].values["loss"])
    tensors, buffers = stack_module_state(networks)
    flat = torch.cat([one.detach().flatten(1) for one in tensors.values()], 1)
    parts = torch.split(flat, [one[0].numel() for one in tensors.values()], 1)
    leaves = {
        name: part.view(one.shape).detach().requires_grad_()
        for (name, one), part in zip(tensors.items(), parts, strict=True)
    }
    gradients = torch.zeros_like(flat)
    columns = torch.split(gradients, [part.shape[1] for part in parts], 1)
    slopes = [column.view(leaf.shape) for column, leaf in zip(columns, leaves.values(), strict=True)]
    rows = [Parameter(row) for row in flat]
    for row, gradient in zip(rows, gradients, strict=True):
        row.grad = gradient
    groups = [
        {"params": [row], **{name: one.values["optimizer"][name] for name in ("lr", "weight_decay")}}
        for row, one in zip(rows, all_cells, strict=True)
    ]
    optimizer = torch.optim.Adam(groups, fused=True)

    def pass_one(
        leaves: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        logits = functional_call(networks[0], {**leaves, **buffers}, (x,))
        return loss(logits.reshape(-1, logits.shape[-1]), y.flatten())  # type: ignore[no-any-return]

    config = all_cells[0].values["trainer"]
    seeds = [one.values["seed"] for one in all_cells]
    loaders = [data.batches("train", shuffle=True) for _ in {*seeds}]
    start = time.perf_counter()
    for epoch in range(config["max_epochs"]):
        for seed, loader in enumerate(loaders):
            loader.seed, loader.epoch = seed, epoch
        for batches in islice(zip(*loaders, strict=True), config["limit_train_batches"]):
            x, y = (torch.stack([batches[seed][part] for seed in seeds]) for part in (0, 1))
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                losses = vmap(pass_one, randomness="different")(leaves, buffers, x, y)
            torch._foreach_copy_(slopes, torch.autograd.grad(losses.sum(), [*leaves.values()]))
            optimizer.step()
    return time.perf_counter() - start


def compare(shape: str) -> None:
    """Print a table for one shape of model."""
    ways: dict[str, Callable[[str, int], float]] = {
        "alone": partial(timed, together=False),
        "fused": partial(timed, together=True),
        "floor": floor,
    }
    contestants = {(name, size): partial(way, shape, size) for name, way in ways.items() for size in SIZES[shape]}
    found = medians(contestants, REPETITIONS)
    rows = [(f"{shape}: cells", "one by one, s", "as one, s", "times faster", "floor, s", "x floor")]
    for size in SIZES[shape]:
        alone, fused, bottom = (found[name, size] for name in ways)
        rows.append(
            (
                f"{size}",
                f"{alone:.2f}",
                f"{fused:.2f}",
                f"{alone / fused:.1f}",
                f"{bottom:.2f}",
                f"{fused / bottom:.2f}",
            )
        )
    print(table(rows, right=(1, 2, 3, 4, 5)), end="\n\n", flush=True)


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    print(f"Whole runs, wall time, median of {REPETITIONS}; {machine()}\n")
    for shape in sys.argv[1:] or SHAPES:
        compare(shape)


if __name__ == "__main__":
    main()
