"""Each sentence of the beginner's article, trained and seen to hold; and what a lesson looks like."""

import math
from pathlib import Path

import pytest

from gridstorm.cli import gridstorm
from gridstorm.lesson.lessons import LESSONS, NotSeenError
from gridstorm.lesson.trained import Trained
from gridstorm.report.plot import HEIGHT, plot
from house import CONF, telling

PRESETS = CONF / "experiment" / "lesson"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", telling([0, 1, 2], 0))
def test_every_sentence_is_seen_to_hold(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gridstorm(["lessons", "--seed", str(seed)]) == 0
    told = capsys.readouterr().out
    assert told.count("\nSeen: ") == len(LESSONS) and "Not seen" not in told
    assert all(lesson.sentence in told for lesson in LESSONS.values())


def test_one_lesson_shows_its_sentence_its_curves_its_findings_and_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time nothing is trained again
        assert gridstorm(["lesson", "rate_too_small"]) == 0
        first, *rest = capsys.readouterr().out.splitlines()
        assert first == "rate_too_small: A learning rate that is too small learns the same, only slowly."
        assert any(line.startswith("  lr=3e-5: too_slow: the loss still falls at the end") for line in rest)
        assert "The training loss, by epoch:" in rest and "          a lr=0.003   b lr=3e-5" in rest
        assert any(line.startswith("Seen: What lr=3e-5 reaches in 15 epochs, lr=0.003 has after") for line in rest)
    assert len([*(tmp_path / "outputs" / "lessons" / "rate_too_small-0").glob("[0-9]*")]) == 2


def test_lessons_are_listed_without_training_and_a_wrong_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert gridstorm(["lessons", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*LESSONS]
    with pytest.raises(SystemExit) as ended:
        gridstorm(["lesson", "rate_to_small"])
    assert ended.value.code == 2
    assert "rate_to_small: There is no such lesson. Did you mean 'rate_too_small'?" in capsys.readouterr().err


def test_every_lesson_has_a_preset_that_says_its_sentence_and_how_to_see_it() -> None:
    assert {file.stem for file in PRESETS.glob("*.yaml")} == {*LESSONS}
    for name, lesson in LESSONS.items():
        second = (PRESETS / f"{name}.yaml").read_text().splitlines()[1]
        assert second == f"# {lesson.sentence.removesuffix('.')}: gridstorm lesson {name}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_sentence_is_not_seen_in_runs_that_do_not_show_it(name: str) -> None:
    count = {"epochs": 1, "weights": 1, "rate_decay": 4}.get(name, 3)
    count = (
        2 if name in ("rate_too_small", "dropout", "weight_decay", "label_smoothing", "loss", "optimizer") else count
    )
    rows = [{"step": 1, "opt/weight_norm": 1.0, "lr": 0.1, "val/rmse": 1.0, "val/mae": 1.0}] * 2
    values = {"data": {"batch_size": 8}, "model": {"depth": 1, "width": 1}, "optimizer": {"lr": 0.1}}
    same = [Trained(f"run{number}", [1.0] * 9, [1.0] * 9, [], rows, 1.0, values) for number in range(count)]
    with pytest.raises(NotSeenError):
        LESSONS[name].check(same)


def test_a_plot_has_a_letter_for_each_curve_and_a_logarithmic_axis() -> None:
    text = plot({"fast": [1.0, 0.1, 0.01], "slow": [1.0, 0.9, 0.8], "broken": [math.nan, -1.0]}, "The loss")
    lines = text.splitlines()
    assert lines[0] == "The loss, by epoch:"
    assert lines[1].startswith("       1 |") and lines[HEIGHT].startswith("    0.01 |")
    assert lines[HEIGHT].rstrip().endswith("a") and "b" in lines[1]
    assert lines[-1].split() == ["a", "fast", "b", "slow", "c", "broken"]
    assert plot({"none": [math.nan]}, "The loss") == "The loss: no number to be drawn"
