"""The README's commands, run as they stand: what they print is what it shows, but for the numbers.

`make docs` runs them and writes their output of today into the README, and the files of today into docs/.
"""

import ast
import re
import tempfile
from pathlib import Path

import pytest

from house import FAMILIES, PACKAGES, ROOT, SOURCE
from pages import CLONE, SHOWN, WALKS, Walk, masked

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MARK = "## The files\n"


@pytest.mark.slow
@pytest.mark.timeout(2400)  # commands of a whole page, on a machine that may be busy
def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    where = Walk(README, clone=True).prepared(tmp_path)
    steps = [step for page in CLONE for step in Walk(page, scripts=False).steps(where)]
    assert len(steps) >= 12
    for command, shown, now in steps:
        assert masked(now) == masked(shown), command


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 290


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
    """Follow all walks and write what they print into the pages, and the first lines of all files into docs/."""
    with tempfile.TemporaryDirectory() as temporary:
        where = Walk(README, clone=True).prepared(Path(temporary))
        for page in CLONE:
            page.write_text(Walk(page, scripts=False).rewritten(where))
    for walk in (*WALKS, *SHOWN):
        with tempfile.TemporaryDirectory() as temporary:
            walk.page.write_text(walk.rewritten(walk.prepared(Path(temporary))))
    ARCHITECTURE.write_text(ARCHITECTURE.read_text().partition(MARK)[0] + f"{MARK}\n{files()}")


if __name__ == "__main__":
    write()
