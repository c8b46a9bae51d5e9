"""The command `gridstorm`."""

import shutil
from pathlib import Path

import pytest
import yaml

from conftest import Compose, Train
from gridstorm.cli import gridstorm as main
from gridstorm.run.run import run

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=5", "model.dropout=0.2")


def test_a_rerun_on_the_same_machine_is_identical(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    made = train(*SHORT)
    assert main(["rerun", str(made)]) == 0
    assert "identical: all 2 points of the curves and all weights, bit for bit" in capsys.readouterr().out
    assert (made.parent / f"{made.name}-rerun" / "result.json").exists()


def test_a_rerun_says_what_differs(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    made = train(*SHORT)
    lines = (made / "metrics.jsonl").read_text().replace('"train/loss": 2', '"train/loss": 3')
    (made / "metrics.jsonl").write_text(lines)
    (made / "environment.json").write_text((made / "environment.json").read_text().replace('"cores": ', '"cores": 9'))
    assert main(["rerun", str(made)]) == 1
    shown = capsys.readouterr().out
    assert "not identical:\n  train/loss at step 5: 3" in shown
    assert "cores: 9" in shown


def test_a_rerun_does_not_build_what_a_foreign_record_names(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(composed(f"output_dir={tmp_path}", "name=mine", *SHORT))
    shutil.copytree(tmp_path / "mine", tmp_path / "theirs")
    config = yaml.safe_load((tmp_path / "theirs" / "config.yaml").read_text())
    config["loss"] = {"_target_": "os.system", "command": f"touch {tmp_path / 'owned'}"}
    (tmp_path / "theirs" / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as ended:
        main(["rerun", str(tmp_path / "theirs")])
    assert ended.value.code == 2
    assert "Configuration may only build" in capsys.readouterr().err
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "theirs-rerun").exists()


def test_a_directory_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rerun", str(tmp_path)])
    assert ended.value.code == 2
    assert "There is no run in this directory" in capsys.readouterr().err


def test_a_rerun_names_a_checkpoint_that_cannot_be_compared_before_it_trains(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    made = train(*SHORT)
    (made / "checkpoints" / "last.ckpt").write_bytes(b"noise")
    with pytest.raises(SystemExit, match="2"):
        main(["rerun", str(made)])
    assert "last.ckpt: It cannot be read" in capsys.readouterr().err
    assert not (made.parent / f"{made.name}-rerun").exists()
