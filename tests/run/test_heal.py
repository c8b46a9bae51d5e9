"""Healing: a run whose curves say what is wrong goes on with the remedy, as a run of its own."""

from pathlib import Path
from typing import Any

import pytest

from conftest import Command, Train, result
from gridstorm.error import UserError
from gridstorm.record import RunRecord
from gridstorm.run.heal import _before

pytestmark = pytest.mark.slow


def test_a_run_that_goes_wrong_is_trained_with_the_remedy_and_says_so(command: Command, tmp_path: Path) -> None:
    status, out, err = command("heal=true", "optimizer=sgd", "optimizer.lr=1", "trainer.max_epochs=10", "name=ill")
    assert status == 0, err
    assert "heal 1 of 3: " in out and "so optimizer.lr=0.01 from the start: outputs/ill-healed-1" in out
    ill, well = (result(tmp_path / "outputs" / name) for name in ("ill", "ill-healed-1"))
    assert well["score"] < 0.5 < ill["score"] and well["findings"][0] not in ill["findings"]
    config = (tmp_path / "outputs/ill-healed-1/config.yaml").read_text()
    assert "heal: true" in config and "lr: 0.01" in config


def test_a_healthy_run_is_left_alone(command: Command, tmp_path: Path) -> None:
    assert command("heal=true", "trainer.max_epochs=3", "name=well")[0] == 0
    assert [run.name for run in (tmp_path / "outputs").iterdir()] == ["well"]


def test_it_goes_back_to_the_last_state_that_was_well_before_the_trouble_began(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("callbacks.checkpoint.every=1", "trainer.max_epochs=8", "trainer.limit_train_batches=5")
    record = RunRecord(run)
    at = {int(row["epoch"]): int(row["step"]) for row in record.rows()}

    def before(step: Any, *overrides: str) -> int:
        return _before(record, {"step": step}, list(overrides))

    monkeypatch.setattr("gridstorm.run.heal._is_well", lambda record, epoch: epoch != 3)
    assert before(at[4], "optimizer.lr=0.01") == 2
    assert before(at[8], "optimizer.lr=0.01") == 4  # half of the epochs are to be left
    assert before(None, "optimizer.lr=0.01") == before(at[1], "optimizer.lr=0.01") == 0
    assert before(at[4], "model.norm=batch") == 0


def test_a_state_that_was_ill_already_is_none_to_go_back_to(command: Command, tmp_path: Path) -> None:
    words = ("optimizer=sgd", "optimizer.lr=3", "trainer.max_epochs=8", "callbacks.checkpoint.every=1", "name=ill")
    assert command(*words)[0] in (0, 1)
    record = RunRecord(Path("outputs/ill"))
    last = max(int(row["step"]) for row in record.rows())
    assert _before(record, {"step": last}, ["optimizer.lr=0.01"]) == 0


def test_it_is_in_the_recipe_and_no_other_recipe_has_changed(command: Command, tmp_path: Path) -> None:
    for name, words in (("plain", []), ("healed", ["heal=true"])):
        assert command("trainer.max_epochs=1", f"name={name}", *words)[0] == 0
    plain, healed = (result(tmp_path / "outputs" / name)["signature"] for name in ("plain", "healed"))
    assert plain != healed and "heal" not in RunRecord(Path("outputs/plain")).config.recipe


def test_a_sweep_and_a_call_from_python_are_refused(command: Command) -> None:
    import gridstorm

    assert "It is asked of one run" in command("-m", "heal=true", "seed=0,1")[2]
    with pytest.raises(UserError, match="A remedy is a command line"):
        gridstorm.train(gridstorm.compose("heal=true"))
