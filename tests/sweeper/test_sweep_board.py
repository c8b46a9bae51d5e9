"""TensorBoard on a sweep's directory: asked over the HTTP API of the real server."""

import html
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from composing import composed
from gridstorm.config.value import label
from gridstorm.objects.warning import quiet
from gridstorm.record.run import RunRecord
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.report.board import address, page, pattern, write_board
from gridstorm.run.run import train
from tensorboard_server import Server, tensorboard

FEW = ("trainer.max_epochs=3", "trainer.limit_train_batches=4", "callbacks=default", "~callbacks.progress_bar")
# Trains a run until the end of its second epoch, and dies there.
KILLED = """
import os, signal, sys
from pathlib import Path
from gridstorm.record import RunRecord
from gridstorm.objects import quiet
from gridstorm.run import train
record, log = RunRecord(Path(sys.argv[1])), RunRecord.log
def dies(self, counters, values):
    log(self, counters, values)
    if counters["epoch"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
RunRecord.log = dies
with quiet():
    train(record.config, lambda: record, alone=False)
"""
POINTS: list[dict[str, Any]] = [
    {"optimizer": "adam", "optimizer.lr": 0.01},
    {"optimizer": "sgd", "optimizer.lr": 0.1, "optimizer.nesterov": False},
    {"optimizer": "sgd", "optimizer.lr": 1e12, "optimizer.nesterov": True},
]


def created(directory: Path, number: int, point: dict[str, Any], seeds: int) -> Trial:
    """A trial whose runs have their directories."""
    texts = [f"{key}={str(value).lower()}" for key, value in point.items()]
    name = f"{number:02}-{label(point)}"
    runs = []
    for seed in range(seeds):
        one = composed(*texts, f"seed={seed}", *FEW)
        told = {"name": name, "number": number, "seed": seed, "values": point, "ask": None, "attrs": {}}
        record = RunRecord.create(directory, f"{name},s={seed}" if seeds > 1 else name, one, "python train.py", told)
        runs.append(TrialRun(one, seed, record))
    return Trial(point, runs, number)


