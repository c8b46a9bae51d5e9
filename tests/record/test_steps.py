"""The losses of steps, as a run leaves them: alone, in a group, by a module of one's own, thinned, and gone on with."""

import json
import math
from pathlib import Path

import pytest

from conftest import Sweep, Train, rows
from gridstorm.record import RunRecord
from gridstorm.record.step import BLOCK, StepFile, steps, thinned


def of(directory: Path) -> list[list[float]]:
    """Return the losses of each epoch."""
    return [line["losses"] for line in steps(directory)]


def test_every_batch_of_every_epoch_is_there_and_its_mean_is_the_point_of_the_curve(train: Train) -> None:
    run = train("trainer.max_epochs=3", "data.batch_size=100")
    assert [(line["epoch"], line["batch"], len(line["losses"])) for line in steps(run)] == [
        (1, 0, 13),
        (2, 0, 13),
        (3, 0, 13),
    ]
    sizes = [100] * 12 + [58]
    means = [sum(map(math.prod, zip(sizes, losses, strict=True))) / 1258 for losses in of(run)]
    assert means == pytest.approx([row["train/loss"] for row in rows(run)], rel=1e-5)


def test_runs_that_are_trained_together_leave_what_they_leave_alone(sweep: Sweep) -> None:
    grid = ("optimizer.lr=1e-3,1e-2", "trainer.max_epochs=2", "trainer.precision=64-true")
    apart, together = sweep(*grid, "sweep.fuse=off", name="apart"), sweep(*grid, "sweep.fuse=2", name="together")
    for alone, member in zip(apart.runs, together.runs, strict=True):
        assert len(of(alone)) == 2
        for first, second in zip(of(alone), of(member), strict=True):
            assert second == pytest.approx(first, rel=1e-5)


def test_a_lightning_module_of_ones_own_has_them_too(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    run = train(
        "data=stranger.data.Digits", "model=stranger.modules.Autoencoder", "monitor=val/error", "trainer.max_epochs=2"
    )
    lines = steps(run)
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(len(line["losses"]) == 5 and min(line["losses"]) > 0 for line in lines)


def test_a_run_that_diverges_says_where(train: Train) -> None:
    run = train("optimizer=sgd", "optimizer.lr=1e30", "trainer.max_epochs=2")
    [losses] = of(run)
    assert losses[0] is not None and losses[-1] is None


@pytest.mark.parametrize("count", [1, BLOCK, 1000, 100_000])
def test_a_long_epoch_is_thinned_to_blocks_of_neighbors(count: int) -> None:
    losses = [float(number) for number in range(count)]
    parts = [*thinned(losses, 256)]
    assert all([*part] == losses[start : start + len(part)] for start, part in parts)
    assert parts[0][0] == 0 and parts[-1][0] + len(parts[-1][1]) == count  # the first batch and the last
    assert sum(len(part) for _, part in parts) <= max(256, BLOCK)
    assert len({start for start, _ in parts}) == len(parts)


def test_what_came_after_the_epoch_from_which_it_goes_on_is_forgotten(tmp_path: Path) -> None:
    file = StepFile(tmp_path, epochs=4)
    for epoch in (1, 2, 3):
        file.add(epoch, [1.0, float("inf")])
    with (tmp_path / "steps.jsonl").open("a") as opened:
        opened.write('{"epoch": 4, "batch": 0, "los')
    file.begin(2)
    assert [line["epoch"] for line in steps(tmp_path)] == [1, 2]
    assert of(tmp_path)[0] == [1.0, None]
    json.loads((tmp_path / "steps.jsonl").read_text().splitlines()[0], parse_constant=pytest.fail)
    assert steps(tmp_path / "nothing") == []


def test_a_resumed_run_has_each_epoch_once(composed: object, train: Train, tmp_path: Path) -> None:
    from gridstorm.run.run import run

    first = train("trainer.max_epochs=3")
    run(composed(f"resume={first}", "trainer.max_epochs=5", f"output_dir={tmp_path}", "name=longer"))  # type: ignore[operator]
    assert [line["epoch"] for line in steps(tmp_path / "longer")] in ([4, 5], [1, 2, 3, 4, 5])
    assert RunRecord(first).result
