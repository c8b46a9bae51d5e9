"""Successive halving whose runs pause and go on, and stopping what is beyond help."""

import math
import random
from heapq import heappop, heappush
from typing import Any

import pytest

from conftest import Sweep, result
from gridstorm.pruner.asha import Asha
from gridstorm.pruner.diagnosis import Diagnosis

NUM, EPOCHS = 27, 27


def curves(seed: int) -> list[list[float]]:
    """Return the best losses so far of 27 runs that approach their ends at other speeds."""
    chance = random.Random(seed)
    ends = [0.1 + 0.05 * index for index in range(NUM)]
    chance.shuffle(ends)
    speeds = [chance.uniform(0.5, 1.5) for _ in ends]
    return [
        [end + 2 * math.exp(-speed * epoch) for epoch in range(1, EPOCHS + 1)]
        for end, speed in zip(ends, speeds, strict=True)
    ]


def carried_out(rule: Asha, runs: list[list[float]], places: int) -> list[int]:
    """Return the epochs that each run is trained for, in a simulated sweep with so many places."""
    epochs, todo, clock = [0] * NUM, list(range(NUM)), 0.0
    busy: list[tuple[float, int, int]] = []
    while True:
        while len(busy) < places:
            if promoted := rule.promotable():
                rule.go_on(*promoted)
                number = int(promoted[0])
            elif todo:
                number = todo.pop(0)
            else:
                break
            until = rule.limit(epochs[number], EPOCHS) or EPOCHS
            heappush(busy, (clock + until - epochs[number], number, until))
        if not busy:
            return epochs
        clock, number, epochs[number] = heappop(busy)
        if epochs[number] < EPOCHS:
            rule.note(str(number), epochs[number], runs[number][epochs[number] - 1], "min")


@pytest.mark.parametrize("places", [1, 2, 8])
@pytest.mark.parametrize("seed", range(5))
def test_it_spends_a_fraction_of_the_epochs_and_trains_the_best_to_its_end(seed: int, places: int) -> None:
    runs = curves(seed)
    epochs = carried_out(Asha(), runs, places)
    assert sum(epochs) < 0.4 * NUM * EPOCHS
    found = min(run[spent - 1] for run, spent in zip(runs, epochs, strict=True))
    assert found <= 1.01 * min(run[-1] for run in runs)
    assert max(epochs) == EPOCHS


def test_every_run_reaches_the_first_rung_and_none_stops_between_two() -> None:
    epochs = carried_out(Asha(), curves(0), 2)
    assert set(epochs) == {2, 6, EPOCHS}


def test_rungs_leave_room_for_a_comparison_before_the_end() -> None:
    assert Asha(3, 3).rungs(30) == [3, 9]
    assert Asha(1, 2).rungs(8) == [1, 2, 4]
    assert Asha(2, 3).rungs(5) == []
    assert Asha(2, 3).limit(0, 5) is None


def test_a_larger_score_is_better_where_it_is_said_so() -> None:
    rule = Asha(1, 2)
    rule.note("good", 1, 0.9, "max")
    assert rule.promotable() is None
    rule.note("bad", 1, 0.1, "max")
    assert rule.promotable() == ("good", 1)
    rule.go_on("good", 1)
    assert rule.promotable() is None


def test_a_run_that_paused_goes_on_once_others_turn_out_to_be_worse() -> None:
    rule = Asha(1, 2)
    for name, score in (("first", 1.0), ("best", 0.5)):
        rule.note(name, 1, score, "min")
    rule.go_on("best", 1)
    for name in ("worse", "worst"):
        rule.note(name, 1, 2.0, "min")
    assert rule.promotable() == ("first", 1)


def test_numbers_that_make_no_rungs_are_refused() -> None:
    with pytest.raises(ValueError, match="Give at least 1 epoch"):
        Asha(0, 3)


def test_diagnosis_asks_the_last_epochs_once_the_run_is_old_enough() -> None:
    rule = Diagnosis(warmup=3, patience=2)
    assert [rule.epochs(trained) for trained in range(6)] == [[], [], [], [], [3, 4], [4, 5]]


@pytest.mark.parametrize("wrong", [{"warmup": 0}, {"patience": 0}, {"findings": []}])
def test_numbers_that_stop_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stop nothing"):
        Diagnosis(**wrong)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["+pruner.findings=[divergd]"], "Did you mean 'diverged'?"),
     (["trainer.max_epochs=null", "+trainer.max_steps=9"], "Set trainer.max_epochs.")],
)  # fmt: skip
def test_diagnosis_that_would_stop_nothing_is_refused(sweep: Sweep, words: list[str], said: str) -> None:
    done = sweep("pruner=diagnosis", "optimizer.lr=0.1,0.01", *words)
    assert done.status == 2 and said in done.err, done.err


@pytest.mark.slow
def test_diagnosis_stops_what_is_beyond_help_and_finds_the_same_best_one(sweep: Sweep) -> None:
    asked = ["optimizer=sgd", "optimizer.lr=0.001,0.1,1,0.01,3,1e25", "trainer.max_epochs=40", "sweep.fuse=off",
             "launcher=processes", "launcher.places=1"]  # fmt: skip
    whole, cut = sweep(*asked, name="whole"), sweep(*asked, "pruner=diagnosis", name="cut")
    for one in (whole, cut):
        first = next(line for line in one.out.splitlines() if line.startswith("  1  "))
        assert first.endswith("02-lr=0.1")
    status = {run.name: result(run)["status"] for run in cut.runs}
    assert [*status.values()] == ["done", "done", "pruned", "done", "pruned", "diverged"], status
    assert result(cut.runs[2])["epochs"] < 40 and "2 of 6 were stopped by the pruner, which saved about" in cut.out
    again = sweep(*asked, "pruner=none", name="cut")
    assert again.status in (0, 1) and result(cut.runs[2])["epochs"] == 40, again.err


@pytest.mark.slow
def test_diagnosis_stops_members_of_a_stacked_model_too(sweep: Sweep) -> None:
    asked = ["optimizer=sgd", "optimizer.lr=0.01,0.1,1,3", "trainer.max_epochs=12", "sweep.fuse=4", "pruner=diagnosis"]
    done = sweep(*asked, "launcher=processes", "launcher.places=1")
    status = {run.name: result(run)["status"] for run in done.runs}
    assert status["02-lr=0.1"] == "done" and {status["03-lr=1"], status["04-lr=3"]} <= {"pruned", "done"}, done.err
