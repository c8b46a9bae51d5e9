"""Training the recipe of a run again, to see whether the numbers are the same."""

from collections.abc import Iterator

from gridstorm.config import component
from gridstorm.record import RunRecord
from gridstorm.report import curves_differ, environments_differ
from gridstorm.run.run import as_started, train
from gridstorm.run.warning import quiet


def rerun(first: RunRecord) -> int:
    """Train the recipe of a run again, beside it; print `identical` or what differs, and return 0 or 1.

    Raises:
        UserError: Its configuration is not one that may be run.
    """
    config, made = as_started(first), list[RunRecord]()

    def beside() -> RunRecord:
        home = first.directory.resolve()  # `.` has no name
        made.append(
            RunRecord.create(home.parent, component(f"{home.name}-rerun"), config, f"gridstorm rerun {first.directory}")
        )
        return made[0]

    with quiet():
        train(config, beside)
    found = [*curves_differ(first.rows(), made[0].rows()), *_weights(first, made[0])]
    found += environments_differ(first.environment, made[0].environment) if found else []
    if not found:
        print(f"identical: all {len(first.rows())} points of the curves and all weights, bit for bit")
        return 0
    print("\n".join(["not identical:", *(f"  {line}" for line in found)]))
    return 1


def _weights(first: RunRecord, second: RunRecord) -> Iterator[str]:
    import torch

    from gridstorm.run.checkpoint import loaded

    if not (first.last_checkpoint and second.last_checkpoint):
        return
    one, two = (
        loaded(record.last_checkpoint)["state_dict"]  # type: ignore[arg-type]  # there is one
        for record in (first, second)
    )
    unequal = [name for name in one if name not in two or not torch.equal(one[name], two[name])]
    if unequal:
        yield f"last weights: {len(unequal)} of {len(one)} tensors, first {unequal[0]}"
