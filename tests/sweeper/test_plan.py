"""Composing a sweep's configurations: by setting values on copies, and as Hydra itself would."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from composing import Remembering, written
from gridstorm.command import compose
from gridstorm.command.override import Overrides
from gridstorm.command.space import Axis
from gridstorm.config import RunConfig
from gridstorm.error import UserError
from gridstorm.sampler.grid import Grid
from gridstorm.sweeper.plan import Plan, checked

LOADER = Remembering()


def plan(*texts: str) -> Plan:
    """Return the plan of a command line."""
    return Plan(LOADER, "config", ["sweep.name=grid", *texts])


def whole(*texts: str) -> RunConfig:
    """Return what `python train.py` would compose."""
    return compose(Overrides(LOADER, "config", texts)).run


SPACES: dict[str, Sequence[str]] = {
    "plain values": ("optimizer.lr=0.1,0.01", "data.batch_size=16,32", "model.dropout=0.1,0"),
    "groups": ("model=mlp,cnn", "optimizer=sgd,adam,adamw", "scheduler=constant,cosine"),
    "copied values": ("seed=3,4", "scheduler=one_cycle", "optimizer.lr=0.1,0.2", "data.split_seed=5,6"),
    "whole sections": ("regularization={l1:0.1},{l1:0.2}", "optimizer.betas=[0.9,0.99],[0.8,0.9]"),
    "added keys": ("+optimizer.amsgrad=true,false", "++model.width=8,16"),
    "computed values": ("model.width=8,16", "output_dir=${model.width}x${model.depth}", "model.depth=1,2"),
    "a preset": ("experiment=digits_cnn", "optimizer.lr=0.01,0.02", "model.width=8,16"),
    "nulls and texts": ("trainer.gradient_clip_val=null,1.0", "model.activation=relu,tanh"),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_point_is_what_hydra_composes_for_it_bit_for_bit(name: str) -> None:
    made = plan(*SPACES[name])
    points = [*Grid()(made.axes, made.choices)]
    for point in random.Random(0).sample(points, min(len(points), 6)):
        for run in made.trial(point).runs:
            texts = made.overrides({**point, "seed": run.seed})
            alone = whole(*texts)
            assert run.config.values | {"sweep": 0} == alone.values | {"sweep": 0}
            assert run.config.signature == alone.signature
            assert run.config.choices | {"sweep": ""} == alone.choices | {"sweep": ""}


def test_the_last_key_varies_fastest_and_equal_recipes_are_one() -> None:
    made = plan("optimizer.lr=0.1,0.2,1e-1", "model.depth=1,2")
    trials = checked(made, Grid()(made.axes, made.choices))
    assert [trial.label for trial in trials] == [
        "lr=0.1,depth=1", "lr=0.1,depth=2", "lr=0.2,depth=1", "lr=0.2,depth=2",
    ]  # fmt: skip


def test_an_interval_is_of_whole_numbers_where_the_key_holds_one() -> None:
    made = plan("model.depth=interval(1,4)", "optimizer.lr=interval(1,4)", "sampler=tpe")
    depth, rate = made.axes
    assert (depth.whole, type(depth.low)) == (True, int)
    assert not rate.whole


def test_params_of_a_preset_give_way_to_the_command_line() -> None:
    assert [axis.low for axis in plan("sweep=learning_rate", "sampler=tpe").axes] == [1e-4]
    made = plan("sweep=learning_rate", "optimizer.lr=0.1,0.2")
    assert made.axes == [Axis(("optimizer.lr",), ((0.1,), (0.2,)))]
    assert plan("sweep=learning_rate", "optimizer.lr=0.1", "model.depth=1,2").axes == [
        Axis(("model.depth",), ((1,), (2,)))
    ]


def preset(folder: Path, params: str) -> Plan:
    """Return the plan of a preset of one's own."""
    loader = written(folder, {"sweep/mine.yaml": f"defaults: [default, _self_]\nparams: {params}\n"})
    return Plan(loader, "config", ["sweep=mine"])


def test_params_are_written_as_on_the_command_line_or_as_lists(tmp_path: Path) -> None:
    made = preset(tmp_path, "{model.depth: [1, 2], optimizer.lr: 'range(1, 3)', optimizer: 'sgd,adam'}")
    assert [axis.points for axis in made.axes] == [((1,), (2,)), ((1,), (2,)), (("sgd",), ("adam",))]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["optimizer.lr=interval(2,1)", "sampler=tpe"], "Its ends must rise"),
        (["model.dropout=tag(log,interval(0,0.5))", "sampler=tpe"], "a logarithm has none at or below 0"),
        (["seed=0,1", "sweep.repeats=2"], "The seeds are listed already."),
        (["model.depth=1,2", "sweep.zip=[[model.depth]]"], "One key alone"),
        (["model.depth=1,2", "sweep.zip=[[model.depth,model.width]]"], "model.width takes no several values"),
    ],
)
def test_a_space_that_cannot_be_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(").replace(")", r"\)")):
        plan(*texts)


@pytest.mark.parametrize("value", ["''", "')('", "[]"])
def test_params_that_span_nothing_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match=r"sweep.params.optimizer.lr=.*: It lists no values."):
        preset(tmp_path, f"{{optimizer.lr: {value}}}")


def test_a_problem_of_many_configurations_is_told_once_with_their_number() -> None:
    made = plan("optimizer=sgd,adam", "model.depth=1,2", "data=digits,diabetes")
    with pytest.raises(UserError) as refused:
        checked(made, Grid()(made.axes, made.choices))
    [problem] = refused.value.problems
    assert "(in 4 trials)" in problem.fact


def test_where_a_configuration_lies_in_a_space() -> None:
    made = plan("optimizer=sgd,adam", "optimizer.lr=interval(0.1,0.3)", "sampler=tpe", "sweep.conditional=true")
    assert made.point_of(whole("optimizer=sgd", "optimizer.lr=0.2", "optimizer.momentum=0.6")) == {
        "optimizer": "sgd", "optimizer.lr": 0.2, "optimizer.momentum": 0.6,
    }  # fmt: skip
    assert made.point_of(whole("optimizer=adam", "optimizer.lr=0.2")) == {"optimizer": "adam", "optimizer.lr": 0.2}
    assert made.point_of(whole("optimizer=adam", "optimizer.lr=0.9")) is None


def test_a_name_is_the_same_for_the_same_command_and_another_for_another() -> None:
    first, again = (plan("sweep.name=null", "model.depth=1,2", "optimizer.lr=0.1").name() for _ in range(2))
    assert first == again
    assert plan("sweep.name=null", "model.depth=1,3", "optimizer.lr=0.1").name() != first
    assert plan("sweep.name=null", "optimizer.lr=0.1", "model.depth=1,2", "sweep.retries=3").name() == first
