"""What is kept: listed, compared, renamed, thrown away, confirmed; on two real sweeps and a run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from gridstorm.archive.board import link
from gridstorm.archive.entry import moment
from gridstorm.archive.listing import listed
from gridstorm.archive.removal import move, removals, remove
from gridstorm.error import UserError
from gridstorm.record import manifest
from gridstorm.record.file import hold
from house import ROOT

Typed = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = ["trainer.max_epochs=2", "trainer.limit_train_batches=10", "callbacks=default", "~callbacks.progress_bar"]


def call(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two sweeps and a run were trained."""
    folder = tmp_path_factory.mktemp("kept")
    train = [sys.executable, str(ROOT / "train.py")]
    lines = [
        ["-m", "optimizer=sgd", "optimizer.lr=0.01,0.1,1e25", "sweep.repeats=2", "sweep.name=rates", "note=which rate",
         "tags=[rates,first]", "sweep.fuse=off"],
        ["-m", "model=mlp,linear", "sweep.name=models"],
        ["name=alone", "model=linear", "tags=[baseline]"],
    ]  # fmt: skip
    for line in lines:
        done = call(folder, *train, *line, *SHORT)
        assert done.returncode in (0, 1), done.stderr
    return folder


@pytest.fixture(scope="module")
def typed(kept: Path) -> Typed:
    """Return a function that types a command of gridstorm in the folder."""
    return lambda *words: call(kept, sys.executable, "-m", "gridstorm", *words)


def test_all_is_listed_with_score_health_and_what_it_was_for(kept: Path, typed: Typed) -> None:
    told = typed("ls").stdout
    rates = next(line for line in told.splitlines() if " rates " in line)
    assert "2 done, 1 diverged" in rates and rates.endswith("rates first  which rate")
    assert [line.split()[0] for line in told.splitlines()[1:]] == ["run", "sweep", "sweep"]  # the newest first
    found = json.loads(typed("ls", "--json").stdout)
    assert {Path(one["directory"]).name: one["kind"] for one in found} == {
        "alone": "run", "models": "sweep", "rates": "sweep",
    }  # fmt: skip
    assert len(listed(kept / "outputs/rates").splitlines()) == 7


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["tags=first"], ["rates"]), (["tags=baseline"], ["alone"]), (["note=RATE"], ["rates"]),
        (["model=linear"], ["alone"]), (["optimizer.lr=0.1"], ["rates"]), (["model=cnn"], []),
    ],
)  # fmt: skip
def test_a_filter_chooses_by_tag_note_choice_or_key(kept: Path, words: list[str], names: list[str]) -> None:
    found = json.loads(listed(kept / "outputs", words, as_json=True))
    chosen = {Path(one["directory"]).name for one in found}
    assert chosen - {"models"} == {*names}  # whose best may be of either model


def test_the_best_come_first_and_what_failed_is_found(kept: Path) -> None:
    found = json.loads(listed(kept / "outputs", best=True, as_json=True))
    assert [one["score"] for one in found] == sorted(one["score"] for one in found) and len(found) == 3
    assert "rates" in listed(kept / "outputs", failed=True) and "alone" not in listed(kept / "outputs", failed=True)
    assert listed(kept / "outputs", since="1h") == listed(kept / "outputs")
    assert listed(kept / "outputs", since="2999-01-01") == f"Nothing in {kept / 'outputs'} is so."


@pytest.mark.parametrize("content", ['{"trials": 5}', '{"trials": [{"x": 1}]}', '{"trials": [], "tags": 3}'])
def test_a_sweep_whose_manifest_is_damaged_is_listed_as_that(tmp_path: Path, content: str) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "sweep.json").write_text(content)
    assert "damaged" in listed(tmp_path) and "sweep.json is not as we write it" in listed(tmp_path)


def test_times_are_read_as_people_say_them() -> None:
    now = datetime(2026, 11, 28, 15)
    assert moment("yesterday", now) == datetime(2026, 11, 27).timestamp()
    assert moment("2d", now) == datetime(2026, 11, 26, 15).timestamp()
    assert moment("2026-11-01", now) == datetime(2026, 11, 1).timestamp()
    with pytest.raises(UserError, match="no time"):
        moment("tomorrow", now)


