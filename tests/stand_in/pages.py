"""The pages of the documentation as a reader follows them: files are written, commands are run, outputs are shown."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gridstorm.diagnosis.diagnose import RULES
from house import CONF, ROOT

DOCS = ROOT / "docs"
FILE = r"```\w+ title=\"(?P<file>[^\"]+)\"\n(?P<text>.*?)```\n"
SCRIPT = r"```sh\n(?P<script>.*?)```\n"
CONSOLE = r"```console\n(?P<console>.*?)```\n"
BLOCK = re.compile("|".join((FILE, SCRIPT, CONSOLE)), re.DOTALL)
COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ |```).*\n)*)", re.MULTILINE)
FINDING = re.compile(rf"(done|diverged|pruned) +({'|'.join(['healthy', *(rule.__name__ for rule in RULES)])}) +")
NUMBER = re.compile(r"\d[\d.,]*(e[+-]?\d+)?")


@dataclass(frozen=True)
class Walk:
    """A page, or one section of it, from what a reader begins with.

    Args:
        page: Its file.
        heading: That of the section, None for the whole page.
        begin: A folder whose copy is begun with; None for an empty one.
        clone: Whether it is begun with a clone's train.py and conf/.
        scripts: Whether its `sh` blocks are carried out too.
    """

    page: Path
    heading: str | None = None
    begin: Path | None = None
    clone: bool = False
    scripts: bool = True

    def __str__(self) -> str:
        """Return the name of a test."""
        return f"{self.page.stem} {self.heading or ''}".strip()

    def text(self) -> str:
        """Return what stands on the page, or in the section."""
        whole = self.page.read_text()
        return whole if self.heading is None else whole.partition(f"\n## {self.heading}\n")[2].partition("\n## ")[0]

    def prepared(self, place: Path) -> Path:
        """Return a folder as the walk begins in it."""
        if self.begin:
            return shutil.copytree(self.begin, place / "walk")
        if self.clone:
            shutil.copy(ROOT / "train.py", place)
            (place / "docs").mkdir(exist_ok=True)
            shutil.copy(DOCS / "customers.csv", place / "docs")
            shutil.copytree(CONF, place / "conf")
        return place

    def steps(self, place: Path) -> Iterator[tuple[str, str, str]]:
        """Follow the walk and yield each command, what the page shows of it, and what it prints now."""
        for block in BLOCK.finditer(self.text()):
            if block["file"]:
                write(place / block["file"], block["text"])
            elif block["script"] and self.scripts:
                output(f"set -e\n{block['script']}", place)
            for shown in COMMAND.finditer(block["console"] or ""):
                yield shown["command"], shown["output"], output(shown["command"], place)

    def rewritten(self, place: Path) -> str:
        """Return the page with what its commands print now."""
        printed = {command: now for command, _, now in self.steps(place)}
        renew: Callable[[re.Match[str]], str] = lambda shown: f"$ {shown['command']}\n{printed[shown['command']]}"  # noqa: E731
        text = re.sub(CONSOLE, lambda block: COMMAND.sub(renew, block[0]), self.text(), flags=re.DOTALL)
        return self.page.read_text().replace(self.text(), text)


def write(file: Path, text: str) -> None:
    """Write a file of a page."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def output(command: str, where: Path) -> str:
    """Return what a command prints, as a terminal shows it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert "Traceback" not in done.stdout, done.stdout
    assert not (command.startswith("set -e") and done.returncode), done.stdout
    return done.stdout.strip("\n") + "\n"


def masked(text: str) -> list[str]:
    """Return the words of each line, with # for numbers and ~ for a row's finding: machines differ in them."""
    lines = ["verdict ~" if line.startswith("verdict ") else NUMBER.sub("#", line) for line in text.splitlines()]
    return [" ".join(FINDING.sub(r"\1 ~ ", line).split()) for line in lines]


PROJECTS = ROOT / "tests" / "project" / "moving"
CLONE = [ROOT / "README.md", DOCS / "tour.md"]  # one after the other, in one place
WALKS = [
    Walk(DOCS / "migrating.md", "From lightning-hydra-template", PROJECTS / "hydra_template"),
    Walk(DOCS / "migrating.md", "From LightningCLI", PROJECTS / "lightning_cli"),
    Walk(DOCS / "migrating.md", "From a plain script", PROJECTS / "plain_script"),
    Walk(DOCS / "own_project.md", scripts=False),
    Walk(DOCS / "diagnosis.md", clone=True, scripts=False),
    Walk(DOCS / "answer.md", clone=True, scripts=False),
    Walk(DOCS / "archive.md", clone=True, scripts=False),
    Walk(DOCS / "control.md", clone=True, scripts=False),
    *(Walk(DOCS / "own_data.md", heading, clone=True) for heading in ("A table", "Images", "Texts")),
]
SHOWN = [Walk(DOCS / "hyperparameters.md")]  # rewritten, and not compared: the curves differ from machine to machine
