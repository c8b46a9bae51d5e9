"""Healing: a run whose curves say what is wrong goes on with the remedy, as a run of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command, Compose, Train, result, rows
from gridstorm.error import UserError
from gridstorm.record import RunRecord
from gridstorm.run.heal import _asked, _before

pytestmark = pytest.mark.slow

OWN = """
import pytorch_lightning as pl
import torch
from torch.nn import functional as F


class Mine(pl.LightningModule):
    def __init__(self, lr: float = 0.1, width: int = 32):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Tanh(), torch.nn.Linear(width, 10)
        )

    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""


LINE = [sys.executable, str(ROOT / "train.py")]
ILL = ("heal=true", "optimizer=sgd", "optimizer.lr=1", "name=ill")
LONG = ("trainer.max_epochs=30",)
HEALED = "so optimizer.lr=0.01 from the start: outputs/ill-healed-1"


def typed(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Carry out a command line in a process of its own, which the healed run takes over."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([*LINE, *words], cwd=folder, env=environment, capture_output=True, text=True)


def test_a_run_that_goes_wrong_is_ended_and_trained_with_the_remedy_and_says_so(
    command: Command, tmp_path: Path
) -> None:
    done = typed(tmp_path, *ILL, "trainer.max_epochs=10")
    assert done.returncode == 0, done.stderr
    assert "stopped after epoch 5 of 10: it was beyond help" in done.stdout
    assert f"heal 1 of 3: lr_at_stability_edge, {HEALED}" in done.stdout
    ill, well = (result(tmp_path / "outputs" / name) for name in ("ill", "ill-healed-1"))
    assert (ill["status"], well["status"], well["epochs"]) == ("pruned", "done", 10)
    assert well["score"] < 0.5 < ill["score"] and well["findings"][0] not in ill["findings"]
    config = (tmp_path / "outputs/ill-healed-1/config.yaml").read_text()
    assert "heal: true" in config and "lr: 0.01" in config
    out = command("resume=outputs/ill")[1]
    assert "is over already" in out and "healed  outputs/ill-healed-1" in out
    assert len([*(tmp_path / "outputs").iterdir()]) == 2


def test_in_two_processes_both_end_and_the_healed_run_has_two_again(tmp_path: Path) -> None:
    done = typed(tmp_path, *ILL, "trainer=ddp", "trainer.max_epochs=12", "trainer.accelerator=cpu", "trainer.devices=2")
    assert done.returncode == 0, done.stderr
    assert "of 12: it was beyond help" in done.stdout and HEALED in done.stdout
    well = RunRecord(tmp_path / "outputs" / "ill-healed-1")
    assert well.result and well.result.score and well.result.score < 0.5
    assert well.config.values["trainer"]["devices"] == 2


def test_a_module_of_ones_own_is_ended_and_healed_too(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diverging.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRIDSTORM_ALLOW", "diverging")
    followed: list[list[str]] = []
    monkeypatch.setattr("gridstorm.run.heal._become", followed.append)
    status, out, err = command("model=diverging.Mine", "model.lr=1e4", "heal=true", "trainer.max_epochs=12",
                               "monitor=val_loss", "mode=min")  # fmt: skip
    assert status == 0, err
    assert re.search(r"stopped after epoch \d of 12: it was beyond help", out), out
    rate = next(float(word.partition("=")[2]) for word in followed[0] if word.startswith("model.lr="))
    assert "heal 1 of 3: " in out and rate < 1e4 and "model=diverging.Mine" in followed[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_healed_run_that_is_stopped_or_killed_goes_on_to_the_same_numbers(
    command: Command, tmp_path: Path, number: int
) -> None:
    healed = tmp_path / "outputs" / "ill-healed-1"
    with subprocess.Popen([*LINE, *ILL, *LONG], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (healed / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate()[0]
    assert process.returncode == (143 if number == signal.SIGTERM else -number)
    assert number == signal.SIGKILL or ("Go on: " in said and "resume=outputs/ill-healed-1" in said)
    assert not (healed / "result.json").exists() and command("resume=outputs/ill-healed-1")[0] == 0
    assert command(*ILL[:-2], "optimizer.lr=0.01", *LONG, "name=whole")[0] == 0
    assert rows(healed) == rows(tmp_path / "outputs" / "whole")


def test_a_run_that_was_killed_before_it_was_healed_is_healed_when_it_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridstorm.run.heal._become", lambda words: None)  # killed just then
    assert command(*ILL, "trainer.max_epochs=10")[0] == 0
    assert [run.name for run in (tmp_path / "outputs").iterdir()] == ["ill"]
    done = typed(tmp_path, "resume=outputs/ill")
    assert done.returncode == 0 and HEALED in done.stdout
    assert result(tmp_path / "outputs" / "ill-healed-1")["score"] < 0.5


def test_after_three_remedies_it_is_said_that_none_helped(command: Command, tmp_path: Path) -> None:
    status, out, _ = command(*ILL[:-1], "name=ill-healed-3", "trainer.max_epochs=6")
    assert status == 0 and "not healed: lr_at_stability_edge is there after 3 remedies." in out
    assert [run.name for run in (tmp_path / "outputs").iterdir()] == ["ill-healed-3"]


def test_a_damaged_finding_heals_nothing_and_is_no_traceback(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[list[str]] = []
    monkeypatch.setattr("gridstorm.run.heal._become", followed.append)
    assert command(*ILL, "trainer.max_epochs=6")[0] == 0 and len(followed) == 1
    (tmp_path / "outputs" / "ill" / "findings.json").write_text("{")
    status, out, err = command("resume=outputs/ill")
    assert status == 0 and "is over already" in out and "Traceback" not in err and len(followed) == 1


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
        return _before(record, {"name": "diverged", "step": step}, list(overrides))

    assert _before(record, {"name": "still_improving", "step": None}, ["trainer.max_epochs=32"]) == 8
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
    assert _before(record, {"name": "diverged", "step": last}, ["optimizer.lr=0.01"]) == 0


def test_a_remedy_that_chooses_another_schedule_leaves_out_the_keys_of_the_one_before(
    command: Command, composed: Compose, tmp_path: Path
) -> None:
    words = ("scheduler=exponential", "scheduler.gamma=1.35", "optimizer.lr=0.002", "trainer.max_epochs=1", "name=ill")
    assert command(*words)[0] == 0
    asked = _asked(RunRecord(Path("outputs/ill")), ["scheduler=constant"], 0, "well")
    assert "optimizer.lr=0.002" in asked and not any("gamma" in text for text in asked)
    assert composed(*asked).choices["scheduler"] == "constant"


def test_it_is_in_the_recipe_and_no_other_recipe_has_changed(command: Command, tmp_path: Path) -> None:
    for name, words in (("plain", []), ("healed", ["heal=true"])):
        assert command("trainer.max_epochs=1", f"name={name}", *words)[0] == 0
    plain, healed = (result(tmp_path / "outputs" / name)["signature"] for name in ("plain", "healed"))
    assert plain != healed and "heal" not in RunRecord(Path("outputs/plain")).config.recipe


def test_a_sweep_several_nodes_and_a_call_from_python_are_refused(command: Command) -> None:
    import gridstorm

    assert "It is asked of one run" in command("-m", "heal=true", "seed=0,1")[2]
    assert "With trainer.num_nodes=2 a run cannot begin anew" in command("heal=true", "+trainer.num_nodes=2")[2]
    with pytest.raises(UserError, match="A remedy is a command line"):
        gridstorm.train(gridstorm.compose("heal=true"))