def test_runs_and_sweeps_are_compared_side_by_side(typed: Typed) -> None:
    told = typed("compare", "outputs/alone", "outputs/rates", "outputs/models").stdout
    assert "recipe" in told and "optimizer.momentum" in told and "rates (best)" in told
    assert "a alone" in told and "by epoch:" in told and "parameters" in told
    same = typed("compare", "outputs/alone", "outputs/alone").stdout
    assert "Their recipes are the same" in same and "only other seeds tell" in same


def test_a_sweep_is_reported_on_and_nothing_heavy_is_loaded(kept: Path, typed: Typed) -> None:
    done = typed("report", "outputs/rates")
    assert done.stdout.startswith("Best: optimizer.lr=0.1, with val/loss") and "report.html" in done.stdout
    page = (kept / "outputs/rates/report.html").read_text()
    assert (
        page.startswith("<!doctype html>")
        and "1 of 3 settings failed or diverged" in page
        and not re.search(r"(src|href)=|@import|url\(", page)
    )
    assert json.loads(typed("report", "outputs/rates", "--json").stdout)["best"] == {"optimizer.lr": 0.1}
    together = typed("report", "outputs/rates", "outputs/models", "--out", "both.html")
    assert together.returncode == 0 and "rates, models" in (kept / "both.html").read_text(), together.stderr
    code = "import sys; from gridstorm.cli import gridstorm; gridstorm(['report', 'outputs/rates']); "
    seen = call(kept, sys.executable, "-c", code + "print({'torch', 'optuna', 'sklearn'} & {*sys.modules})")
    assert seen.stdout.splitlines()[-1] == "set()"


def test_a_link_opens_tensorboard_at_what_is_asked(kept: Path) -> None:
    folder, address = link(kept / "outputs/rates")
    assert folder == kept / "outputs/rates" and "pinnedCards=" in address and "smoothing=0" in address
    assert "runColorGroup=regex%3Alr" in address
    assert "runFilter=%5Ealone%24" in link(kept / "outputs/alone")[1]


def test_a_sweep_gets_another_name_with_all_that_names_it(kept: Path, typed: Typed) -> None:
    assert typed("mv", "outputs/models", "networks").returncode == 0
    about = manifest(kept / "outputs/networks")
    assert about["name"] == "networks" and "sweep.name=networks" in about["command"]
    table = (kept / "outputs/networks/results.csv").read_text()
    assert "outputs/networks/" in table and "outputs/models" not in table
    again = call(kept, sys.executable, *shlex.split(about["command"])[1:])
    assert typed("mv", "outputs/networks", "models").returncode == 0
    assert "2 runs: 2 done, 0 to go" in again.stdout, again.stderr


def test_the_best_is_trained_again_with_new_seeds_and_tested(kept: Path, typed: Typed) -> None:
    done = typed("confirm", "outputs/rates", "best=2", "repeats=2")
    assert "2 settings with 2 new seeds each" in done.stdout and "seed=2" in done.stdout, done.stderr
    assert "Adopt optimizer.lr=" in done.stdout and "On the test set: loss " in done.stdout, done.stdout
    about = manifest(kept / "outputs/rates-confirmed")
    assert "~callbacks.progress_bar" in about["command"]  # which the sweep was trained without
    assert {run["seed"] for trial in about["trials"] for run in trial["runs"]} == {2, 3}
    remove(removals([kept / "outputs/rates-confirmed"], failed=False, checkpoints=False))
    assert not (kept / "outputs/rates-confirmed").exists()


