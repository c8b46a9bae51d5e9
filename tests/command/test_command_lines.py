"""Random command lines: no traceback, nothing executed, nothing written elsewhere, each mistake said in words.

`GRIDSTORM_LINES=10000` carries out as many, of which a fiftieth is trained; CI does a few hundred.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from command_lines import ROOT
from watching import lines

COUNT = int(os.environ.get("GRIDSTORM_LINES", "100"))


def test_the_same_seed_draws_the_same_lines_and_a_third_of_each_kind() -> None:
    first, second = ([(one.kind, one.arguments) for one in lines(3000, 60, 4)] for _ in range(2))
    assert first == second
    shares = Counter(kind for kind, _ in first)
    assert shares["train"] == 60
    assert min(shares["plan"], shares["mistake"]) > 1000


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_random_command_lines_do_what_they_may_and_no_more(tmp_path: Path) -> None:
    asked = {"--folder": tmp_path / "work", "--seed": COUNT, "--count": COUNT, "--train": COUNT // 50}
    given = [str(text) for pair in asked.items() for text in pair]
    program = [sys.executable, str(ROOT / "tests" / "stand_in" / "watching.py"), *given]
    done = subprocess.run(program, capture_output=True, text=True)
    print(done.stdout)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert not [one for one in told if one[4]], done.stdout  # how long one waits is for a quiet machine to say
    assert done.stdout.startswith(("noise", "mistake", "plan", "train")), done.stderr
