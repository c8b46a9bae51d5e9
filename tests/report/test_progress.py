"""What is shown while a sweep runs."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from conftest import Compose
from gridstorm.record.result import Result, Status
from gridstorm.record.run import RunRecord
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.report.progress import Display, outcome

DONE = Result(status=Status.DONE, score=0.25, monitor="val/loss", mode="min", best_epoch=3, seconds=1.25, epochs=5)
FAILED = Result(status=Status.FAILED, monitor="val/loss", mode="min", error="died: killed")


def trials(composed: Compose, parent: Path) -> list[Trial]:
    """One that is done, one that failed, one that is running."""
    one = composed()
    record = RunRecord.create(parent, "03-lr=0.3", one, "")
    (record.directory / "metrics.jsonl").write_text(
        '{"step": 40, "epoch": 2, "samples": 9, "seconds": 1, "val/loss": 0.75}\n'
    )
    return [
        Trial({"optimizer.lr": 0.1}, [TrialRun(one, 0, result=DONE)], 1),
        Trial({"optimizer.lr": 0.2}, [TrialRun(one, 0, result=FAILED)], 2),
        Trial({"optimizer.lr": 0.3}, [TrialRun(one, 0, record, running=True)], 3),
    ]


def test_the_table_shows_counts_the_best_and_what_runs(composed: Compose, tmp_path: Path) -> None:
    display, text = Display(4, 2, "val/loss", "min"), io.StringIO()
    Console(file=text, width=100).print(display._table(trials(composed, tmp_path)))
    shown = text.getvalue()
    assert "2/4 over, 1 running, 1 failed" in shown
    assert "1  lr=0.1     0.25" in shown
    assert "03-lr=0.3  0.75      2      running" in shown


def test_where_there_is_no_terminal_each_end_is_a_line(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = trials(composed, tmp_path)
    with Display(4, 2, "val/loss", "min") as display:
        display.ended(found[0], found[0].runs[0], found)
        display.refresh(found)
    assert capsys.readouterr().out == "2/4  lr=0.1  val/loss 0.25 in epoch 3, 1.2 s\n"


def test_an_outcome_is_a_few_words(composed: Compose) -> None:
    one = composed()
    assert outcome(TrialRun(one, 0, result=replace(FAILED, error="no memory"))) == "failed: no memory"
    assert (
        outcome(TrialRun(one, 0, result=replace(DONE, status=Status.DIVERGED, score=None)))
        == "diverged, without a score"
    )
    pruned = outcome(TrialRun(one, 0, result=replace(DONE, status=Status.PRUNED)))
    assert pruned == "pruned after 5 epochs, val/loss 0.25 in epoch 3, 1.2 s"
