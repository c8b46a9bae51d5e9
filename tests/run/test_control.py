"""What docs/control.md shows is run, in its order."""

import re
import shlex

from conftest import ROOT, Command

PAGE = (ROOT / "docs" / "control.md").read_text()
LINES = [shlex.split(line) for line in re.findall(r"^python train.py (.*)$", PAGE, re.MULTILINE)]


def test_each_command_succeeds(command: Command) -> None:
    assert len(LINES) > 8
    for line in LINES:
        status, out, err = command(*line, *(["launcher=in_process"] if line[0] == "-m" else []))
        assert status == 0, (line, out, err)
