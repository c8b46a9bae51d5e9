"""How long a sweep would take, in words and against a budget."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from conftest import Compose
from gridstorm.config.value import duration, seconds
from gridstorm.error import UserError
from gridstorm.launcher.in_process import InProcess
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.sweeper.estimate import Estimate, pace, within
from gridstorm.sweeper.grouping import Fusing
from gridstorm.sweeper.preflight import Preflight, _shape
from gridstorm.sweeper.tryout import PILOT_STEPS, _short


@pytest.mark.parametrize(
    ("text", "value"), [(None, None), (90, 90), (1.5, 1.5), ("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200)]
)
def test_a_duration_is_a_number_with_a_unit(text: str | float | None, value: float | None) -> None:
    assert seconds("sweep.timeout", text) == value


@pytest.mark.parametrize("text", ["soon", "", "h", "-3m", "0", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="It is no duration"):
        seconds("sweep.timeout", text)


def test_a_duration_in_words_reads_back() -> None:
    for value in (0.5, 45.0, 120.0, 5400.0, 36000.0, 400000.0):
        read = seconds("sweep.budget", duration(value))
        assert read is not None and abs(read - value) <= 0.01 * value


def estimate(composed: Compose, drawn: bool = False) -> Estimate:
    trials = [Trial({}, [TrialRun(composed(f"model.depth={depth}"), 0)]) for depth in (1, 2, 3)]
    pilots = {
        pace(trial.runs[0].config): {"step": 0.01, "seconds": 10.0 * number, "bytes": 1.0}
        for number, trial in enumerate(trials, 1)
    }
    return Estimate(trials, pilots, Fusing(), places=2, count=6 if drawn else 3, drawn=drawn)


def test_places_share_the_work(composed: Compose) -> None:
    found = estimate(composed)
    assert found.total(found.trials) == 30


def test_the_first_trials_that_fit_are_kept(composed: Compose) -> None:
    found = estimate(composed)
    trials = [*found.trials]
    assert within(trials, found, 30, trim=False) == (trials, 3)
    assert within(trials, found, 16, trim=True) == (trials[:2], 2)
    with pytest.raises(UserError, match="would take 30s, and 2 of 3 trials fit"):
        within(trials, found, 16, trim=False)
    with pytest.raises(UserError, match=r"0 of 3 trials fit\. Allow sweep\.budget=30s\."):
        within(trials, found, 4, trim=True)


def test_of_trials_that_are_drawn_the_number_is_trimmed(composed: Compose) -> None:
    found = estimate(composed, drawn=True)
    trials = [*found.trials]
    assert found.total(trials) == 60
    assert within(trials, found, 31, trim=True) == (trials, 3)


def test_numbers_of_the_optimizer_change_neither_shape_nor_pace(composed: Compose) -> None:
    one, two = composed("optimizer.lr=0.1"), composed("optimizer.lr=0.2", "model.dropout=0.3", "seed=4")
    assert (_shape(one), pace(one)) == (_shape(two), pace(two))
    three = composed("data.batch_size=32")
    assert _shape(three) == _shape(one)
    assert pace(three) != pace(one)
    assert _shape(composed("model.width=64")) != _shape(one)


class Counting(InProcess):
    """Two places; remembers how many jobs it was given."""

    places = 2
    given = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.given += 1
        found: Future[Any] = Future()
        found.set_result({"why": None, "gain": 2.0})
        return found


@pytest.mark.parametrize(("groups", "jobs"), [(0, 0), (1, 2), (3, 3)])
def test_a_place_that_would_be_idle_tries_a_group_too(composed: Compose, groups: int, jobs: int) -> None:
    launcher = Counting()
    found = Preflight(launcher).speedups([[composed()]] * groups, measured=True)
    assert (len(found), launcher.given) == (groups, jobs)


def test_a_pilot_takes_as_many_steps_as_it_divides_its_time_by(composed: Compose) -> None:
    few = composed("trainer.limit_train_batches=2", "trainer.limit_val_batches=3")
    assert _short(few, PILOT_STEPS, None).values["trainer"]["limit_train_batches"] == PILOT_STEPS
    assert [_short(few, 5, most).values["trainer"]["limit_val_batches"] for most in (None, 2, 9)] == [3, 2, 3]
