"""What steps do to layers, as a run leaves it: alone, in a group, by a module of one's own, and gone on with."""

from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import Sweep, Train
from gridstorm.record.layer import DENSE, QUANTITIES, LayerFile, layers
from gridstorm.run.layer import Layers


def test_the_last_step_of_each_epoch_says_what_it_did_to_each_layer(train: Train) -> None:
    names, lines = layers(train("trainer.max_epochs=3", "model.depth=1"))
    assert names == ["hidden1.linear", "output"]
    assert [(line["step"], line["epoch"]) for line in lines] == [(20, 1), (40, 2), (60, 3)]
    assert all(value > 0 for line in lines for name in ("grad", "update") for value in line[name])
    assert all(0 <= value <= 1 for line in lines for value in line["dead"])


def test_runs_that_are_trained_together_leave_what_they_leave_alone(sweep: Sweep) -> None:
    grid = (
        "optimizer.lr=1e-3,1e-2",
        "trainer.max_epochs=2",
        "trainer.precision=64-true",
        "trainer.log_every_n_steps=7",
    )
    apart, together = sweep(*grid, "sweep.fuse=off", name="apart"), sweep(*grid, "sweep.fuse=2", name="together")
    for alone, member in zip(apart.runs, together.runs, strict=True):
        (names, first), (others, second) = layers(alone), layers(member)
        assert names == others and len(first) == len(second) == 6
        for line, other in zip(first, second, strict=True):
            assert line.keys() == other.keys() and line["step"] == other["step"]
            for name in QUANTITIES:
                assert other[name] == pytest.approx(line[name], rel=1e-4)


def test_a_lightning_module_of_ones_own_has_them_too(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    run = train(
        "data=stranger.data.Digits", "model=stranger.modules.Autoencoder", "monitor=val/error", "trainer.max_epochs=2"
    )
    names, lines = layers(run)
    assert names and [line["epoch"] for line in lines] == [1, 2]


def test_a_unit_without_a_gradient_is_dead_and_an_update_is_relative_to_the_weights() -> None:
    first, last = nn.Linear(3, 4), nn.Linear(4, 1)
    network = nn.Sequential(first, nn.ReLU(), last)
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.copy_(torch.tensor([-99.0, -99.0, -99.0, 1.0]))
    looked = Layers(network)
    weights = [first.weight, last.weight]
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    network(torch.rand(8, 3)).mean().backward()
    looked.before([weight[None] for weight in weights], [weight.grad[None] for weight in weights])  # type: ignore[index]  # they are there
    norms = [float(weight.grad.norm() / weight.detach().norm()) for weight in weights]  # type: ignore[union-attr]
    optimizer.step()
    [values] = looked.after([weight[None] for weight in weights])
    assert values["dead"] == [0.75, 0.0]
    assert values["update"] == pytest.approx(norms, rel=1e-5)


def test_a_run_that_goes_on_forgets_what_came_after_and_a_long_one_keeps_fewer(tmp_path: Path) -> None:
    file = LayerFile(tmp_path)
    file.begin(["a"], 0)
    kept = [step for step in range(4 * DENSE) if file.is_due()]
    for step in kept:
        file.add(step, 1, {name: [float("nan")] for name in QUANTITIES})
    assert DENSE < len(kept) < 2.5 * DENSE
    assert kept[: DENSE - 1] == [*range(DENSE - 1)]
    with (tmp_path / "layers.jsonl").open("a") as opened:
        opened.write('{"step": 9999, "ep')
    names, lines = layers(tmp_path)
    assert names == ["a"] and [line["step"] for line in lines] == kept and lines[0]["grad"] == [None]
    LayerFile(tmp_path).begin(["a"], 10)
    assert [line["step"] for line in layers(tmp_path)[1]] == [*range(11)]
    assert layers(tmp_path / "nowhere") == ([], [])
