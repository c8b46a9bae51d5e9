"""The project trains, and all that its folder of configurations offers can be composed."""

from pathlib import Path

import gridstorm
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where train.py stands: its conf/ and its pyproject.toml are looked for there."""
    monkeypatch.chdir(ROOT)


def test_a_run_learns_the_data(tmp_path: Path) -> None:
    """The default run is much better than chance."""
    run = gridstorm.train(gridstorm.compose(f"output_dir={tmp_path}"))
    accuracy = run.metrics["test/accuracy"]
    assert accuracy is not None
    assert accuracy > 0.9


@pytest.mark.parametrize(
    "file",
    sorted(ROOT.glob("conf/*/*.yaml")),
    ids=lambda file: f"{file.parent.name}={file.stem}",
)
def test_every_choice_can_be_composed(file: Path) -> None:
    """Its keys are those that its class takes, each of the right type."""
    if file.parent.name != "sweep":  # of which a single run takes nothing
        gridstorm.compose(f"{file.parent.name}={file.stem}")
