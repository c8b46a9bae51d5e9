"""The real command line, in a process that dies if it imports anything heavy."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from guard import GUARD

ROOT = Path(__file__).parents[2]
REFUSED = {
    "a key": (["optimizer.lrr=0.1"], "Did you mean 'optimizer.lr'?"),
    "a group": (["modle=cnn"], "Did you mean 'model=cnn'?"),
    "a choice": (["model=cn"], "Did you mean 'cnn'?"),
    "a number": (["optimizer.lr=abc"], "It must be a number, and this is text."),
    "a whole number": (["trainer.max_epochs=ten"], "It must be a whole number or null, and this is text."),
    "an argument": (["+optimizer.foo=1"], "Adam takes no 'foo'."),
    "a missing value": (["data=text", "model=transformer"], "data.path: It must be given"),
    "an interpolation": (["optimizer.lr=${nope}"], "It cannot be resolved"),
    "three ranges": (["data.batch_size=0", "model.dropout=1.5", "optimizer.lr=-1"], "for 3 problems"),
    "two targets": (["model._target_=os.system", "loss._target_=builtins.eval"], "for 2 problems"),
    "a metric": (["monitor=val/acc"], "Did you mean 'val/accuracy'?"),
    "a direction": (["mode=best"], "Choose one of: max, min."),
    "a pair": (["data=diabetes"], "Choose one that does: loss=huber"),
    "a sweep": (["-m", "optimizer.lr=0.1,abc", "model=mlp,cn"], "for 2 problems"),
    "a cell of a sweep": (["-m", "data=digits,diabetes", "sampler=tpe", "sweep.n_trials=5"], "loss=huber"),
    "an interval in a grid": (["-m", "optimizer.lr=interval(0.1,1)"], "Choose a sampler that draws from it"),
    "a sweep's key in a run": (["sweep.repeats=3"], "This key only applies to a sweep (-m). Add -m."),
}
FLAGS = {
    "an unknown flag": (["--multirrun"], "--multirrun: There is no such flag. Did you mean '--multirun'?"),
    "two at once": (["--run", "--multirun"], "--run --multirun: Each of these asks for something else."),
    "an unknown file": (["--config-name", "nope"], "--config-name nope: There is no nope.yaml in"),
    "an unknown folder": (["--config-dir", "nope"], "There is no such directory."),
    "a pickle": (["--experimental-rerun", "x.pickle"], "A pickled configuration can run any code."),
    "a flag's value": (["--cfg", "jobs"], "invalid choice: 'jobs'"),
    "help on a typo": (["--help", "modle=cnn"], "Did you mean 'model=cnn'?"),
    "a typo printed": (["--cfg", "job", "model=cn"], "Did you mean 'cnn'?"),
}


@dataclass
class Ended:
    """How a process ended: its exit status, and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guard")
    (folder / "sitecustomize.py").write_text(GUARD)
    return folder


