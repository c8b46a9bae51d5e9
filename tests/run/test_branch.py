"""Branches: a run goes on from a state that another one kept, with other hyperparameters."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from conftest import Command, Sweep, result, rows
from gridstorm.record import RunRecord
from gridstorm.run import rerun
from house import ALL

SCHEDULERS = ["constant", "step", "exponential", "cosine", "warmup_cosine", "one_cycle", "plateau"]
STEPS = ("trainer.limit_train_batches=6",)
FEW = ("trainer.max_epochs=4", "trainer.limit_train_batches=6", "optimizer=sgd", "optimizer.lr=0.1")


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return dict(torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"])


def equal(first: Path, second: Path) -> bool:
    """Whether two runs have the same curves and the same weights."""
    one, two = weights(first), weights(second)
    return rows(first) == rows(second) and all(torch.equal(value, two[name]) for name, value in one.items())


def rates(run: Path) -> list[float]:
    """The learning rate at the end of each epoch."""
    return [*{row["epoch"]: row["lr"] for row in rows(run) if "lr" in row}.values()]


@pytest.mark.parametrize("scheduler", SCHEDULERS if ALL else ["step", "one_cycle", "plateau"])
def test_a_branch_that_changes_nothing_is_its_parent_and_one_that_changes_the_rate_has_its_schedule_at_that(
    command: Command, tmp_path: Path, scheduler: str
) -> None:
    outputs = tmp_path / "outputs"
    assert command(*FEW, f"scheduler={scheduler}", "callbacks.checkpoint.every=1", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "name=same")[0] == 0
    assert equal(outputs / "first", outputs / "same")
    status, out, err = command("branch=outputs/first@2", "optimizer.lr=0.05", "name=half")
    assert status == 0, err
    assert "Branches off after epoch 2 of outputs/first: optimizer.lr 0.1 -> 0.05" in out
    before, after = rates(outputs / "first"), rates(outputs / "half")
    assert after[:2] == before[:2]
    assert after[2:] == pytest.approx([rate / 2 for rate in before[2:]], rel=1e-3)
    assert len({result(outputs / name)["signature"] for name in ("first", "same", "half")}) == 3


@pytest.mark.parametrize("schedule", ["sequential", "plateau", "one_cycle", "lambda"])
def test_so_it_is_with_a_module_of_ones_own_and_its_schedule(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "scheduled")
    outputs = tmp_path / "outputs"
    line = ("model=scheduled.Scheduled", f"model.schedule={schedule}", "trainer.max_epochs=6", *STEPS)
    status, _, err = command(*line, "callbacks.checkpoint.every=1", "name=first")
    assert status == 0, err
    assert command("branch=outputs/first@3", "name=same")[0] == 0
    assert equal(outputs / "first", outputs / "same")
    status, _, err = command("branch=outputs/first@3", "model.lr=0.05", "name=half")
    assert status == 0, err
    before, after = rates(outputs / "first"), rates(outputs / "half")
    assert len(set(before)) > 2 and after[:3] == before[:3]
    if schedule != "plateau":  # which falls by the scores, and these are others
        assert after[3:] == pytest.approx([rate / 2 for rate in before[3:]], rel=1e-3)
    assert after[3] <= before[3] / 2


def test_another_scheduler_begins_anew_over_what_remains_and_another_optimizer_without_averages(
    command: Command, tmp_path: Path
) -> None:
    assert command(*FEW, "callbacks.checkpoint.every=2", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "scheduler=cosine", "trainer.max_epochs=6", "name=cosine")[0] == 0
    lr, left = rates(tmp_path / "outputs/cosine"), 4
    assert lr[:2] == [0.1, 0.1] and lr[-1] < 0.01
    assert lr[3] == pytest.approx(0.05 * (1 + math.cos(math.pi * 2 / left)), abs=0.02)
    status, out, err = command("branch=outputs/first@2", "optimizer=adam", "name=adam")
    assert status == 0, err
    assert rates(tmp_path / "outputs/adam") == [0.1, 0.1, 0.001, 0.001] and "optimizer.momentum 0.9 -> none" in out


def test_the_best_weights_are_those_of_the_best_score_up_to_there(command: Command, tmp_path: Path) -> None:
    assert command(*FEW, "callbacks.checkpoint.every=1", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "optimizer.lr=1e-12", "name=still")[0] == 0
    scores = [row["val/loss"] for row in rows(tmp_path / "outputs/first") if "val/loss" in row]
    told = result(tmp_path / "outputs/still")
    assert told["score"] <= min(scores[:2]) * 1.0001 and told["best_epoch"] >= 1 + (scores[1] < scores[0])


def test_a_branch_is_interrupted_and_goes_on_and_is_trained_again_without_its_parent(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    stop = "+callbacks.stop._target_=stranger.modules.Stop"
    assert command("trainer.max_epochs=5", "name=first", stop, "callbacks.checkpoint.every=1")[0] == 0
    assert command("branch=outputs/first@1", "optimizer.lr=0.01", "name=whole")[0] == 0
    monkeypatch.setenv("STRANGER_STOPS_AT", "3")
    assert command("branch=outputs/first@1", "optimizer.lr=0.01", "name=stopped")[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    shutil.rmtree(tmp_path / "outputs/first")
    again = command("resume=outputs/stopped")
    assert again[0] == 0, again[2]
    assert equal(tmp_path / "outputs/whole", tmp_path / "outputs/stopped")
    assert rerun(RunRecord(Path("outputs/whole"))) == 0, capfd.readouterr().out


def test_branches_are_swept_alone_and_as_one_stacked_model_with_the_same_curves(
    sweep: Sweep, command: Command, tmp_path: Path
) -> None:
    assert command(*FEW, "callbacks.checkpoint.every=1", f"output_dir={tmp_path}", "name=first")[0] == 0
    asked = (f"branch={tmp_path}/first@2", "optimizer.lr=0.1,0.01,0.001")
    fused, alone = sweep(*asked, "sweep.fuse=3", name="fused"), sweep(*asked, "sweep.fuse=off", name="alone")
    assert fused.status == alone.status == 0, fused.err + alone.err
    for one, other in zip(fused.runs, alone.runs, strict=True):
        scores = [[row["val/loss"] for row in rows(run) if "val/loss" in row] for run in (one, other)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4) and rates(one) == rates(other)
    status, out, err = command(f"experiment={tmp_path}/fused/best.yaml", f"output_dir={tmp_path}", "name=again")
    assert status == 0 and "Branches off after epoch 2" in out, err


def test_tensorboard_shows_the_curve_of_the_parent_before_that_of_the_branch(command: Command, tmp_path: Path) -> None:
    from tensorboard_server import tensorboard

    assert command(*FEW, "callbacks.checkpoint.every=1", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "optimizer.lr=0.01", "name=later")[0] == 0
    with tensorboard(tmp_path / "outputs") as server:
        first, later = (server.scalars(run, "val/loss") for run in ("first", "later"))
    assert len(first) == len(later) == 4 and first[:2] == later[:2] and first[2:] != later[2:]


def test_a_branch_trains_longer_like_any_run(command: Command, tmp_path: Path) -> None:
    assert command(*FEW, "callbacks.checkpoint.every=2", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "optimizer.lr=0.01", "name=later")[0] == 0
    status, out, err = command("resume=outputs/later", "trainer.max_epochs=5", "name=longer")
    assert status == 0 and "Trains on from epoch 4 of outputs/later" in out, err
    assert rates(tmp_path / "outputs/longer") == [0.1, 0.1, 0.01, 0.01, 0.01]


def test_a_branch_that_is_killed_while_it_begins_begins_again(command: Command, tmp_path: Path) -> None:
    assert command(*FEW, "callbacks.checkpoint.every=2", "name=first")[0] == 0
    assert command("branch=outputs/first@2", "optimizer.lr=0.01", "name=whole")[0] == 0
    killed = shutil.copytree(tmp_path / "outputs/whole", tmp_path / "outputs/killed")
    for name in ("result.json", "metrics.jsonl", "checkpoints/last.ckpt"):
        (killed / name).unlink()
    assert command("resume=outputs/killed")[0] == 0
    assert equal(killed, tmp_path / "outputs/whole")


def test_a_run_is_a_preset_of_what_it_was_trained_with(command: Command, tmp_path: Path) -> None:
    assert command(*FEW, "model.width=16", "name=first")[0] == 0
    status, _, err = command("experiment=outputs/first/config.yaml", "seed=1", "name=second")
    assert status == 0, err
    config = (tmp_path / "outputs/second/config.yaml").read_text()
    assert "width: 16" in config and "lr: 0.1" in config and "seed: 1" in config


def test_a_branch_begins_from_a_run_of_a_sweep_whose_name_holds_what_was_swept(
    sweep: Sweep, command: Command, tmp_path: Path
) -> None:
    done = sweep(*FEW[:3], "optimizer.lr=0.1,0.01", "callbacks.checkpoint.every=2")
    status, out, err = command(f"branch={done.runs[1]}@2", "optimizer.lr=0.001", "name=later")
    assert status == 0 and "optimizer.lr 0.01 -> 0.001" in out, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["branch=outputs/nowhere@2"], "There is no run in this directory. Write branch=DIRECTORY@EPOCH"),
        (["branch=outputs/first@3"], "The states after these epochs are kept: 2, 4."),
        (["branch=outputs/first@soon"], "The states after these epochs are kept: 2, 4."),
        (["branch=outputs/first"], "The branch begins after epoch 4, and nothing is left to be trained."),
        (["branch=outputs/first@2", "optimizer.lrr=1"], "Did you mean 'optimizer.lr'?"),
        (["branch=outputs/first@2", "resume=outputs/first"], "Leave out resume= or branch=."),
        (["branch=outputs/first@2", "model.width=16"], "Its weights are not of this model: network.hidden1.linear"),
        (["-m", "branch=outputs/first@2,outputs/first@4"], "A sweep takes a single value here."),
        (["+parent={epoch:1}"], "The run sets this itself."),
    ],
)
def test_what_is_no_branch_is_refused_in_words(command: Command, tmp_path: Path, words: list[str], said: str) -> None:
    kept = tmp_path.parent / "kept-for-branches"
    if not kept.exists():
        assert command(*FEW, "callbacks.checkpoint.every=2", f"output_dir={kept}", "name=first")[0] == 0
        about = json.loads((kept / "first/result.json").read_text())
        (kept / "first/result.json").write_text(json.dumps({**about, "best_epoch": 4}))
    shutil.copytree(kept, tmp_path / "outputs")
    status, _, err = command(*words)
    assert status == 2 and said in err and "Traceback" not in err, err
    assert [run.name for run in (tmp_path / "outputs").iterdir()] == ["first"]
