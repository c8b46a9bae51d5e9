"""The README's commands, run as they stand: what they print is what it shows, but for the numbers.

`make docs` runs them and writes their output of today into the README, and the files of today into docs/.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from house import FAMILIES, PACKAGES, ROOT, SOURCE

README = ROOT / "README.md"
PAGES = (README, ROOT / "docs" / "tour.md")  # whose commands are run, one page after the other
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MARK = "## The files\n"
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
    blocks = [found for page in PAGES for found in BLOCK.findall(page.read_text())]
    assert len(blocks) >= 12
    for command, shown, *_ in blocks:
        assert masked(output(command, where)) == masked(shown), command


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 220


def test_the_two_commands_are_there_as_they_stand() -> None:
    text = README.read_text()
    assert "\npip install -c constraints.txt -e . && python train.py\n" in text
    assert "\npip install -c constraints.txt -e '.[test]' && pytest\n" in text


def told(package: Path) -> str:
    """Return the first line of a package's docstring as the README has it."""
    first = first_line(package / "__init__.py").rstrip(".")
    return first[:1].lower() + first[1:]


def test_the_tree_has_a_line_for_every_package_which_is_the_packages_own_first_line() -> None:
    tree = README.read_text().partition("## The tree")[2]
    shown = dict(re.findall(r"^ {6}(\w+)/ {2,}(.+)$", tree.partition("src/gridstorm/")[2], re.MULTILINE))
    assert shown == {name: told(SOURCE / name) for name in (*PACKAGES, *FAMILIES)}


def test_the_tree_names_the_folders_that_are_there() -> None:
    tree = README.read_text().partition("## The tree")[2]
    for folder in ("conf", "src/gridstorm", "src/hydra_plugins", "tests", "bench", "docs", "outputs"):
        assert (ROOT / folder).is_dir()
        assert f"{folder}/" in tree


def first_line(file: Path) -> str:
    """Return the first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]


def files() -> str:
    """Return every file of the source with the first line of its docstring, a block for each package."""
    blocks = []
    for package in (SOURCE / name for name in (*PACKAGES, *FAMILIES)):
        listed = [file for file in sorted(package.glob("*.py")) if file.name != "__init__.py"]
        rows = [f"| `{file.name}` | {first_line(file)} |" for file in listed]
        blocks.append("\n".join([f"### `{package.name}/`", "", first_line(package / "__init__.py"), ""]))
        blocks[-1] += "\n".join(["", "| | |", "|---|---|", *rows, ""]) if rows else ""
    return "\n".join(blocks)


def test_every_file_is_told_of_in_the_architecture_by_its_own_first_line() -> None:
    assert ARCHITECTURE.read_text().partition(MARK)[2].lstrip("\n") == files()


def write() -> None:
    """Run the README's commands and write what they print into it, and the first lines of all files into docs/."""
    with tempfile.TemporaryDirectory() as temporary:
        where = folder(Path(temporary))
        for page in PAGES:
            text = BLOCK.sub(
                lambda block: f"```console\n$ {block['command']}\n{output(block['command'], where)}```\n",
                page.read_text(),
            )
            page.write_text(text)
    ARCHITECTURE.write_text(ARCHITECTURE.read_text().partition(MARK)[0] + f"{MARK}\n{files()}")


if __name__ == "__main__":
    write()
