"""What a sweep leaves behind: the table, the causes of failures, and results.csv."""

import csv
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from composing import composed
from gridstorm.record.result import Result
from gridstorm.record.run import RunRecord
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.report.leaderboard import causes, leaderboard
from gridstorm.report.report import write_results

COMPOSED = composed()


def trial(parent: Path, number: int, point: dict[str, Any], *results: Result) -> Trial:
    """A trial with a run for each result, in directories that only a record's existence asks of."""
    runs = []
    for seed, given in enumerate(results):
        directory = parent / (f"{number:02}-cell" + (f",s={seed}" if len(results) > 1 else ""))
        directory.mkdir(parents=True)
        (directory / "config.yaml").touch()
        runs.append(TrialRun(COMPOSED, seed, RunRecord(directory), result=given))
    return Trial(point, runs, number)


def done(score: float | None, status: str = "done", **others: Any) -> Result:
    """A result as result.json holds it."""
    common = {"status": status, "score": score, "best_epoch": 3, "epochs": 5, "seconds": 1.25, "parameters": 10}
    return Result.read({**common, "monitor": "val/loss", "mode": "min", "metrics": {"val/loss": score}, **others})


def failed(error: str) -> Result:
    return done(None, "failed", error=error, best_epoch=None, parameters=None, metrics={})


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_table_is_sorted_by_score_and_shows_swept_keys_only(tmp_path: Path) -> None:
    trials = [
        trial(tmp_path, 1, {"optimizer": "adam"}, done(0.5, findings=["overfitting", "saturated"])),
        trial(tmp_path, 2, {"optimizer": "sgd", "optimizer.momentum": 0.9}, done(0.25), done(0.35)),
        trial(tmp_path, 3, {"optimizer": "adam", "optimizer.lr": 0.1}, failed("ValueError: no")),
        Trial({"optimizer": "adam"}, [TrialRun(COMPOSED, 0)]),
    ]
    assert leaderboard(trials, "val/loss", "min").splitlines() == [
        "     optimizer  optimizer.momentum  optimizer.lr  val/loss    epoch  seconds  status  health       run",
        "  1  sgd        0.9                 -             0.3 ± 0.64  3      2.5      done    -            02-cell",
        "  2  adam       -                   -             0.5         3      1.25     done    overfitting  01-cell",
        "  3  adam       -                   0.1           -           -      1.25     failed  -            03-cell",
    ]
    assert leaderboard(trials, "val/loss", "max").splitlines()[1].split()[1] == "adam"


def test_nothing_is_told_of_a_sweep_in_which_nothing_ended(tmp_path: Path) -> None:
    assert leaderboard([Trial({}, [TrialRun(COMPOSED, 0)])], "val/loss", "min") == "No trial has ended."


def test_failures_are_grouped_by_cause_each_with_a_remedy(tmp_path: Path) -> None:
    trials = [trial(tmp_path, number, {}, failed("ValueError: width\nmore")) for number in range(1, 6)]
    trials += [
        trial(tmp_path, 6, {}, done(0.5, "diverged")),
        trial(tmp_path, 7, {}, failed("died: killed by SIGKILL, often for lack of memory")),
        trial(tmp_path, 8, {}, failed("timeout: it took longer than 90 s")),
        trial(tmp_path, 9, {}, done(0.5)),
    ]
    assert causes(trials).splitlines() == [
        "  5  ValueError: width",
        f"     Look into {tmp_path}/01-cell/error.txt.",
        "     01-cell, 02-cell, 03-cell and 2 more",
        "  1  the loss became NaN or infinite",
        "     Try a smaller learning rate, or trainer.gradient_clip_val=1.",
        "     06-cell",
        "  1  died: killed by SIGKILL, often for lack of memory",
        "     Give it more memory: a smaller launcher.places, or a smaller data.batch_size.",
        "     07-cell",
        "  1  timeout: it took longer than 90 s",
        "     Give it more time with sweep.timeout, or train less with trainer.max_epochs.",
        "     08-cell",
    ]


def test_no_failure_has_no_cause(tmp_path: Path) -> None:
    assert causes([trial(tmp_path, 1, {}, done(0.5))]) == ""


def test_results_have_a_row_a_run_and_cells_of_their_types(tmp_path: Path) -> None:
    point = {"optimizer.lr": 1e-05, "model.depth": 3, "optimizer.nesterov": True, "optimizer.betas": [0.9, 0.99]}
    trials = [
        trial(tmp_path, 1, {"model.activation": "relu, or so"}, done(0.5), done(0.7)),
        trial(tmp_path, 2, point, done(0.1, metrics={"val/accuracy": 0.9})),
        trial(tmp_path, 3, {}, failed("ValueError: a, b")),
    ]
    best, first, second, bad = read(write_results(tmp_path, trials, "min"))
    assert [*best] == [
        *("trial", "run", "seed", "status", "health", "model.activation", "optimizer.lr", "model.depth"),
        *(
            "optimizer.nesterov",
            "optimizer.betas",
            "score",
            "mean",
            "half_interval",
            "best_epoch",
            "epochs",
            "seconds",
            "parameters",
        ),
        *("val/accuracy", "val/loss", "signature", "directory", "error"),
    ]
    assert {key: best[key] for key in point} == {
        "optimizer.lr": "1e-05",
        "model.depth": "3",
        "optimizer.nesterov": "true",
        "optimizer.betas": "[0.9, 0.99]",
    }
    assert {key: json.loads(best[key]) for key in point} == point
    assert (best["model.activation"], best["half_interval"], best["val/loss"], best["error"]) == ("", "", "", "")
    assert [row["seed"] for row in (first, second)] == ["0", "1"]
    assert float(first["mean"]) == pytest.approx(0.6)
    assert float(first["half_interval"]) == pytest.approx(12.706 * math.sqrt(0.02 / 2), rel=1e-4)
    assert first["model.activation"] == "relu, or so"
    assert (bad["status"], bad["error"], bad["score"]) == ("failed", "ValueError: a, b", "")
    assert bad["directory"] == str(tmp_path / "03-cell")


def test_results_of_a_thousand_runs_take_no_longer_a_run_than_those_of_a_hundred(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    record = RunRecord(tmp_path)
    trials = [
        Trial({"optimizer.lr": 0.1 / n}, [TrialRun(COMPOSED, s, record, result=done(n)) for s in range(2)], n)
        for n in range(1, 501)
    ]

    def seconds(some: list[Trial]) -> float:
        started = time.process_time()
        for _ in range(len(trials) // len(some)):
            write_results(tmp_path, some, "min")
        return time.process_time() - started

    few, many = zip(*((seconds(trials[:50]), seconds(trials)) for _ in range(5)), strict=True)
    assert min(many) < 3 * min(few)  # as many rows are written in both
    assert len(read(tmp_path / "results.csv")) == 1000


def test_results_are_written_whole_in_place_of_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("old")
    write_results(tmp_path, [], "min")
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]
    assert (tmp_path / "results.csv").read_text().startswith("trial,run,seed")
