"""A composed configuration: everything that is wrong with it, at once and in words."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from composing import CONF, composed, names, problems, written
from gridstorm.config.check import resolved
from gridstorm.config.group import SECTIONS
from gridstorm.config.limit import RANGES, TRAINER_TYPES
from gridstorm.config.resolve import as_written, copies, keys, original, resolve

# What is given, and what is said: one thing wrong, so one problem.
WRONG = {
    # of the wrong type
    "optimizer.lr=abc": "It must be a number, and this is text. Try optimizer.lr=0.001.",
    "optimizer.lr=": "It must be a number, and this is empty. Try optimizer.lr=0.001.",
    "optimizer.lr=null": "It must be a number, and this is null. Try optimizer.lr=0.001.",
    "optimizer.lr=[1]": "It must be a number, and this is a list [a whole number]. Try optimizer.lr=0.001.",
    "trainer.max_epochs=ten": "It must be a whole number or null, and this is text. Try trainer.max_epochs=10.",
    "seed=1.5": "It must be a whole number, and this is a decimal number. Try seed=0.",
    "seed=2.0": "It must be a whole number, and this is a decimal number. Write seed=2.",
    "model.depth=inf": "It must be a whole number, and this is no finite number. Try model.depth=2.",
    "model.activation=rellu": "There is no activation called 'rellu'. Did you mean 'relu'?",
    "model.norm=none_at_all": "There is no norm called 'none_at_all'. Choose one of: batch, layer, none.",
    "data.standardize=maybe": "It must be true or false, and this is text. Give true or false.",
    "explain=1": "It must be true or false, and this is a whole number. Give true or false.",
    "name=3": "It must be text or null, and this is a whole number. Quote it: 'name=\"3\"'.",
    "threads=auot": "There is no threads called 'auot'. Did you mean 'auto'?",
    "optimizer.betas=0.9": (
        "It must be a list [a number, a number], and this is a decimal number. Try optimizer.betas=[0.9,0.999]."
    ),
    "optimizer.betas=[1]": (
        "It must be a list [a number, a number], and this is a list [a whole number]. Try optimizer.betas=[0.9,0.999]."
    ),
    "regularization=null": "It must be a section, and this is null. Give a section.",
    "trainer.accelerator=gpuu": "There is no accelerator called 'gpuu'. Did you mean 'gpu'?",
    "trainer.precision=bf16-mixd": "There is no precision called 'bf16-mixd'. Did you mean 'bf16-mixed'?",
    # out of range
    "data.batch_size=0": "It must be at least 1. Try data.batch_size=64.",
    "model.dropout=1.5": "It must be at least 0 and less than 1. Try model.dropout=0.1.",
    "optimizer.lr=-1": "It must be greater than 0. Try optimizer.lr=0.001.",
    "optimizer.lr=0": "It must be greater than 0. Try optimizer.lr=0.001.",
    "optimizer.lr=nan": "It must be greater than 0 and finite. Try optimizer.lr=0.001.",
    "optimizer.lr=inf": "It must be greater than 0 and finite. Try optimizer.lr=0.001.",
    "optimizer.eps=1e400": "It must be at least 0 and finite. Try optimizer.eps=1e-08.",
    "optimizer.betas=[0.9,2]": "It must be at least 0 and less than 1. Try optimizer.betas=[0.9,0.999].",
    "seed=-1": "It must be at least 0 and at most 4,294,967,295. Try seed=0.",
    "threads=0": "It must be at least 1. Try threads=1.",
    "loss.label_smoothing=1": "It must be at least 0 and less than 1. Try loss.label_smoothing=0.1.",
    "data.val_fraction=0": "It must be greater than 0 and less than 1. Try data.val_fraction=0.1.",
    "regularization.l1=-1": "It must be at least 0. Try regularization.l1=0.0001.",
    # not what a run can use
    "monitor=val/acc": "A classification run does not log it. Did you mean 'val/accuracy'?",
    "monitor=val/rmse": "A classification run does not log it. Did you mean 'val/loss'?",
    "mode=max": "val/loss is better when it is smaller. Write mode=min.",
    "mode=best": "There is no mode called 'best'. Choose one of: max, min.",
    "name=a/b": "It is not the name of one directory. Write output_dir=DIRECTORY name=NAME.",
    "name=..": "It is not the name of one directory. Write output_dir=DIRECTORY name=NAME.",
    "resume=nowhere": "There is no run in this directory. Name the directory that a run printed at its end.",
    "logger.a=1": "A logger is a section with a _target_. Leave it out with ~logger.a.",
    "callbacks.progress_bar=1": ("A callback is a section with a _target_. Leave it out with ~callbacks.progress_bar."),
    "model._partial_=false": "It must be true: the run completes it. Write ++model._partial_=true.",
    "callbacks.early_stopping.monitor=val/acc": "A classification run does not log it. Did you mean 'val/accuracy'?",
    "callbacks.early_stopping.mode=max": (
        "val/loss is better when it is smaller. Write callbacks.early_stopping.mode=min."
    ),
    # not what its target takes
    "optimizer.foo=1": (
        "Adam takes no 'foo'. Choose one of: amsgrad, betas, capturable, decoupled_weight_decay, differentiable, eps, "
        "foreach, fused, lr, maximize, weight_decay."
    ),
    "trainer.max_epoch=3": "Trainer takes no 'max_epoch'. Did you mean 'max_epochs'?",
    "trainer.logger=false": "The run sets this itself. Leave it out, and set logger beside trainer.",
    "trainer.callbacks=null": "The run sets this itself. Leave it out, and choose callbacks=NAME.",
    "model.input_shape=[1]": "The run sets this itself. Leave it out: it follows from the data.",
    "foo=1": "Unknown key. Remove it.",
    "regularization.l2=1": "Unknown key. Did you mean 'regularization.l1'?",
    "model._args_=[1]": "MLP takes no '_args_'. Choose one of: activation, depth, dropout, norm, width.",
    "model._convert_=nothing": "There is no _convert_ called 'nothing'. Choose one of: all, object.",
    # not a target that may be built
    "model._target_=os.system": (
        "Configuration may only build classes of gridstorm's choices, torch and Lightning. "
        "Name one of these, such as torch.optim.AdamW."
    ),
    "model._target_=gridstorm.model.mlp.MPL": "There is no such class. Did you mean 'gridstorm.model.mlp.MLP'?",
    "trainer._target_=null": "A target is the dotted path of a class. Give one, such as torch.optim.AdamW.",
    # not resolved
    "optimizer.lr=${xyz}": (
        "It cannot be resolved: Interpolation key 'xyz' not found. Name what is there, or give a value."
    ),
    "model.width=${data.batch_sizes}": (
        "It cannot be resolved: Interpolation key 'data.batch_sizes' not found. Did you mean 'data.batch_size'?"
    ),
    "optimizer.lr=${oc.env:NO_SUCH_VARIABLE}": (
        "It cannot be resolved: Environment variable 'NO_SUCH_VARIABLE' not found. Name what is there, or give a value."
    ),
}
RIGHT = [
    "optimizer.lr=1",
    "optimizer.amsgrad=true",
    "optimizer.betas=[0,0.5]",
    "trainer.max_epochs=null",
    "trainer.precision=16",
    "trainer.devices=auto",
    "trainer.strategy=ddp",
    "trainer.limit_train_batches=0.5",
    "threads=2",
    "name=a_name",
    "callbacks={}",
    "callbacks.progress_bar.score=val/accuracy",
    "callbacks.again=${callbacks.early_stopping}",
    "model.width=${data.batch_size}",
    "trainer.gradient_clip_val=${optimizer.lr}",
    "logger={_target_:pytorch_lightning.loggers.CSVLogger,save_dir:logs}",
    "trainer.profiler={_target_:pytorch_lightning.profilers.SimpleProfiler}",
]


def found(*overrides: str) -> list[str]:
    """Return what is said of a configuration after these keys were set, whether they are there or not."""
    return problems("callbacks=early_stopping", *(f"++{text}" for text in overrides))


@pytest.mark.parametrize("override", WRONG)
def test_what_is_wrong_is_said_in_a_sentence_of_fact_and_one_of_remedy(override: str) -> None:
    given = {"optimizer.eps=1e400": "optimizer.eps=inf"}.get(override, override)
    assert found(override) == [f"{given}: {WRONG[override]}"]


@pytest.mark.parametrize("override", RIGHT)
def test_what_is_right_is_accepted(override: str) -> None:
    assert found(override) == []


def test_everything_is_said_at_once() -> None:
    said = found("optimizer.lr=abc", "model.dropout=1.5", "foo=1", "monitor=val/acc", "model.width=${xyz}", "seed=x")
    assert sorted(names(said)) == [
        "foo=1", "model.dropout=1.5", "model.width=${xyz}", "monitor=val/acc", "optimizer.lr=abc", "seed=x",
    ]  # fmt: skip


def test_a_value_that_must_be_given_is_asked_for() -> None:
    said = problems("data=text", "model=transformer")
    assert said == ["data.path: It must be given, and has no default. Write data.path=VALUE."]


def test_a_section_that_is_missing_is_asked_for() -> None:
    said = problems("~optimizer")
    assert said == [
        "optimizer: A run needs one, and there is none. Choose one: optimizer=NAME (gridstorm train --help lists them)."
    ]


def test_an_argument_that_a_target_needs_is_asked_for() -> None:
    assert problems("scheduler=step", "~scheduler.step_size") == [
        "scheduler.step_size: StepLR cannot be built without it. Write +scheduler.step_size=VALUE."
    ]
    assert problems("scheduler=cosine") == []  # the run gives T_max


@pytest.mark.parametrize(
    ("overrides", "wrong"),
    [
        (["scheduler=one_cycle", "optimizer.lr=-1"], ["optimizer.lr=-1"]),
        (["scheduler=one_cycle", "scheduler.max_lr=-1"], ["scheduler.max_lr=-1"]),
        (["seed=1.5"], ["seed=1.5"]),
        (["data.seed=1.5"], ["data.seed=1.5"]),
        (["monitor=val/accuracy"], ["mode=min"]),
        (
            ["callbacks=early_stopping", "mode=max", "monitor=val/accuracy", "callbacks.early_stopping.mode=min"],
            ["callbacks.early_stopping.mode=min"],
        ),
        (["callbacks=early_stopping", "monitor=val/acc"], ["monitor=val/acc"]),
        (["model.dropout=${data.batch_size}"], ["model.dropout=64"]),
        (["scheduler=plateau", "mode=best"], ["mode=best"]),
        (["scheduler=plateau", "scheduler.mode=max"], ["scheduler.mode=max"]),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(overrides: list[str], wrong: list[str]) -> None:
    assert names(problems(*overrides)) == wrong


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=diabetes"], "loss=cross_entropy: It does not fit data=diabetes, which is regression. "
                            "Choose one that does: loss=huber, loss=l1, loss=mse."),
        (["loss=mse"], "loss=mse: It does not fit data=digits, which is classification. "
                       "Choose one that does: loss=cross_entropy, loss=focal."),
        (["model=transformer"], "model=transformer: It does not fit data=digits, which yields images. "
                                "Choose one that does: model=cnn, model=linear, model=mlp, model=resnet."),
        (["data=breast_cancer", "model=cnn"], "model=cnn: It does not fit data=breast_cancer, which yields tables. "
                                              "Choose one that does: model=linear, model=mlp, model=tabular."),
    ],
)  # fmt: skip
def test_choices_that_do_not_fit_are_refused_with_those_that_do(overrides: list[str], words: str) -> None:
    assert problems(*overrides) == [words]


def test_a_dataset_of_your_own_may_leave_its_task_to_its_first_batch_and_a_wrong_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_data.py").write_text("class Mine:\n    def __init__(self) -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRIDSTORM_ALLOW", "my_data")
    loader = written(tmp_path, {"data/mine.yaml": "_target_: my_data.Mine\n"})
    assert problems("data=mine", loader=loader) == []
    (tmp_path / "data_of_another.py").write_text("class Mine:\n    task = 'clasification'\n")
    monkeypatch.setenv("GRIDSTORM_ALLOW", "data_of_another")
    loader = written(tmp_path, {"data/mine.yaml": "_target_: data_of_another.Mine\n"})
    (said,) = problems("data=mine", loader=loader)
    assert "There is no task called 'clasification'. Let its class say task = 'classification' or" in said


def test_a_name_in_your_own_class_may_mean_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_model.py").write_text(
        "class Net:\n    def __init__(self, width: float, gamma: float, *, input_shape: tuple, num_outputs: int): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRIDSTORM_ALLOW", "my_model")
    model = "_target_: my_model.Net\n_partial_: true\nwidth: 0.25\ngamma: -3\n"
    loader = written(tmp_path, {"model/mine.yaml": model})
    assert problems("model=mine", loader=loader) == []
    assert names(problems("model=mine", "model.gamma=nan", "model.width=wide", loader=loader)) == [
        "model.width=wide", "model.gamma=nan",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["os.system", "builtins.eval", "torch.nn.os.system"])
def test_no_target_is_too_deep_to_be_found(path: str) -> None:
    for place in (
        "model.x={_target_:%s}",
        "model.x=[{_target_:%s}]",
        "callbacks.x={_target_:%s}",
        "x=[{y:{_target_:%s}}]",
    ):
        assert any(f"_target_={path}: " in said for said in found(place % path))


def test_every_default_is_in_its_range() -> None:
    for file in CONF.rglob("*.yaml"):
        for name, value in (yaml.safe_load(file.read_text()) or {}).items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name in RANGES:
                assert RANGES[name].holds(value), (file, name, value)


def test_every_example_is_in_its_own_range() -> None:
    for name, limit in RANGES.items():
        examples = limit.example if isinstance(limit.example, tuple) else (limit.example,)
        assert all(map(limit.holds, examples)), name


def test_the_precisions_are_those_of_lightning() -> None:
    from typing import get_args

    from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT

    from gridstorm.target.annotation import literals
    from gridstorm.target.annotation import written as type_of

    theirs = {value for kind in get_args(_PRECISION_INPUT) for value in get_args(kind)}
    assert set(literals(type_of(TRAINER_TYPES["trainer.precision"]))) == theirs


def test_a_record_is_checked_without_its_choices() -> None:
    config = OmegaConf.create(composed().values)
    assert resolved(config)[1] == []
    config.loss._target_ = "torch.nn.MSELoss"
    assert [one.remedy for one in resolved(config)[1]][-1].startswith(
        "Choose one that does: loss=torch.nn.CrossEntropyLoss"
    )


GARBAGE: list[Any] = [None, 3, -1, "x", "", "???", "${xyz}", [], [1], {}, {"a": None}, True, float("nan")]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_no_value_anywhere_ends_in_a_traceback(garbage: Any) -> None:
    plain = OmegaConf.create(composed().values)
    for key in [*keys(as_written(plain)), *(f"{section}._target_" for section in SECTIONS), "optimizer.betas.0"]:
        config = copy.deepcopy(plain)
        OmegaConf.update(config, key, garbage, merge=False)
        assert isinstance(resolved(config)[1], list), key


def test_copies_are_followed_to_their_source() -> None:
    config = OmegaConf.create(
        {"a": 1, "b": "${a}", "c": {"d": "${b}", "e": "${.d}"}, "f": "${c}", "g": "x${a}", "h": "${no}"}
    )
    copied = copies(config)
    assert {key: original(key, copied) for key in ("a", "b", "c.d", "c.e", "f.d", "g", "h")} == {
        "a": "a", "b": "a", "c.d": "a", "c.e": "a", "f.d": "a", "g": "g", "h": "h",
    }  # fmt: skip


def test_what_cannot_be_resolved_is_null_and_the_rest_is_there() -> None:
    plain, wrong = resolve(OmegaConf.create({"a": "${b}", "b": "${a}", "c": ["${no}", 1], "d": {"e": "???", "f": 2}}))
    assert plain == {"a": None, "b": None, "c": [None, 1], "d": {"e": None, "f": 2}}
    assert [one.path for one in wrong] == ["a", "b", "c.0", "d.e"]
