"""The laws of the house: how files are named, what stands in them, and what they may import."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridstorm.target import find, targets

ROOT = Path(__file__).parents[1]
SOURCE, CONF = ROOT / "src" / "gridstorm", ROOT / "conf"
# The flow: a file of the machine imports only what stands before it.
ORDER = (
    "refusal", "task", "annotation", "source", "target", "limits", "resolve", "fit", "check", "suggestion", "preset",
    "overrides", "origin", "recipe", "grouping", "flags", "config", "picture", "tensorboard", "table", "provenance",
    "record", "module", "card", "review", "run", "operators", "randomness", "stack", "ensemble", "member", "group",
    "fused", "preload", "space", "trial", "fusing", "plan", "history", "job", "preflight", "search", "proposals",
    "leaderboard", "display", "board", "report", "engine", "sweep", "cli",
)  # fmt: skip
TRAINING = {
    "module", "card", "review", "run", "operators", "randomness", "stack", "ensemble", "member", "group", "fused",
    "preload",
}  # fmt: skip
LIGHT = [stem for stem in ORDER if stem not in TRAINING]
HEAVY = {
    "torch",
    "pytorch_lightning",
    "lightning_fabric",
    "torchmetrics",
    "sklearn",
    "scipy",
    "optuna",
    "rich",
    "tensorboard",
}
LIBRARIES = {"torch", "pytorch_lightning", "sklearn", "scipy", "optuna", "cmaes", "numpy", "tqdm"}
FAMILIES = sorted(folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file())
CHOICES = [file for family in FAMILIES for file in sorted((SOURCE / family).glob("*.py"))]
YAMLS = [file for family in FAMILIES for file in sorted((CONF / family).glob("*.yaml"))]
PYTHON = [
    file
    for folder in ("src", "tests", "bench")
    for file in sorted((ROOT / folder).rglob("*.py"))
] + [ROOT / "train.py"]  # fmt: skip


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported(file: Path, at_start: bool = False) -> Iterator[str]:
    """Yield the dotted names that a file imports; `at_start` leaves out what its functions import."""
    tree = ast.parse(file.read_text())
    for_types = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for outer in [*functions, *for_types] for node in ast.walk(outer)}
    for node in ast.walk(tree):
        if at_start and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name(file)} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def content(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text()) or {}


def test_every_file_of_the_machine_has_its_place_in_the_flow() -> None:
    assert {file.stem for file in SOURCE.glob("*.py")} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("stem", ORDER)
def test_a_file_of_the_machine_imports_only_what_stands_before_it(stem: str) -> None:
    ours = {text.split(".")[1] for text in imported(SOURCE / f"{stem}.py") if text.startswith("gridstorm.")}
    assert ours - set(FAMILIES) <= set(ORDER[: ORDER.index(stem)])


@pytest.mark.parametrize("stem", LIGHT)
def test_what_does_not_train_imports_nothing_heavy_at_its_start(stem: str) -> None:
    allowed = {"tensorboard"} if stem == "tensorboard" else set()
    assert {text.split(".")[0] for text in imported(SOURCE / f"{stem}.py", at_start=True)} & HEAVY <= allowed


def test_what_a_start_imports_is_light() -> None:
    starts = ["train.py", *map(name, (ROOT / "src" / "hydra_plugins").rglob("*.py"))]
    for file in starts:
        assert not {text.split(".")[0] for text in imported(ROOT / file, at_start=True)} & HEAVY, file


@pytest.mark.parametrize("file", CHOICES, ids=name)
def test_a_choice_imports_nothing_of_the_machine(file: Path) -> None:
    for text in imported(file):
        package = text.split(".")[0]
        if package == "gridstorm":
            assert text.startswith(f"gridstorm.{file.parent.name}."), text
        else:
            assert package in LIBRARIES | set(sys.stdlib_module_names), text


@pytest.mark.parametrize("file", YAMLS, ids=name)
def test_a_target_of_ours_stands_in_the_family_of_its_group_and_in_the_twin_of_its_file(file: Path) -> None:
    section = content(file)
    for key, node in targets(section):
        path = str(node["_target_"])
        assert find(path) is not None, path
        if path.startswith("gridstorm."):
            _, family, twin, _ = path.split(".")
            assert family == file.parent.name
            assert key or twin == file.stem
            assert (SOURCE / family / f"{twin}.py").is_file()


def test_every_choice_of_ours_is_named_by_a_configuration() -> None:
    named = {str(node["_target_"]).rpartition(".")[0] for file in YAMLS for _, node in targets(content(file))}
    for file in CHOICES:
        if file.stem != "__init__":
            assert f"gridstorm.{file.parent.name}.{file.stem}" in named, name(file)


@pytest.mark.parametrize("file", [file for file in YAMLS if "_target_: gridstorm." in file.read_text()], ids=name)
def test_a_default_is_the_same_in_yaml_and_in_python(file: Path) -> None:
    for _, node in targets(content(file)):
        target = find(node["_target_"])
        assert target is not None
        for argument in target.signature().arguments if target.module.startswith("gridstorm.") else ():
            written = node.get(argument.name, "???")
            if argument.default is not None and not (isinstance(written, str) and written.startswith(("$", "?"))):
                assert written == ast.literal_eval(argument.default), argument.name


@pytest.mark.parametrize("file", YAMLS, ids=name)
def test_a_configuration_says_in_its_first_line_what_it_is(file: Path) -> None:
    assert re.match(r"# [A-Z0-9].{10,}\.\n", file.read_text())


@pytest.mark.parametrize("file", PYTHON, ids=name)
def test_a_file_is_short_and_so_are_its_functions(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 50, node.name


def test_the_door_is_short() -> None:
    assert len((ROOT / "train.py").read_text().splitlines()) < 30


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc"}
    assert not {file.stem for file in PYTHON} & drawers
    assert not {folder for file in PYTHON for folder in file.relative_to(ROOT).parts} & drawers


def test_nothing_is_left_to_be_done() -> None:
    left = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for file in [*PYTHON, *CONF.rglob("*.yaml")]:
        assert not left.search(file.read_text()), name(file)
