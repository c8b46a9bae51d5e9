"""The optimizers' and schedulers' configurations, and the scheduler of ours."""

import inspect
import io
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.optim import SGD, Optimizer

from gridstorm.config.recipe import CONDITIONAL
from gridstorm.scheduler.warmup_cosine import WarmupCosine

CONF = Path(__file__).parents[2] / "conf"
OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
SCHEDULERS = sorted(path.stem for path in (CONF / "scheduler").glob("*.yaml"))
STEPS = 40


def configured(group: str, name: str) -> partial[Any]:
    """The partial that a run would be given."""
    conf = {"mode": "min", "optimizer": {"lr": 0.1}, "choice": OmegaConf.load(CONF / group / f"{name}.yaml")}
    choice = OmegaConf.create(conf).choice
    choice.pop(CONDITIONAL, None)
    made = instantiate(choice, _convert_="all")
    assert isinstance(made, partial)
    return made


def sgd(lr: float = 0.1) -> SGD:
    return SGD([nn.Parameter(torch.ones(1))], lr=lr)


def scheduled(name: str, optimizer: Optimizer) -> Any:
    """A scheduler with the run's number of steps, where it takes one."""
    made = configured("scheduler", name)
    takes = inspect.signature(made.func).parameters
    steps = {key: STEPS for key in ("total_steps", "T_max") if key in takes}
    return made(optimizer, **steps)


def rates(name: str, optimizer: Optimizer | None = None) -> list[float]:
    """The learning rate of each step, and the one after the last."""
    optimizer = optimizer or sgd()
    scheduler = scheduled(name, optimizer)
    seen = []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        move(scheduler, name, optimizer)
    return [*seen, optimizer.param_groups[0]["lr"]]


def move(scheduler: Any, name: str, optimizer: Optimizer) -> None:
    optimizer.step()
    scheduler.step(1.0) if name == "plateau" else scheduler.step()


# What is ours


def warmup_cosine(total_steps: int, **arguments: Any) -> list[float]:
    optimizer = sgd(lr=1.0)
    scheduler = WarmupCosine(optimizer, total_steps, **arguments)
    seen = []
    for _ in range(total_steps + 3):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_warmup_rises_in_a_line_and_the_cosine_falls_from_the_top() -> None:
    seen = warmup_cosine(13, warmup_steps=3)
    assert seen[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert seen[3:14] == pytest.approx([(1 + math.cos(math.pi * done / 10)) / 2 for done in range(11)])


def test_the_rate_stays_at_its_floor_after_the_end() -> None:
    assert warmup_cosine(10, warmup_steps=0, min_lr_ratio=0.1)[10:] == pytest.approx([0.1, 0.1, 0.1])


def test_a_warmup_that_nobody_chose_is_a_twentieth() -> None:
    assert warmup_cosine(200).index(1.0) == 10


def test_a_run_of_one_step_needs_no_warmup() -> None:
    assert warmup_cosine(1)[0] == 1.0


def test_every_parameter_group_keeps_its_own_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (1.0, 0.1)]
    scheduler = WarmupCosine(SGD(groups), 10, warmup_steps=1)
    assert scheduler.get_last_lr() == pytest.approx([0.5, 0.05])


def test_a_warmup_as_long_as_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match=r"warmup_steps=100 does not end within the run's 100 steps. Train longer, or"):
        WarmupCosine(sgd(), 100, warmup_steps=100)


# All of them


def test_each_scheduler_does_what_its_first_line_says() -> None:
    seen = {name: rates(name) for name in SCHEDULERS}
    assert seen["constant"] == [0.1] * (STEPS + 1)
    assert seen["step"][::10] == pytest.approx([0.1, 1e-2, 1e-3, 1e-4, 1e-5])
    assert seen["exponential"][STEPS] == pytest.approx(0.1 * 0.95**STEPS)
    assert seen["cosine"][STEPS // 2] == pytest.approx(0.05)
    assert seen["plateau"][11:13] == pytest.approx([0.1, 0.01])
    assert max(seen["one_cycle"]) == pytest.approx(0.1)
    for name in ("cosine", "warmup_cosine", "one_cycle"):
        assert seen[name][STEPS - 1] < 0.001


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_goes_on_from_its_saved_state(name: str) -> None:
    optimizer = sgd()
    scheduler = scheduled(name, optimizer)
    for _ in range(15):
        move(scheduler, name, optimizer)
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
    file.seek(0)
    resumed_optimizer = sgd()
    resumed = scheduled(name, resumed_optimizer)
    for target, state in zip([resumed_optimizer, resumed], torch.load(file, weights_only=True), strict=True):
        target.load_state_dict(state)
    for _ in range(20):
        move(scheduler, name, optimizer)
        move(resumed, name, resumed_optimizer)
        assert resumed_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
@pytest.mark.parametrize("scheduler_name", SCHEDULERS)
def test_every_optimizer_takes_every_scheduler_and_learns(optimizer_name: str, scheduler_name: str) -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = configured("optimizer", optimizer_name)([weight])
    scheduler = scheduled(scheduler_name, optimizer)
    for _ in range(STEPS):
        optimizer.zero_grad()
        weight.square().sum().backward()  # type: ignore[no-untyped-call]
        move(scheduler, scheduler_name, optimizer)
    assert float(weight.detach().square().sum()) < 2.999


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_state_is_plain(name: str) -> None:
    file = io.BytesIO()
    torch.save(configured("optimizer", name)([nn.Parameter(torch.ones(1))]).state_dict(), file)
    file.seek(0)
    assert torch.load(file, weights_only=True)["param_groups"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_the_keys_that_every_run_may_set(name: str) -> None:
    made = configured("optimizer", name)
    assert {"lr", "weight_decay"} <= set(made.keywords) <= set(inspect.signature(made.func).parameters)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_leaves_the_number_of_steps_to_the_run(name: str) -> None:
    made = configured("scheduler", name)
    assert set(made.keywords) <= set(inspect.signature(made.func).parameters) - {"total_steps", "T_max", "optimizer"}


def test_our_schedulers_configuration_says_what_the_class_defaults_to() -> None:
    conf = OmegaConf.to_container(OmegaConf.load(CONF / "scheduler" / "warmup_cosine.yaml"))
    assert isinstance(conf, dict)
    parameters = inspect.signature(get_class(conf.pop("_target_"))).parameters
    assert conf == {"_partial_": True} | {
        name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty
    }
