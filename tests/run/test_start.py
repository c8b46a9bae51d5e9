"""What a start that trains imports: no more than it needs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets

from conftest import ROOT
from gridstorm.data import TensorData, _carried
from gridstorm.data.breast_cancer import BreastCancer
from gridstorm.data.diabetes import Diabetes
from gridstorm.data.digits import Digits

PROGRAM = """
import sys
import gridstorm.run, gridstorm.fusion
from gridstorm.data.digits import Digits
Digits().load()
print(sorted({"scipy.signal", "sklearn", "matplotlib", "pandas"} & {*sys.modules}))
import scipy.signal
print(scipy.signal.windows.hann(3).tolist())
"""


def test_it_imports_neither_scipy_signal_nor_scikit_learn_and_whoever_does_later_has_the_real_one() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[0.0, 1.0, 0.0]"]


SWEEP = """
import atexit, runpy, sys
atexit.register(lambda: print("torch" in sys.modules))
sys.argv = ["train.py", "-m", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""
WORKER = "import gridstorm.sweeper.preload, sys; print(sorted({'hydra', 'optuna', 'sklearn'} & {*sys.modules}))"


def test_a_sweep_loads_torch_in_its_workers_and_never_where_it_is_planned(tmp_path: Path) -> None:
    grid = (f"output_dir={tmp_path}", "optimizer.lr=0.1,0.2", "trainer.max_epochs=1", "trainer.limit_train_batches=2")
    line = [sys.executable, "-c", SWEEP, *grid]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_worker_imports_nothing_that_only_a_plan_needs() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Digits, lambda: datasets.load_digits(return_X_y=True)),
        (BreastCancer, lambda: datasets.load_breast_cancer(return_X_y=True)),
        (Diabetes, lambda: datasets.load_diabetes(return_X_y=True, scaled=False)),
    ],
)
def test_a_table_that_is_read_without_scikit_learn_is_what_its_own_loader_returns(
    ours: type[TensorData], theirs: object
) -> None:
    x, y = ours().load()
    measurements, targets = theirs()  # type: ignore[operator]
    scale = 16 if ours is Digits else 1
    assert np.array_equal(x.flatten(1).double() * scale, measurements)
    assert torch.equal(y.flatten(), torch.tensor(targets))


def test_where_the_files_are_elsewhere_scikit_learns_own_loader_is_asked() -> None:
    def nowhere(folder: object) -> _carried.Table:
        raise FileNotFoundError(folder)

    table = _carried.carried("diabetes", nowhere, scaled=False)
    assert np.array_equal(table[0], datasets.load_diabetes(return_X_y=True, scaled=False)[0])
