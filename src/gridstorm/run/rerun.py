"""Training the recipe of a run again, to see whether the numbers are the same."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from gridstorm.config import component
from gridstorm.error import say
from gridstorm.objects import loaded, quiet
from gridstorm.record import PARENT, RunRecord
from gridstorm.report import curves_differ, environments_differ
from gridstorm.run.longer import begin_from
from gridstorm.run.run import as_started, train


def rerun(first: RunRecord) -> int:
    """Train the recipe of a run again, beside it; print `identical` or what differs, and return 0 or 1.

    Raises:
        UserError: Its configuration is not one that may be run, or its weights cannot be read.
    """
    config, made = as_started(first), list[RunRecord]()

    def beside() -> RunRecord:
        home = first.directory.resolve()  # `.` has no name
        made.append(
            RunRecord.create(home.parent, component(f"{home.name}-rerun"), config, f"gridstorm rerun {first.directory}")
        )
        if config.values.get("parent"):
            begin_from(made[0], first.directory / PARENT, first)
        return made[0]

    weights = _weights(first)  # read before the training: what cannot be compared is told at once
    with quiet():
        train(config, beside)
    differences = [*curves_differ(first.rows(), made[0].rows()), *_weights_differ(weights, _weights(made[0]))]
    differences += environments_differ(first.environment, made[0].environment) if differences else []
    if not differences:
        say(f"identical: all {len(first.rows())} points of the curves and all weights, bit for bit")
        return 0
    say("\n".join(["not identical:", *(f"  {line}" for line in differences)]))
    return 1


def _weights(record: RunRecord) -> dict[str, Tensor]:
    file = record.last_checkpoint
    return loaded(file)["state_dict"] if file else {}


def _weights_differ(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Iterator[str]:
    if not (first and second):
        return
    unequal = [name for name in first if name not in second or not torch.equal(first[name], second[name])]
    if unequal:
        yield f"last weights: {len(unequal)} of {len(first)} tensors, first {unequal[0]}"
