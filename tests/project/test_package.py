"""What a user installs: sdist and wheel, in a fresh environment outside of this repository; `ci/package` runs it."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from house import CONF, ROOT

pytestmark = [pytest.mark.package, pytest.mark.timeout(1800)]
USER = """
from pathlib import Path
import gridstorm
from gridstorm import Run, Sweep

def best(folder: Path) -> float | None:
    run: Run = gridstorm.train(gridstorm.compose("model=cnn"), verbose=True)
    grid: Sweep = gridstorm.sweep("optimizer.lr=1e-3,1e-2")
    scores = [trial.score for trial in grid.trials]
    result = gridstorm.Run(folder).result
    model = run.model()
    model.eval()
    return result.score if result else run.metrics["val/loss"] or scores[0]
"""


def carried_out(place: Path, *command: str | Path) -> str:
    """Carry out a command without anything of this repository in its environment, and return what it printed."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRIDSTORM", "PYTEST"))
    }
    done = subprocess.run([*map(str, command)], cwd=place, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(archive: Path) -> dict[str, bytes]:
    """Return what a wheel holds, but for the list of its own files."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("RECORD")}


def built(source: Path, place: Path, *what: str) -> Path:
    """Build a copy of a source tree, and return the archive."""
    pytest.importorskip("build", reason="of the extra package, which ci/package installs")
    before = {*place.glob("*")}
    carried_out(place, sys.executable, "-m", "build", *what, "--outdir", place, source)
    (made,) = {*place.glob("*")} - before
    return made


def copied(place: Path) -> Path:
    """Return a copy of the repository as it is committed."""
    place.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=place, input=archive, check=True)
    return place


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("source") / "gridstorm")


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(source, tmp_path_factory.mktemp("wheel"), "--wheel")


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(source, tmp_path_factory.mktemp("sdist"), "--sdist")


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, with an environment that has the wheel and nothing else of ours."""
    place = tmp_path_factory.mktemp("fresh")
    carried_out(place, sys.executable, "-m", "venv", place / "venv")
    carried_out(place, place / "venv" / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    return place


def test_wheel_and_sdist_hold_the_same_and_all_of_it(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    held = files(wheel)
    assert {name: held.get(f"gridstorm/conf/{name.relative_to(CONF)}") for name in CONF.rglob("*.yaml")} == {
        name: name.read_bytes() for name in CONF.rglob("*.yaml")
    }
    home = ROOT / "src"
    python = {file for file in home.rglob("*") if file.is_file() and "egg-info" not in str(file)}
    kept = {file for file in python if file.suffix != ".pyc" and "conf" not in file.relative_to(home).parts[1:2]}
    assert {str(file.relative_to(home)) for file in kept} <= {*held}
    assert {"gridstorm/py.typed", "hydra_plugins/gridstorm_sweeper/gridstorm_sweeper.py"} <= {*held}
    assert not [name for name in held if name.endswith(".pyc") or name.startswith(("tests", "bench"))]
    with tarfile.open(sdist) as opened:
        opened.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = tmp_path / "again"
    again.mkdir()
    assert files(built(unpacked, again, "--wheel")) == held


def test_twine_has_nothing_to_say(wheel: Path, sdist: Path) -> None:
    pytest.importorskip("twine", reason="of the extra package, which ci/package installs")
    told = carried_out(wheel.parent, sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    assert told.count("PASSED") == 2, told


def test_it_trains_in_an_empty_folder_by_its_own_door(fresh: Path) -> None:
    gridstorm = fresh / "venv" / "bin" / "gridstorm"
    assert "best val/loss" in carried_out(fresh, gridstorm, "train", "model=cnn", "trainer.max_epochs=2", "name=first")
    told = carried_out(fresh, gridstorm, "train", "-m", "optimizer.lr=1e-3,1e-2", "trainer.max_epochs=2")
    assert "again   gridstorm train experiment=outputs/" in told
    assert f"file://{fresh}/venv/lib" in carried_out(fresh, gridstorm, "train", "--info", "searchpath")


def test_a_users_script_is_typed(fresh: Path) -> None:
    carried_out(fresh, fresh / "venv" / "bin" / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", "mypy")
    (fresh / "script.py").write_text(USER)
    told = carried_out(fresh, fresh / "venv" / "bin" / "python", "-m", "mypy", "--strict", "script.py")
    assert "Success" in told


def test_a_new_project_is_installed_tested_swept_shown_and_reached_by_an_upgrade(
    fresh: Path, source: Path, tmp_path: Path
) -> None:
    binary = fresh / "venv" / "bin"
    project = fresh / "waves"
    pins = ROOT / "constraints.txt"
    (lines,) = re.findall(r"```sh\n(gridstorm new waves\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    told = carried_out(fresh, "bash", "-ec", f"export PATH={binary}:$PATH PIP_CONSTRAINT={pins}\n{lines}")
    assert "Allowed by pyproject.toml: waves" in told
    assert "4/4  " in told
    carried_out(project, binary / "pip", "install", "--quiet", "-c", pins, "-e", ".[test]", "ruff")
    assert re.search(r"\b\d+ passed", carried_out(project, binary / "python", "-m", "pytest"))
    carried_out(project, binary / "ruff", "check", ".")
    assert "best val/loss" in carried_out(project, binary / "python", "train.py", "name=first")
    shown_by_tensorboard(project, binary)
    copy = shutil.copytree(source, tmp_path / "later", symlinks=True)
    change(copy / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    change(copy / "conf" / "scheduler" / "constant.yaml", "factor: 1.0", "factor: 0.5")
    later = built(copy, tmp_path, "--wheel")
    carried_out(project, binary / "pip", "install", "--quiet", "--no-deps", later)
    told = carried_out(project, binary / "python", "train.py")
    assert "Other defaults than in outputs/first: scheduler.factor was 1.0, and is 0.5" in told


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def shown_by_tensorboard(project: Path, binary: Path) -> None:
    """Ask a real TensorBoard for the project's runs."""
    port = "16081"
    command = [str(binary / "tensorboard"), "--logdir", "outputs", "--port", port, "--load_fast", "false"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            time.sleep(1)
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/data/runs") as answer:
                    if "first" in (runs := answer.read().decode()):
                        return
            except OSError:
                runs = "no answer"
        raise AssertionError(runs)
    finally:
        process.terminate()
        process.wait()
