"""The README's commands, run as they stand: what they print is what it shows, but for the numbers.

`python tests/test_readme.py` (make docs) runs them and writes their output of today into the README.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"```console\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```\n")
NUMBER = re.compile(r"\d[\d.,]*(e[+-]?\d+)?")


def folder(parent: Path) -> Path:
    """Return a copy of what a user starts in: train.py and conf/."""
    shutil.copy(ROOT / "train.py", parent)
    shutil.copytree(ROOT / "conf", parent / "conf")
    return parent


def output(command: str, where: Path) -> str:
    """Return what a command prints, as a terminal shows it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout.strip("\n") + "\n"


def masked(text: str) -> list[str]:
    """Return the words of each line, every number as #: they differ from machine to machine."""
    return [" ".join(NUMBER.sub("#", line).split()) for line in text.splitlines()]


@pytest.mark.slow
def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    where = folder(tmp_path)
    blocks = BLOCK.findall(README.read_text())
    assert len(blocks) >= 8
    for command, shown, *_ in blocks:
        assert masked(output(command, where)) == masked(shown), command


def test_the_two_commands_are_there_as_they_stand() -> None:
    text = README.read_text()
    assert "\npip install -c constraints.txt -e . && python train.py\n" in text
    assert "\npip install -c constraints.txt -e '.[test]' && pytest\n" in text


def test_the_tree_shows_every_file_of_the_machine_and_no_other() -> None:
    tree = README.read_text().partition("## The tree")[2]
    named = set(re.findall(r"^ {8}(\w+\.py)\b", tree, re.MULTILINE))
    there = {file.name for file in (ROOT / "src" / "gridstorm").glob("*.py")} - {"__init__.py"}
    assert named == there


def test_the_tree_names_the_folders_that_are_there() -> None:
    tree = README.read_text().partition("## The tree")[2]
    for folder in ("conf", "src/gridstorm", "src/hydra_plugins", "tests", "bench", "outputs"):
        assert (ROOT / folder).is_dir()
        assert f"{folder}/" in tree


def write() -> None:
    """Run the README's commands and write what they print into it."""
    with tempfile.TemporaryDirectory() as temporary:
        where = folder(Path(temporary))
        text = BLOCK.sub(
            lambda block: f"```console\n$ {block['command']}\n{output(block['command'], where)}```\n",
            README.read_text(),
        )
    README.write_text(text)


if __name__ == "__main__":
    write()
