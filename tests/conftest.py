"""What the tests share: composing a configuration as the command line does, and training it."""

import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gridstorm.command.compose import checked
from gridstorm.config.recipe import RunConfig

ROOT = Path(__file__).parents[1]
STAND_IN = ROOT / "tests" / "stand_in"  # what tests train with in place of a user's own code, and how they do so
Compose = Callable[..., RunConfig]
Train = Callable[..., Path]


@pytest.fixture(scope="session")
def composed() -> Compose:
    """Return a function that composes and checks overrides as `python train.py` does."""

    def of(*overrides: str) -> RunConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            whole = compose("config", list(overrides), return_hydra_config=True)
        return checked(OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"]), whole.hydra)

    return of


@pytest.fixture
def train(composed: Compose, tmp_path: Path) -> Train:
    """Return a function that trains overrides in this process and returns the run's directory."""
    from gridstorm.run.run import run

    def one(*overrides: str) -> Path:
        before = set(tmp_path.glob("outputs/*"))
        run(composed(f"output_dir={tmp_path / 'outputs'}", *overrides))
        (made,) = set(tmp_path.glob("outputs/*")) - before
        return made

    return one


@dataclass(frozen=True)
class Swept:
    """What a sweep printed and left: its exit status, both outputs, and its directory."""

    status: int
    out: str
    err: str
    directory: Path

    @property
    def runs(self) -> list[Path]:
        """The directories of its runs, by name."""
        return sorted(self.directory.glob("[0-9]*"))

    @property
    def first(self) -> str:
        """The line that it says first, after what is advised."""
        return next(line for line in self.out.splitlines() if not line.startswith("lint "))


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that carries out `python train.py ...` in this process, which has imported torch already.

    It returns the exit status and both outputs; the working directory is the test's own.
    """
    monkeypatch.chdir(tmp_path)

    def of(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        GlobalHydra.instance().clear()
        capfd.readouterr()
        status = 0
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as ended:
            status = int(ended.code or 0)
        GlobalHydra.instance().clear()
        told = capfd.readouterr()
        return status, told.out, told.err

    return of


Sweep = Callable[..., Swept]


@pytest.fixture
def sweep(tmp_path: Path, command: Command) -> Sweep:
    """Return a function that carries out `python train.py -m ...` in this process."""

    def of(*overrides: str, name: str = "grid") -> Swept:
        texts = [f"output_dir={tmp_path}", f"sweep.name={name}", *overrides]
        if not any(text.startswith("launcher") for text in overrides):
            texts.append("launcher=in_process")
        return Swept(*command("-m", *texts), tmp_path / name)

    return of


def rows(directory: Path) -> list[dict[str, Any]]:
    """Return the points of a run's curves without what the clock decides."""
    file = directory / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def result(directory: Path) -> dict[str, Any]:
    """Return a run's result."""
    return dict(json.loads((directory / "result.json").read_text()))
