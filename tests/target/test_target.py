"""Targets, read from their source."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from composing import problems
from gridstorm.error import UserError
from gridstorm.target import definition as source
from gridstorm.target.annotation import describe
from gridstorm.target.build import build
from gridstorm.target.target import find, problem

FORBIDDEN = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.Popen",
    "importlib.import_module",
    "torch.load",
    "torch.hub.load",
    "torch.nn.os.system",
    "torch.nn.functional.importlib.import_module",
    "torch.nn.functional.torch.hub.load",
    "torch.nn.modules.module.torch.load",
    "torch.optim.optimizer.functools.partial",
    "torch.optim.lr_scheduler.warnings.warn",
    "torch.utils.cpp_extension.load",
    "pytorch_lightning.Trainer.fit",
    "pytorch_lightning.trainer.trainer.log.info",
    "gridstorm.run.run.run",
    "gridstorm.record.run.RunRecord",
    "gridstorm.data.digits.torch.load",
    "hydra.utils.instantiate",
    "hydra._internal.instantiate._instantiate2.instantiate",
]
MEANINGLESS: list[Any] = [
    None,
    3,
    "",
    ".",
    "torch",
    "torch.",
    ".torch",
    "torch..nn",
    "a b.c",
    "torch.nn.\0",
    ["os.system"],
]


def test_a_target_is_found_where_it_is_defined() -> None:
    found = {path: find(path) for path in ("torch.optim.AdamW", "torch.nn.MSELoss", "pytorch_lightning.Trainer")}
    assert {path: target.path for path, target in found.items() if target} == {
        "torch.optim.AdamW": "torch.optim.adamw.AdamW",
        "torch.nn.MSELoss": "torch.nn.modules.loss.MSELoss",
        "pytorch_lightning.Trainer": "pytorch_lightning.trainer.trainer.Trainer",
    }


def test_what_a_target_takes_is_read_from_its_source() -> None:
    adam = find("torch.optim.Adam")
    assert adam is not None
    arguments = {argument.name: argument for argument in adam.signature().arguments}
    assert arguments["params"].required
    assert not arguments["lr"].required
    assert arguments["amsgrad"].annotation is not None
    assert describe(arguments["amsgrad"].annotation) == "true or false"
    assert not adam.signature().open


def test_the_constructor_and_the_constants_of_a_base_class_count() -> None:
    digits = find("gridstorm.data.digits.Digits")
    assert digits is not None
    assert digits.signature().get("split_seed") is not None
    assert digits.constant("task") == "classification"
    assert digits.constant("no_such_constant") is None


def test_a_name_for_a_type_is_followed() -> None:
    mlp = find("gridstorm.model.mlp.MLP")
    assert mlp is not None
    argument = mlp.signature().get("activation")
    assert argument is not None
    assert argument.type is not None
    assert describe(argument.type) == "relu or gelu or tanh or sigmoid or leaky_relu or silu"


@pytest.mark.parametrize("path", FORBIDDEN)
def test_a_target_that_is_no_class_of_ours_torch_or_lightning_is_refused(path: str) -> None:
    assert problem("model", path) is not None
    with pytest.raises(UserError):
        build({"_target_": path})
    with pytest.raises(UserError):
        build({"_target_": "torch.nn.Sequential", "inner": [{"deep": {"_target_": path}}]})


@pytest.mark.parametrize("path", MEANINGLESS)
def test_what_is_no_dotted_path_is_refused(path: Any) -> None:
    found = problem("model", path)
    assert found is not None
    assert found.fact == "A target is the dotted path of a class."


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("gridstorm.model.mlp.MPL", "'gridstorm.model.mlp.MLP'"),
        ("torch.nn.MSELos", "'torch.nn.MSELoss'"),
        ("torch.optim.Adamm", "'torch.optim.Adam' or 'torch.optim.RAdam'"),
        ("pytorch_lightning.callbacks.EarlyStoping", "'pytorch_lightning.callbacks.EarlyStopping'"),
    ],
)
def test_a_class_that_is_not_there_is_refused_with_a_close_one(path: str, meant: str) -> None:
    found = problem("model", path)
    assert found is not None
    assert found.fact == "There is no such class."
    assert found.remedy == f"Did you mean {meant}?"


def test_a_package_of_your_own_has_to_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_package.py").write_text("class Net:\n    def __init__(self, width: int) -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = problem("model", "my_own_package.Net")
    assert found is not None
    assert "allow it: GRIDSTORM_ALLOW=my_own_package gridstorm train" in found.remedy
    monkeypatch.setenv("GRIDSTORM_ALLOW", "another, my_own_package")
    assert problem("model", "my_own_package.Net") is None


def test_a_source_that_is_no_python_is_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("class Net(:\n  def\n")
    (tmp_path / "odd_module.py").write_text('class Net:\n    """A text\nat the margin."""\n    task = print\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert find("broken_module.Net") is None
    odd = find("odd_module.Net")
    assert odd is not None
    assert odd.constant("task") is None


def test_imports_in_a_circle_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "circle_one.py").write_text("from circle_two import *\nfrom circle_two import Net\n")
    (tmp_path / "circle_two.py").write_text("from circle_one import *\nfrom circle_one import Net\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("circle_one.Net") is None
    assert source.definition("circle_one", "Other") is None


def test_reading_a_target_imports_nothing() -> None:
    code = (
        "import sys; from gridstorm.target import find, problem\n"
        "for path in ('torch.optim.Adam', 'pytorch_lightning.Trainer', 'gridstorm.model.mlp.MLP', 'sklearn.svm.SVC'):\n"
        "    find(path).signature(); problem('x', path)\n"
        "sys.exit(bool({'torch', 'pytorch_lightning', 'sklearn', 'gridstorm.model'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_a_constructor_says_of_a_value_is_a_refusal() -> None:
    with pytest.raises(UserError) as refusal:
        build({"_target_": "gridstorm.data.digits.Digits", "val_fraction": 0.9, "test_fraction": 0.9})
    assert "leave a part without data. Give two numbers above 0" in str(refusal.value)


def test_what_may_be_built_is_built() -> None:
    import torch

    assert isinstance(build({"_target_": "torch.nn.HuberLoss", "delta": 2.0}), torch.nn.HuberLoss)
    assert build({"_target_": "torch.optim.SGD", "_partial_": True}, lr=0.5).keywords == {"lr": 0.5}


def test_the_fields_of_a_dataclass_are_its_arguments() -> None:
    asha = find("gridstorm.pruner.asha.Asha")
    assert asha is not None
    assert [argument.name for argument in asha.signature().arguments] == ["min_resource", "reduction_factor"]
    assert not asha.signature().open
    [wrong] = problems("pruner=asha", "pruner.min_resource=two", "optimizer.lr=1,2", sweep=True)
    assert "It must be a whole number" in wrong


@pytest.mark.parametrize(
    "path", ["torch.nn.Module", "torch.optim.Optimizer", "pytorch_lightning.Trainer", "torch.nn.LSTM"]
)
def test_a_large_class_says_the_same_without_the_methods_that_are_left_out(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def said() -> tuple[list[str], list[str], bool]:
        for cached in source._caches:
            cached.cache_clear()
        target = find(path)
        assert target
        arguments = [ast.dump(ast.arg(one.name, one.annotation)) for one in target.signature().arguments]
        return arguments, [base.path for base in target.ancestry()], target.signature().open

    short = said()
    monkeypatch.setattr(source, "LARGE", 10**9)
    assert said() == short