def test_what_is_removed_is_listed_first_and_nothing_of_others_goes(kept: Path, typed: Typed, tmp_path: Path) -> None:
    (kept / "outputs/alone/notes.txt").write_text("mine")
    asked = typed("rm", "outputs/alone")
    assert asked.returncode == 1 and "would be removed. Add --yes" in asked.stdout
    assert "1 files of others stay" in asked.stdout and (kept / "outputs/alone/config.yaml").exists()
    failed = removals([kept / "outputs"], failed=True, checkpoints=False)
    assert {one.directory.name for one in failed} == {"3-lr=1e25,s=0", "3-lr=1e25,s=1"} or len(failed) == 2
    files = [file for one in removals([kept / "outputs/rates"], failed=False, checkpoints=True) for file in one.files]
    assert files and all(file.suffix == ".ckpt" for file in files)
    done = typed("rm", "outputs/alone", "--yes")
    assert done.stdout.splitlines()[-1].startswith("Removed")
    assert [file.name for file in (kept / "outputs/alone").iterdir()] == ["notes.txt"]


def test_a_sweep_of_another_configuration_is_confirmed_by_the_command_that_is_told(kept: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(kept / "outputs/rates", tmp_path / "other")
    about = json.loads((copied / "sweep.json").read_text())
    words = shlex.split(about["command"])
    words.insert(words.index("-m"), "--config-name=mine")
    (copied / "sweep.json").write_text(json.dumps(about | {"command": shlex.join(words)}))
    done = call(kept, sys.executable, "-m", "gridstorm", "confirm", str(copied), "best=1", "repeats=2")
    assert done.returncode == 2 and "--config-name=mine" in done.stderr, done.stderr
    told = shlex.split(done.stderr.partition("Type it: ")[2].rstrip(".\n"))
    assert told[2:4] == ["--config-name=mine", "-m"] and {"optimizer.lr=0.1", "sweep.name=other-confirmed"} <= {*told}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "outputs"], "There is no sweep"),
        (["report", "outputs/rates", "--out", "no/where.html"], "cannot be written"),
        (["ls", "nowhere"], "no such directory"), (["ls", "outputs", "--since", "soon"], "It is no time"),
        (["compare", "outputs/rates"], "Name two to"), (["compare", "outputs/rates", "nowhere"], "nowhere"),
        (["confirm", "outputs/rates", "bets=2"], "Did you mean 'best'?"), (["confirm", "nowhere"], "no sweep"),
        (["confirm", "outputs/rates", "repeats=1"], "no number from 2 on"),
        (["rm"], "Nothing was named"), (["rm", "outputs"], "neither a run nor a sweep"),
        (["rm", "/tmp"], "neither a run"), (["mv", "outputs/rates", "models"], "something of this name"),
        (["mv", "outputs/rates", "../x"], "not the name"),
        (["mv", "nowhere", "x"], "no run and no sweep"), (["board", "nowhere"], "no such directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_words(typed: Typed, words: list[str], said: str) -> None:
    done = typed(*words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_nothing_that_works_or_is_a_link_is_removed_or_renamed(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(kept / "outputs/rates")
    with pytest.raises(UserError, match="It is a link"):
        removals([tmp_path / "linked"], failed=False, checkpoints=False)
    with pytest.raises(UserError, match="link"):
        move(tmp_path / "linked", "other")
    lock = hold(kept / "outputs/rates/.lock")
    assert lock
    with lock:
        with pytest.raises(UserError, match="A process works in it"):
            removals([kept / "outputs/rates"], failed=False, checkpoints=False)
        with pytest.raises(UserError, match="A process works in it"):
            move(kept / "outputs/rates", "other")


def test_many_runs_are_listed_in_a_moment_beside_what_python_takes_to_start(kept: Path, tmp_path: Path) -> None:
    [run, *_] = sorted(place for place in (kept / "outputs/rates").iterdir() if place.is_dir())
    for number in range(200):
        shutil.copytree(run, tmp_path / f"run{number}")
    started = time.perf_counter()
    told = listed(tmp_path)
    taken = time.perf_counter() - started
    started = time.perf_counter()
    call(tmp_path, sys.executable, "-c", "import numpy")
    assert len(told.splitlines()) == 201 and taken < 5 * (time.perf_counter() - started)
