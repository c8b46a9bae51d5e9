"""From which size on a second thread pays: a training step with one thread and with two.

    python -m bench.threads

Forward, backward and optimizer on one batch of the default size, wall time. The quickest of many short turns says
what a quiet machine gives; the median says what was got beside whatever else ran: two threads wait for each other,
and on a busy machine for a place as well.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from bench.compare import composed, machine, turns
from gridstorm.objects.build import network_for
from gridstorm.objects.data import prepared
from gridstorm.report.table import table
from gridstorm.target.build import build

REPETITIONS, SECONDS = 25, 0.02
TEXT = ("data=python_text", "model=transformer", "optimizer=adamw")
MODELS: dict[str, list[tuple[str, ...]]] = {
    "mlp": [(f"model.width={width}",) for width in (64, 128, 256, 512, 1024, 1500)],
    "cnn": [("model=cnn", f"model.width={width}") for width in (8, 16, 32, 64, 128)],
    "transformer": [
        (*TEXT, f"model.width={width}", f"model.depth={depth}")
        for width, depth in ((32, 1), (64, 2), (128, 2), (128, 4), (256, 3))
    ],
}


def trained(overrides: tuple[str, ...]) -> tuple[int, Callable[[], None]]:
    """Return the number of parameters, and a function that takes one training step."""
    one = composed(*overrides)
    data = prepared(one)
    network, loss = network_for(one, data), build(one.values["loss"])
    optimizer = build(one.values["optimizer"])(network.parameters())
    x, y = next(iter(data.batches("train")))

    def step() -> None:
        logits = network(x)
        optimizer.zero_grad()
        loss(logits.flatten(0, -2), y.flatten()).backward()
        optimizer.step()

    return sum(parameter.numel() for parameter in network.parameters()), step


def milliseconds(step: Callable[[], None], repeats: int, threads: int) -> float:
    """Return the wall time of a step with that many threads."""
    torch.set_num_threads(threads)
    step()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return 1e3 * (time.perf_counter() - start) / repeats


def rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for each model and size."""
    for name, sizes in MODELS.items():
        for overrides in sizes:
            num_parameters, step = trained(overrides)
            step()
            repeats = max(1, round(1e3 * SECONDS / milliseconds(step, 3, 1)))
            contest = {threads: partial(milliseconds, step, repeats, threads) for threads in (1, 2)}
            one, two = turns(contest, REPETITIONS).values()
            usual = statistics.median(one) / statistics.median(two)
            figures = (f"{min(one):.2f}", f"{min(two):.2f}", f"{min(one) / min(two):.2f}", f"{usual:.2f}")
            yield (name, f"{num_parameters:,}", *figures, " ".join(overrides))


def main() -> None:
    """Print the table."""
    print(f"A training step in ms, wall time, quickest of {REPETITIONS}; {machine('one and two threads')}\n")
    header = ("model", "parameters", "1 thread", "2 threads", "times faster", "by medians", "")
    print(table([header, *rows()], right=(1, 2, 3, 4, 5)))


if __name__ == "__main__":
    main()