def train(guard: Path, *arguments: str, cwd: Path = ROOT, **environment: str) -> Ended:
    """Run `python train.py` under the guard."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(guard), **environment},
        capture_output=True,
        text=True,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_the_guard_sees_a_heavy_import(guard: Path) -> None:
    for name in ("torch", "sklearn.datasets"):
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"],
            env={**os.environ, "PYTHONPATH": str(guard)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (99, f"imported {name.partition('.')[0]}\n")


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_configuration_is_refused_at_once_and_in_words(guard: Path, tmp_path: Path, kind: str) -> None:
    arguments, words = REFUSED[kind]
    ended = train(guard, *arguments, cwd=tmp_path)
    assert ended.status == 2, ended.err
    assert ended.out == ""
    assert words in ended.err
    lines = ended.err.splitlines()
    assert lines[0].startswith("Nothing was started, for ")
    assert all(line.startswith("  * ") and line.endswith((".", "?")) for line in lines[1:])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FLAGS)
def test_a_wrong_flag_is_refused_in_words(guard: Path, kind: str) -> None:
    arguments, words = FLAGS[kind]
    ended = train(guard, *arguments)
    assert ended.status == 2, ended.err
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_help_lists_the_commands_the_choices_and_the_keys(guard: Path) -> None:
    ended = train(guard, "--help", "model=cnn")
    assert ended.status == 0, ended.err
    assert "model: cnn, linear, mlp, resnet, tabular, text_cnn, transformer\n" in ended.out
    assert f"python {ROOT / 'train.py'} -m optimizer.lr=1e-3,1e-2" in ended.out
    assert "_target_: gridstorm.model.cnn.CNN" in ended.out
    assert ended.err == ""


def test_cfg_prints_the_configuration_as_it_is(guard: Path) -> None:
    ended = train(guard, "--cfg", "job", "optimizer.lr=abc", "--package", "optimizer")
    assert ended.status == 0, ended.err
    assert ended.out.startswith("# @package optimizer\n_target_: torch.optim.Adam\n")
    assert "lr: abc" in ended.out


def test_info_says_how_the_configuration_came_about(guard: Path) -> None:
    ended = train(guard, "--info", "defaults-tree")
    assert ended.status == 0, ended.err
    assert "model: mlp" in ended.out


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mod", "mode= model. model="),
        ("model=", "model=cnn model=linear model=mlp model=resnet model=tabular model=text_cnn model=transformer"),
        ("optimizer.l", "optimizer.lr="),
    ],
)
def test_the_tab_key_completes_groups_choices_and_keys(guard: Path, line: str, offered: str) -> None:
    whole = f"python train.py {line}"
    ended = train(guard, "-sc", "query=bash", COMP_LINE=whole, COMP_POINT=str(len(whole)))
    assert ended.out.split() == offered.split()
    assert ended.err == ""


def test_what_is_accepted_is_what_imports_torch(guard: Path) -> None:
    for arguments in ([], ["explain=true"], ["-m", "seed=0,1", "launcher=in_process"]):
        ended = train(guard, *arguments)
        assert ended.status == 99, ended.err


def test_a_preset_of_your_own_folder_is_found_and_checked(guard: Path, tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    preset = tmp_path / "conf" / "experiment" / "mine.yaml"
    preset.write_text("# @package _global_\noptimizer:\n  lr: fast\n")
    ended = train(guard, "--config-dir", "conf", "experiment=mine", cwd=tmp_path)
    assert ended.status == 2
    assert "optimizer.lr=fast (preset mine): It must be a number, and this is text." in ended.err
    preset.write_text("seed: [1\n")
    ended = train(guard, "--config-dir", "conf", "experiment=mine", cwd=tmp_path)
    assert ended.status == 2
    assert "mine.yaml, line 2: It is not YAML" in ended.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: [1\n", "config.yaml, line 2: It is not YAML"),
        ("defaults:\n  - model: mpl\n", "config.yaml: In 'config': Could not find 'model/mpl'."),
        ("model: {}\n", "config.yaml has nothing of what every run needs, such as a trainer. Begin its list"),
        ("[1, 2]\n", "config.yaml, line 1: It is a list, and no section."),
        ("seed: 0\n", "model: A run needs one, and there is none."),
    ],
)
def test_a_primary_configuration_of_your_own_is_checked_too(guard: Path, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    ended = train(guard, "--config-path", str(tmp_path), "seed=1")
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_a_reader_may_stop_reading(guard: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} train.py --help | head -1",
        shell=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(guard)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Train a model")
    assert done.stderr == ""


def test_explain_shows_what_would_be_trained_and_where_each_value_came_from() -> None:
    done = subprocess.run(
        [sys.executable, "train.py", "explain=true", "model=cnn", "optimizer.lr=0.01"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["optimizer.lr", "0.01", "command", "line"] in rows
    assert ["model.width", "16", "choice", "model=cnn"] in rows
    assert ["data.seed", "0", "default"] in rows
