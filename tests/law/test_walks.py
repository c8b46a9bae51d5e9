"""The pages that walk a reader through something are followed, step by step."""

import re
from pathlib import Path

import pytest

from gridstorm.diagnosis.diagnose import RULES
from gridstorm.diagnosis.finding import HEALTHY
from gridstorm.lesson.lessons import LESSONS
from gridstorm.lint.rules import RULES as ADVICE
from pages import BLOCK, DOCS, WALKS, Walk, masked


@pytest.mark.slow
@pytest.mark.timeout(2400)  # commands of a whole page, on a machine that may be busy
@pytest.mark.parametrize("walk", WALKS, ids=str)
def test_every_walk_of_the_docs_is_followed(walk: Walk, tmp_path: Path) -> None:
    steps = [*walk.steps(walk.prepared(tmp_path))]
    assert steps
    for command, shown, now in steps:
        assert masked(now) == masked(shown), command


def test_the_page_on_hyperparameters_shows_every_lesson_with_what_was_seen() -> None:
    text = (DOCS / "hyperparameters.md").read_text()
    assert text.count("\nSeen: ") == len(LESSONS) and "Not seen" not in text
    for name, lesson in LESSONS.items():
        assert f"$ gridstorm lesson {name}\n{name}: {lesson.sentence}\n" in text


def test_the_page_on_diagnosis_names_every_finding_and_every_advice() -> None:
    text = (DOCS / "diagnosis.md").read_text()
    assert {*re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)} == {
        HEALTHY,
        *ADVICE,
        *(rule.__name__ for rule in RULES),
    }


def test_a_project_of_the_usual_template_moves_with_few_lines_of_yaml() -> None:
    walk, written = WALKS[0], 0
    for block in BLOCK.finditer(walk.text()):
        if str(block["file"]).endswith(".yaml"):
            file = (walk.begin or Path()) / str(block["file"]).replace("conf/", "configs/")
            before = {line.strip() for line in file.read_text().splitlines()} if file.is_file() else set()
            written += len([line for line in block["text"].splitlines() if line.strip() not in before])
    assert 10 < written < 30
