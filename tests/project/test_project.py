"""A project of one's own: written, refused where it must be, trained by each door, and reached by what changes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import result
from gridstorm.error import UserError
from gridstorm.new import new_project
from gridstorm.target import project_at
from house import CONF, ROOT

GRIDSTORM = (sys.executable, "-m", "gridstorm")
ONE = ("trainer.max_epochs=1",)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as it was written."""
    place = tmp_path_factory.mktemp("place") / "own_project"
    words = new_project(place)
    assert words.startswith("own_project: a model, data, a preset, a sweep and two tests of your own")
    return place


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(written, tmp_path / "own_project")


def typed(
    place: Path, *command: str | Path, installed: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Carry out a command in a project, whose package can be imported where it is `installed`."""
    path = {"PYTHONPATH": str(place / "src")} if installed else {}
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GRIDSTORM_ALLOW")}
    done = subprocess.run(
        [*map(str, command)], cwd=place, env={**clean, **path, **environment}, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def train(place: Path, *arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    return typed(place, sys.executable, "train.py", *arguments, installed=installed)


@pytest.mark.parametrize(("name", "remedy"), {
    "My-Project": "Write my_project.", "9lives": "Write my_project.", "class": "Write my_project.",
    "json": "Write my_json.", "torch": "Write my_torch.", "gridstorm": "Write my_gridstorm.",
}.items())  # fmt: skip
def test_a_name_that_is_none_of_a_package_is_refused(tmp_path: Path, name: str, remedy: str) -> None:
    with pytest.raises(UserError, match=re.escape(remedy)):
        new_project(tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_nothing_is_overwritten_and_an_empty_folder_is_taken(tmp_path: Path) -> None:
    place = tmp_path / "own_place"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="nothing is overwritten"):
        new_project(place)
    assert [file.name for file in tmp_path.rglob("*")] == ["own_place", "mine.txt"]
    (place / "mine.txt").unlink()
    before = place.stat().st_ino
    new_project(place)
    assert (place / "train.py").is_file()
    assert place.stat().st_ino == before  # a shell may stand in it
    assert [file.name for file in tmp_path.iterdir()] == ["own_place"]
    with pytest.raises(UserError, match="It cannot be written"):
        new_project(Path("/proc/own_project"))


def test_nothing_of_the_template_is_left_in_it(written: Path) -> None:
    files = {str(file.relative_to(written)): file.read_text() for file in written.rglob("*") if file.is_file()}
    assert {"src/own_project/model.py", "outputs/.gitignore", ".gitignore", ".github/workflows/test.yml"} <= {*files}
    assert not [name for name, text in files.items() if "my_project" in name + text or "dot_" in name]
    assert len((written / "train.py").read_text().split("\n\n", 1)[1].strip().splitlines()) <= 4


def test_a_project_that_is_not_installed_is_told_how(project: Path) -> None:
    done = train(project, installed=False)
    assert done.returncode == 2
    assert "own_project cannot be found. Install your project: pip install -e .\n" in done.stderr


def test_help_listings_did_you_mean_and_types_know_its_choices(project: Path) -> None:
    helped = train(project, "--help").stdout
    ours = "breast_cancer, diabetes, digits, huggingface, images, loaders, npz, python_text"
    assert f"data: {ours}, spirals, table, text, text_classification\n" in helped
    assert "python train.py -m optimizer.lr=1e-3,1e-2" in helped
    wrong = train(project, "model=nett", "data.turns=many", "modle.width=3")
    assert wrong.returncode == 2
    assert "model=nett: There is no model called 'nett'. Did you mean 'net'?" in wrong.stderr
    assert "data.turns=many: It must be a number, and this is text." in wrong.stderr
    typo = train(project, "model=own_project.model.Nett", "model.widht=3")
    assert "own_project.model has no class Nett. Did you mean 'Net'?" in typo.stderr
    searched = train(project, "--info", "searchpath").stdout
    assert searched.index(str(project / "conf")) < searched.index("gridstorm/conf")


def test_a_configuration_by_another_name_is_not_passed_over_silently(project: Path) -> None:
    (project / "conf" / "config.yaml").rename(project / "conf" / "configuration.yml")
    done = train(project, "explain=true")
    assert done.returncode == 2
    assert "conf: There is no config.yaml in it. Rename configuration.yml, or write" in done.stderr


@pytest.fixture(scope="module")
def trained(written: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of it in which a run was trained, and what that printed."""
    place = shutil.copytree(written, tmp_path_factory.mktemp("trained") / "own_project")
    done = train(place, "name=first", *ONE)
    assert done.returncode == 0, done.stderr
    return place, done.stdout


def test_it_is_trained_and_the_card_says_who_allowed_its_package(trained: tuple[Path, str]) -> None:
    project, printed = trained
    assert "\nAllowed by pyproject.toml: own_project\n" in printed
    assert result(project / "outputs" / "first")["status"] == "done"
    told = train(project, *ONE, "explain=true", "--config-name", changed(project)).stdout
    assert "Other defaults than in outputs/first: optimizer.lr was 0.01, and is 0.02\n" in told


def changed(project: Path) -> str:
    """Write the project's configuration with another default, and return its name."""
    text = (project / "conf" / "config.yaml").read_text()
    (project / "conf" / "changed.yaml").write_text(text.replace("lr: 0.01", "lr: 0.02"))
    return "changed"


def test_it_is_swept_in_processes_that_know_what_is_allowed(project: Path) -> None:
    done = train(project, "-m", "sweep=width", "sweep.name=own", *ONE)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith("4 runs: 4 to go  ->  outputs/own\n")
    assert "again   python train.py experiment=outputs/own/best.yaml\n" in done.stdout
    data = project / "conf" / "data" / "spirals.yaml"
    data.write_text(data.read_text().replace("noise: 0.03", "noise: 0.05"))
    again = train(project, "-m", "sweep=width", "sweep.name=own", *ONE)
    words = "Other defaults than in outputs/own/01-width=8,lr=0.001: data.noise was 0.03, and is 0.05. Such runs are"
    assert words in again.stdout
    assert len([*project.glob("outputs/own/*/result.json")]) == 8


def test_the_command_gridstorm_trains_it_too_and_names_itself(project: Path) -> None:
    done = typed(project, *GRIDSTORM, "train", "-m", "seed=0,1", "sweep.name=own", *ONE)
    assert done.returncode == 0, done.stderr
    assert "again   python -m gridstorm train experiment=outputs/own/best.yaml\n" in done.stdout
    below = project / "src"
    assert "data: breast_cancer" in typed(below, *GRIDSTORM, "train", "--help").stdout
    assert (
        "spirals" not in typed(below, *GRIDSTORM, "train", "--help").stdout
    )  # its conf/ is that of the working directory
    allowed = typed(below, *GRIDSTORM, "train", "model=own_project.model.Net", "--cfg", "job", PYTHONPATH=str(below))
    assert "_target_: own_project.model.Net" in allowed.stdout  # its pyproject.toml is the nearest above
    for line, words in {"trian": "Did you mean 'train'?", "--halp": "arguments are required: COMMAND"}.items():
        assert words in typed(project, *GRIDSTORM, line).stderr


COMPLETE = """
cd {place}
PATH={bin}:{python}:$PATH
eval "$({command} -sc install=bash)"
COMP_LINE="{line}" COMP_POINT=100 COMP_CWORD={word} hydra_bash_completion
echo "${{COMPREPLY[*]}}"
"""


@pytest.mark.parametrize(("line", "expected"), {
    "gridstorm tr": ["train"], "gridstorm train model=": ["model=net", "model=mlp"],
    "gridstorm train data=sp": ["data=spirals"], "gridstorm train model=net model.wi": ["model.width="],
    "python train.py model=n": ["model=net"],
}.items())  # fmt: skip
def test_a_shell_completes_it(project: Path, line: str, expected: Sequence[str]) -> None:
    folder = project / "bin"
    folder.mkdir()
    command = folder / "gridstorm"
    command.write_text(f"#!{sys.executable}\nimport sys\nfrom gridstorm.cli import gridstorm\nsys.exit(gridstorm())\n")
    command.chmod(0o755)
    asked = "python train.py" if line.startswith("python") else "gridstorm"
    script = COMPLETE.format(
        place=project,
        bin=folder,
        python=Path(sys.executable).parent,
        command=asked,
        line=line,
        word=len(line.split(" ")) - 1,
    )
    done = typed(project, "bash", "--norc", "-c", script)
    assert {*expected} <= {*done.stdout.split()}, done.stderr


def test_only_the_nearest_pyproject_above_train_allows(project: Path, tmp_path: Path) -> None:
    (project / "train.py").rename(project / "conf" / "train.py")
    (project / "conf" / "pyproject.toml").write_text("[project]\nname = 'nearer'\n")
    done = typed(project, sys.executable, "conf/train.py", "--config-path", "../conf")
    assert "allow it: GRIDSTORM_ALLOW=own_project python conf/train.py ..." in done.stderr
    assert 'allow = ["own_project"] below [tool.gridstorm] in conf/pyproject.toml' in done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for flags in (
        ("--config-dir", f"{project}/conf", "model=net"),
        (f"experiment={project}/conf/experiment/wide.yaml",),
    ):
        done = typed(elsewhere, *GRIDSTORM, "train", *flags, PYTHONPATH=str(project / "src"))
        assert done.returncode == 2
        assert ("GRIDSTORM_ALLOW=own_project" in done.stderr) == (flags[0] == "--config-dir")


@pytest.mark.parametrize(("text", "words"), {
    "tool = 3": "It cannot be read", "[tool]\ngridstorm = 3": "It is no section",
    "[tool.gridstorm]\nalow = ['x']": "There is no key 'alow'. Did you mean 'allow'?",
    "[tool.gridstorm]\nallow = 'x'": "allow is no list of packages' names",
    "[tool.gridstorm]\nallow = ['../x']": "allow is no list of packages' names",
    "[tool.gridstorm": "It cannot be read",
}.items())  # fmt: skip
def test_a_section_that_is_wrong_is_said_to_be(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    if text == "tool = 3":
        assert project_at(tmp_path).allow == ()  # nothing of ours is in it
        return
    with pytest.raises(UserError, match=re.escape(words)):
        project_at(tmp_path)


def test_a_record_is_read_without_importing_what_it_names(trained: tuple[Path, str]) -> None:
    project, _ = trained
    words = (
        "import gridstorm, sys; print(gridstorm.Run('outputs/first').metrics['val/loss'], 'own_project' in sys.modules)"
    )
    assert typed(project, sys.executable, "-c", words).stdout.endswith(" False\n")
    outside = project.parent / "outside"
    outside.mkdir()
    done = typed(outside, *GRIDSTORM, "rerun", project / "outputs" / "first", PYTHONPATH=str(project / "src"))
    assert done.returncode == 2  # the pyproject.toml above a record allows nothing
    assert "GRIDSTORM_ALLOW=own_project" in done.stderr
    assert typed(project, *GRIDSTORM, "rerun", "outputs/first").stdout.splitlines()[-1].startswith("identical: all")


OWN_MAIN = """
import functools
import hydra
from gridstorm import main

def told(function):
    @functools.wraps(function)
    def inner(*arguments):
        print("told", end=" ")
        return function(*arguments)
    return inner

@hydra.main(version_base=None, config_path="../settings", config_name="mine.yaml")
@told
def own(config):
    print("handed", config.values["trainer"]["max_epochs"], config.choices["model"])
    return 3

if __name__ == "__main__":
    main(own)
"""


def test_an_own_hydra_main_is_honoured(tmp_path: Path) -> None:
    scripts, settings = tmp_path / "scripts", tmp_path / "settings"
    scripts.mkdir()
    (scripts / "go.py").write_text(OWN_MAIN)
    done = typed(tmp_path, sys.executable, "scripts/go.py")
    assert "config_path=../settings of @hydra.main in scripts/go.py: There is no such directory." in done.stderr
    settings.mkdir()
    done = typed(tmp_path, sys.executable, "scripts/go.py")
    assert "config_name=mine of @hydra.main in scripts/go.py: There is no mine.yaml in" in done.stderr
    (settings / "mine.yaml").write_text(
        "defaults: [gridstorm, override model: linear, _self_]\ntrainer: {max_epochs: 7}\n"
    )
    done = typed(tmp_path, sys.executable, "scripts/go.py")
    assert (done.stdout, done.returncode) == ("told handed 7 linear\n", 3), done.stderr
    assert "--config-path" not in typed(tmp_path, sys.executable, "scripts/go.py", "model=none").stderr
    help_of_it = typed(tmp_path, sys.executable, "scripts/go.py", "--help").stdout
    assert "python scripts/go.py model=cnn optimizer.lr=0.01" in help_of_it


def test_a_configuration_without_the_base_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("optimizer: {lr: 0.1}\n")
    done = typed(tmp_path, *GRIDSTORM, "train")
    assert (
        "config.yaml has nothing of what every run needs, such as a trainer. Begin its list of defaults" in done.stderr
    )
    shutil.rmtree(tmp_path / "conf")
    assert "model: cnn, linear" in typed(tmp_path, *GRIDSTORM, "train", "--help").stdout  # none of one's own is needed


def test_the_installed_configurations_are_those_at_the_top(tmp_path: Path) -> None:
    assert (ROOT / "src" / "gridstorm" / "conf").resolve() == CONF
    assert (ROOT / "src" / "gridstorm" / "conf").is_symlink()