def carried_out(run: TrialRun) -> None:
    assert run.record is not None
    record = run.record
    with quiet():
        train(run.config, lambda: record, alone=False)
    run.refresh()


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """A sweep: a trial of two seeds, of which one run was killed and went on, one of one seed, one that diverges."""
    directory = tmp_path_factory.mktemp("board") / "outputs" / "my grid (1)"
    directory.mkdir(parents=True)
    made = [
        created(directory, 1, POINTS[0], 2),
        created(directory, 2, POINTS[1], 1),
        created(directory, 3, POINTS[2], 1),
    ]
    killed = made[0].runs[0].record
    assert killed is not None
    process = subprocess.run(
        [sys.executable, "-c", KILLED, killed.directory], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert process.returncode == -signal.SIGKILL
    assert killed.result is None
    for run in (run for trial in made for run in trial.runs):
        carried_out(run)
    made.append(created(directory, 4, {"optimizer": "rmsprop"}, 1))  # not begun
    for _ in range(2):
        write_board(directory, made, "val/loss", "min")
    return made


def directory_of(trials: list[Trial]) -> Path:
    assert trials[0].runs[0].record is not None
    return trials[0].runs[0].record.directory.parent


@pytest.fixture(scope="module")
def server(trials: list[Trial]) -> Iterator[Server]:
    """The real server on the folder of all sweeps."""
    with tensorboard(directory_of(trials).parent) as board:
        yield board


def names(trials: list[Trial]) -> list[str]:
    return [run.record.directory.name for trial in trials for run in trial.runs if run.record and run.result]


def test_every_run_has_a_legible_name_and_the_sweep_has_a_page(server: Server, trials: list[Trial]) -> None:
    expected = ["my grid (1)", *(f"my grid (1)/{name}" for name in names(trials))]
    assert sorted(server.get("data/runs")) == expected
    assert "my grid (1)/01-adam,lr=0.01,s=1" in expected


def test_seeds_are_one_row_and_every_run_is_one_session(server: Server, trials: list[Trial]) -> None:
    groups = server.session_groups()
    assert {name: len(group["sessions"]) for name, group in groups.items()} == {
        "01-adam,lr=0.01/my grid (1)": 2,
        "02-sgd,lr=0.1,nesterov=false/my grid (1)": 1,
        "03-sgd,lr=1e12,nesterov=true/my grid (1)": 1,
    }
    assert len({name[:13] for name in groups}) == 3


def test_a_row_shows_the_mean_of_its_seeds(server: Server, trials: list[Trial]) -> None:
    group = server.session_groups()["01-adam,lr=0.01/my grid (1)"]
    values = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
    assert values["best/loss"] == pytest.approx(trials[0].score, rel=1e-5)


def test_hyperparameters_have_their_real_types_and_the_seed_is_none_of_them(server: Server) -> None:
    types = {info["name"]: info["type"] for info in server.experiment()["hparamInfos"]}
    assert types["optimizer"] == "DATA_TYPE_STRING"
    assert types["optimizer.lr"] == "DATA_TYPE_FLOAT64"
    assert types["optimizer.nesterov"] == "DATA_TYPE_BOOL"
    assert not [name for name in types if name.rpartition(".")[2] == "seed"]


def test_what_varies_stands_first_among_the_hyperparameters(server: Server) -> None:
    asked = {"includeMetrics": True, "hparamsLimit": 1000}  # as the page itself asks
    infos = server.post("data/plugin/hparams/experiment", asked)["hparamInfos"]
    assert {"optimizer", "optimizer.lr"} <= {info["name"] for info in infos if info.get("differs")}
    differs = [bool(info.get("differs")) for info in infos]
    assert differs == sorted(differs, reverse=True)
    names = [info["name"] for info in infos if info.get("differs")]
    swept = {key for point in POINTS for key in point}
    assert {*names[: len({*names} & swept)]} <= swept  # what only follows from the optimizer comes after them
    assert "· optimizer.momentum" in {info["name"] for info in infos}


def test_a_list_is_shown_as_legible_text(server: Server) -> None:
    group = server.session_groups()["01-adam,lr=0.01/my grid (1)"]
    assert group["hparams"]["· optimizer.betas"] == "0.9, 0.999"


def test_the_status_of_every_run_is_the_true_one(server: Server) -> None:
    sessions = [session for group in server.session_groups().values() for session in group["sessions"]]
    statuses = {session["name"].partition("/")[2][:2]: session["status"] for session in sessions}
    assert statuses == {"01": "STATUS_SUCCESS", "02": "STATUS_SUCCESS", "03": "STATUS_FAILURE"}


def test_metrics_begin_with_the_best_ones_and_these_are_never_nan(server: Server, trials: list[Trial]) -> None:
    tags = [info["name"]["tag"] for info in server.experiment()["metricInfos"]]
    assert tags[:4] == ["best/loss", "fit/ok", "fit/params", "fit/seconds"]
    for run, shown in server.get("data/plugin/scalars/tags").items():
        for tag in (tag for tag in shown if tag.startswith("best/")):
            values = [value for _, value in server.scalars(run, tag)]
            assert all(isinstance(value, float) for value in values), run
            assert values == sorted(values, reverse=True)


def test_a_run_that_was_killed_shows_every_point_once(server: Server, trials: list[Trial]) -> None:
    samples = [step for step, _ in server.scalars(f"my grid (1)/{names(trials)[0]}", "train/loss")]
    assert samples == [256, 512, 768]


def links(server: Server) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', server.text("my grid (1)", "leaderboard"))]


def test_the_page_of_the_sweep_is_its_leaderboard(server: Server, trials: list[Trial]) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", server.text("my grid (1)", "leaderboard")))
    assert "4 trials: 2 done, 1 diverged, 1 waiting. Best val/loss" in " ".join(text.split())
    places = [
        text.index(f" {run.record.directory.name[:15]}") for trial in trials[:3] for run in trial.runs if run.record
    ]
    assert len(places) == 4
    assert "the loss became NaN or infinite" in text
    assert "<table>" in server.text("my grid (1)", "leaderboard")
    assert "rmsprop" not in text
    assert len([*directory_of(trials).glob("events.out.tfevents.*")]) == 1


def test_every_link_shows_the_runs_of_its_trial_and_no_others(server: Server, trials: list[Trial]) -> None:
    runs = server.get("data/runs")
    found = []
    for link in links(server):
        if link.startswith("#"):
            page, _, query = link[1:].partition("&")
            expression = unquote(query.removeprefix("regexInput="))
        else:
            query, _, page = link.removeprefix("?").partition("#")
            (expression,), (cards,) = parse_qs(query)["runFilter"], parse_qs(query)["pinnedCards"]
            pinned = json.loads(cards)
            assert pinned[0] == {"plugin": "scalars", "tag": "val/loss"}
        found.append((page, tuple(run for run in runs if re.search(expression, run))))
    for trial in trials[:3]:
        shown = tuple(f"my grid (1)/{name}" for name in names([trial]))
        for page in ("timeseries", "custom_scalars", "text"):
            assert (page, shown) in found
    assert len(found) == 3 * 3


def test_a_pattern_finds_runs_in_the_sweep_and_above_it_but_not_those_of_another_sweep() -> None:
    expression = re.compile(pattern("grid", ["07-cnn,lr=1e-05,s=1"]))
    assert expression.search("07-cnn,lr=1e-05,s=1")
    assert expression.search("grid/07-cnn,lr=1e-05,s=1")
    assert expression.search("outputs/grid/07-cnn,lr=1e-05,s=1")
    assert not expression.search("other/07-cnn,lr=1e-05,s=1")
    assert not expression.search("my-grid/07-cnn,lr=1e-05,s=1")
    assert not expression.search("grid/07-cnn,lr=1e-05,s=11")


def test_nothing_is_invented_of_a_sweep_that_has_just_begun() -> None:
    text = page("grid", [Trial({"model": "a|b*"}, [TrialRun(composed(), 0)])], "val/loss", "min")
    assert "1 trials: 1 waiting. None has a score." in text
    assert "|" not in text
    assert "[curves]" not in text


def test_the_address_of_the_page_shows_the_page_alone(server: Server) -> None:
    expression = unquote(address(Path("outputs/my grid (1)")).partition("regexInput=")[2])
    assert [run for run in server.get("data/runs") if re.search(expression, run)] == ["my grid (1)"]
