"""What docs/own_work.md shows is run."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Command

PAGE = (ROOT / "docs" / "own_work.md").read_text()
FILES = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
LINES = [shlex.split(line) for line in re.findall(r"^python train.py (.*)$", PAGE, re.MULTILINE)]
SHORT = "trainer.limit_train_batches=2"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package, importable and allowed."""
    (tmp_path / "mine").mkdir()
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GRIDSTORM_ALLOW", "mine")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]  # other tests have a package of this name


def test_each_class_is_short() -> None:
    blocks = [block for _, text in FILES for block in text.split("\nclass ")[1:]]
    assert len(blocks) == 4
    assert max(len([line for line in block.splitlines() if line.strip()]) for block in blocks) <= 10


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_each_command_succeeds(mine: Path, command: Command, line: list[str]) -> None:
    more = ["launcher=in_process"] if line[0] == "-m" else []
    status, out, err = command(*line, *more, SHORT)
    assert status == 0, out + err
    assert re.search(r"val/f1|^[24] runs: [24] to go|^Task: classification \(as their", out, re.MULTILINE)
