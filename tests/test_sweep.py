"""A grid: every combination with its own record, and a table sorted by score."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, result

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=4")


def sweep(directory: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python train.py -m` into a directory."""
    command = [sys.executable, "train.py", "-m", f"output_dir={directory}", "name=grid", *SHORT, *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment or None)


def test_every_combination_has_its_own_record_and_a_row_in_the_table(tmp_path: Path) -> None:
    done = sweep(tmp_path, "optimizer.lr=1e-3,1e-2", "model=mlp,linear", "data.batch_size=choice(32,64)")
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "grid").iterdir())
    assert len(runs) == 8
    assert [run.name for run in runs[:2]] == ["1-lr=0.001,mlp,batch_size=32", "2-lr=0.001,mlp,batch_size=64"]
    assert len({result(run)["signature"] for run in runs}) == 8
    table = done.stdout[done.stdout.index("optimizer.lr  model") :].splitlines()
    scores = [float(line.split()[4]) for line in table[1:9]]
    assert scores == sorted(scores)


def test_equal_recipes_are_trained_once(tmp_path: Path) -> None:
    done = sweep(tmp_path, "optimizer.lr=0.001,1e-3,0.01", "model.depth=2,2")
    assert "2 trials in" in done.stdout
    assert len(list((tmp_path / "grid").iterdir())) == 2


def test_a_failing_cell_does_not_stop_the_others(tmp_path: Path) -> None:
    import os

    environment = {**os.environ, "GRIDSTORM_ALLOW": "broken", "PYTHONPATH": str(Path(__file__).parent)}
    done = sweep(
        tmp_path, "model._target_=broken.RaisesInTraining,gridstorm.model.mlp.MLP", "model.width=8,16", **environment
    )
    assert done.returncode == 1
    assert "2 of 4 trials failed." in done.stderr
    statuses = [result(run)["status"] for run in sorted((tmp_path / "grid").iterdir())]
    assert statuses == ["failed", "failed", "done", "done"]
    assert "this network always fails" in done.stdout


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.lr=0.1,abc", "optimizer.lr=abc: It must be a number"),
        ("model=mlp,cnm", "There is no model called 'cnm'. Did you mean 'cnn'"),
        ("optimizer.lr=interval(0.1,1)", "An interval has no list of values"),
        ("data=digits,diabetes", "Choose one that does: loss=huber"),
        ("explain=true", "It is asked of one run"),
    ],
)
def test_a_wrong_cell_is_refused_before_anything_is_trained(tmp_path: Path, override: str, words: str) -> None:
    done = sweep(tmp_path, override, "data.batch_size=32,64")
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count(words) == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
