"""The laws of the house: how files are named, what stands in them, and what they may import."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridstorm.config.limit import TYPES
from gridstorm.target.target import find, targets
from house import CONF, FAMILIES, ORDER, PACKAGES, ROOT, SOURCE

TRAINING = ("module", "objects", "run", "prediction", "fusion")  # the packages that load torch
PRELOAD = SOURCE / "sweeper" / "preload.py"  # what workers import before there is anything to do
LINES = 2_250  # of a package at most
FACE = ("main", "compose", "train", "sweep", "diagnose", "Run", "Sweep")  # what `import gridstorm` gives
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
LIBRARIES = {
    "torchdata",
    "PIL",
    "tokenizers",
    "datasets",
    "torch",
    "pytorch_lightning",
    "sklearn",
    "scipy",
    "optuna",
    "cmaes",
    "numpy",
    "tqdm",
    "polars",
    "skops",
}
MACHINE = [file for name in ORDER for file in sorted((SOURCE / name).glob("*.py")) or sorted(SOURCE.glob(f"{name}.py"))]
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


def home(file: Path) -> str:
    """Return the package of a file, or its own name where it stands beside them."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def ours(file: Path) -> list[list[str]]:
    """Return what a file imports of the machine, as lists of names."""
    names = [text.split(".")[1:] for text in imported(file) if text.startswith("gridstorm.")]
    return [parts for parts in names if parts[0] not in FAMILIES]


def test_every_file_of_the_machine_has_its_place_in_the_flow() -> None:
    assert {home(file) for file in SOURCE.rglob("*.py")} - {"__init__", "template", *FAMILIES} <= set(ORDER)
    assert [name for name in PACKAGES if not (SOURCE / name / "__init__.py").is_file()] == []


@pytest.mark.parametrize("file", MACHINE, ids=name)
def test_a_package_imports_only_those_before_it_and_of_these_only_what_their_faces_hand_on(file: Path) -> None:
    before = ORDER[: ORDER.index(home(file)) + 1]
    for package, *names in ours(file):
        assert package in before
        if package != home(file) and package in PACKAGES:
            assert len(names) < 2, f"{name(file)} imports {'.'.join(names)} past the face of {package}"
            assert {*names} <= {*handed_on(package)}


def handed_on(package: str) -> list[str]:
    """Return the names in `__all__` of a package."""
    tree = ast.parse((SOURCE / package / "__init__.py").read_text())
    [face] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return list(ast.literal_eval(face))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_defines_nothing_and_hands_on_nothing_that_nobody_takes(package: str) -> None:
    tree = ast.parse((SOURCE / package / "__init__.py").read_text())
    assert not [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} <= {"__getattr__"}
    outside = [*MACHINE, SOURCE / "__init__.py", ROOT / "train.py", *(ROOT / "src" / "hydra_plugins").rglob("*.py")]
    taken = {
        names[0]
        for file in outside
        for owner, *names in ours(file)
        if owner == package and len(names) == 1 and file.parent != SOURCE / package
    }
    assert {*handed_on(package)} <= taken


@pytest.mark.parametrize("package", PACKAGES)
def test_files_of_a_package_do_not_import_each_other_in_a_circle(package: str) -> None:
    files = {file.stem: file for file in (SOURCE / package).glob("*.py") if file.stem != "__init__"}
    arrows = {
        stem: {names[0] for owner, *names in ours(file) if owner == package and names[0] in files}
        for stem, file in files.items()
    }
    while free := [stem for stem, below in arrows.items() if not below]:
        arrows = {stem: below - {*free} for stem, below in arrows.items() if stem not in free}
    assert not arrows


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_not_too_large_and_bears_no_name_of_the_public_face(package: str) -> None:
    assert sum(len(file.read_text().splitlines()) for file in (SOURCE / package).glob("*.py")) <= LINES
    assert package not in FACE


@pytest.mark.parametrize("file", [file for file in MACHINE if home(file) not in TRAINING and file != PRELOAD], ids=name)
def test_what_does_not_train_imports_nothing_heavy_at_its_start(file: Path) -> None:
    allowed = {"tensorboard"} if file.stem == "tensorboard" else set()
    names = [*imported(file, at_start=True)]
    assert {text.split(".")[0] for text in names} & HEAVY <= allowed
    assert not [text for text in names if text.split(".")[:2] in [["gridstorm", package] for package in TRAINING]]


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
        assert path == "???" or find(path) is not None, path  # a user's own
        if path.startswith("gridstorm."):
            _, family, twin, _ = path.split(".")
            assert family == file.parent.name
            assert key or twin == file.stem
            assert (SOURCE / family / f"{twin}.py").is_file()


def test_every_choice_of_ours_is_named_by_a_configuration() -> None:
    named = {str(node["_target_"]).rpartition(".")[0] for file in YAMLS for _, node in targets(content(file))}
    for file in CHOICES:
        if not file.stem.startswith("_"):  # those that do are what a family shares
            assert f"gridstorm.{file.parent.name}.{file.stem}" in named, name(file)


@pytest.mark.parametrize("file", [file for file in YAMLS if "_target_: gridstorm." in file.read_text()], ids=name)
def test_a_default_is_the_same_in_yaml_and_in_python(file: Path) -> None:
    for _, node in targets(content(file)):
        if node["_target_"] == "???":
            continue
        target = find(node["_target_"])
        assert target is not None
        for argument in target.signature().arguments if target.module.startswith("gridstorm.") else ():
            written = node.get(argument.name, "???")
            if argument.default is not None and not (isinstance(written, str) and written.startswith(("$", "?"))):
                default = ast.literal_eval(argument.default)
                assert written == ([*default] if isinstance(default, tuple) else default), argument.name


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


def test_the_keys_of_a_configuration_and_the_types_that_they_are_checked_by_are_the_same() -> None:
    root = {key for key in content(CONF / "gridstorm.yaml") if key not in ("defaults", "hydra")}
    regularization = {f"regularization.{key}" for key in content(CONF / "gridstorm.yaml")["regularization"]}
    sweep = {f"sweep.{key}" for key in content(CONF / "sweep" / "default.yaml")}
    assert {*TYPES} == root | regularization | sweep | {
        "sweep",
        "parent",
        "lint.ignore",
    }  # the last the run sets itself
