"""What the rules say of curves that are written down, and of runs that were trained badly on purpose."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Sweep, Train
from gridstorm.diagnosis import curves_in, diagnose, of_record
from gridstorm.diagnosis.curves import Curves, Facts, LayerCurves
from gridstorm.diagnosis.diagnose import RULES
from gridstorm.record import RunRecord

STEPS, EPOCHS = 20, 30  # of an epoch, and in all


def curves(
    train: Sequence[float], val: Sequence[float] | None = None, facts: dict[str, object] | None = None
) -> Curves:
    """Return the curves of a run with these losses of epochs, its steps a little beside them."""
    noise = np.random.default_rng(0).normal(1, 0.05, (len(train), STEPS))
    losses = (np.array(train)[:, None] * noise).flatten()
    keys = {
        "optimizer.lr": 0.01,
        "trainer.max_epochs": len(train),
        "optimizer._target_": "torch.optim.Adam",
        **(facts or {}),
    }
    return Curves(
        losses=losses,
        steps=np.arange(1.0, len(losses) + 1),
        epochs=np.repeat(np.arange(1, len(train) + 1), STEPS),
        train=np.array(train, float),
        val=np.array(train if val is None else val, float),
        ends=np.arange(1.0, len(train) + 1) * STEPS,
        facts=Facts(
            keys=keys | (facts or {}), choices={"scheduler": "constant"}, lr_key="optimizer.lr", trivial_loss=2.3
        ),
        is_stepwise=True,
    )


def falling(low: float = 0.1, pace: float = 4.0, epochs: int = EPOCHS, high: float = 2.3) -> list[float]:
    """Return losses that fall and come to rest."""
    return [low + (high - low) * float(np.exp(-pace * epoch / epochs * 2)) for epoch in range(epochs)]


def names(one: Curves) -> list[str]:
    """Return the names of the findings."""
    return [finding.name for finding in diagnose(one)]


def test_a_loss_that_falls_and_comes_to_rest_is_healthy_and_nothing_else() -> None:
    assert names(curves(falling())) == ["healthy"]


def layers(grad: list[float], dead: float = 0.0, update: float = 0.002) -> LayerCurves:
    """Return what steps do to layers, the same at each point."""
    table: Any = np.ones((EPOCHS, len(grad)))
    of = [f"layer{number}" for number in range(len(grad))]
    steps: Any = np.arange(EPOCHS) * float(STEPS)
    return LayerCurves(of, steps, table * grad, table * update, table * dead)


SWINGS = [1.0 + 0.3 * (-1) ** epoch for epoch in range(EPOCHS)]
PLANTED: dict[str, Curves] = {
    "not_finite": curves([2.3, 1.0, *[float("nan")] * 3]),
    "diverged": curves([2.3, 8.0, 30.0, 40.0, 41.0]),
    "oscillating": curves([2.3, *SWINGS[1:]]),
    "noisy_end": curves(falling(), [loss + 0.15 * (-1) ** epoch for epoch, loss in enumerate(falling(0.3))]),
    "rising_train_loss": curves([*falling(epochs=15), *np.linspace(0.15, 1.2, 15)]),
    "never_learned": curves([2.31] * 10),
    "too_slow": curves(list(np.linspace(2.3, 1.9, EPOCHS)), facts={"optimizer.lr": 1e-5}),
    "still_improving": curves(list(np.linspace(2.3, 0.5, EPOCHS))),
    "saturated": curves(falling(pace=40.0, epochs=60)),
    "underfitting": curves(falling(1.2), facts={"model.width": 2}),
    "overfitting": curves(falling(0.01), [*falling(0.5, epochs=10), *np.linspace(0.5, 1.2, 20)]),
    "leak": curves(falling(0.4), falling(0.1)),
    "vanishing_gradients": replace(curves(falling(1.0)), layers=layers([1e-7, 1e-3, 1.0])),
    "exploding_gradients": replace(curves([900.0, 400.0, 90.0, 60.0, 50.0]), grad_norm=np.full(5, 1e4)),
    "dead_units": replace(curves(falling(1.0)), layers=layers([0.3, 0.5], dead=0.9)),
    "over_clipped": replace(
        curves(falling(), facts={"trainer.gradient_clip_val": 0.001}), grad_norm=np.full(EPOCHS, 1.0)
    ),
    "lr_at_stability_edge": replace(curves(falling()), layers=layers([1.0, 1.0], update=0.1)),
}


def test_every_rule_is_tested() -> None:
    assert {rule.__name__ for rule in RULES} == {*PLANTED, "periodic"}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_in_curves_is_found_with_its_numbers_and_a_remedy(kind: str) -> None:
    found = {finding.name: finding for finding in diagnose(PLANTED[kind])}
    assert kind in found, [*found]
    finding = found[kind]
    assert any(letter.isdigit() for letter in finding.evidence) and finding.evidence.endswith(".")
    assert finding.advice.strip()
    assert 0.5 <= finding.confidence < 1
    assert str(finding) == f"{kind}: {finding.evidence}{finding.advice}"


def test_a_remedy_is_a_command_line_with_the_keys_of_the_run() -> None:
    swinging = PLANTED["oscillating"]
    tries = {
        0.002: ["optimizer.lr=0.0007 (a third)", "scheduler=warmup_cosine (falls to 0)"],
        1.0: ["optimizer.lr=0.001 (what it usually begins with)", "scheduler=warmup_cosine (falls to 0)"],
    }
    for lr, texts in tries.items():
        facts = replace(swinging.facts, keys={**swinging.facts.keys, "optimizer.lr": lr})
        [finding] = diagnose(replace(swinging, facts=facts))
        assert [str(remedy) for remedy in finding.remedies] == texts
    [finding] = diagnose(replace(swinging, facts=Facts()))
    assert finding.advice == " Take a learning rate of a third."


def test_batches_in_one_order_are_periodic() -> None:
    one = curves(falling())
    shape = np.tile(np.linspace(0.2, 1.8, STEPS)[np.random.default_rng(1).permutation(STEPS)], EPOCHS)
    losses = np.repeat(one.train, STEPS) * shape
    assert names(replace(one, losses=losses)) == ["periodic"]


@pytest.mark.parametrize(
    ("overrides", "kinds"),
    [
        (["optimizer=sgd", "optimizer.lr=1e30"], {"not_finite"}),
        (["optimizer.lr=1e-6"], {"too_slow", "never_learned"}),
        (["trainer.max_epochs=3", "optimizer.lr=5e-4"], {"still_improving"}),
        (
            ["model.width=1", "model.depth=1", "optimizer.lr=0.03", "scheduler=one_cycle", "trainer.max_epochs=30"],
            {"underfitting"},
        ),
        (["trainer.gradient_clip_val=0.0001", "optimizer=sgd"], {"over_clipped"}),
        (["optimizer.lr=0.005", "scheduler=one_cycle", "trainer.max_epochs=12"], {"healthy"}),
    ],
)
def test_a_run_that_is_trained_badly_is_told_why(train: Train, overrides: list[str], kinds: set[str]) -> None:
    short = [] if any("max_epochs" in text for text in overrides) else ["trainer.max_epochs=8"]
    one = of_record(RunRecord(train(*overrides, *short)))
    assert one and {*names(one)} & kinds, names(one) if one else []


def test_runs_that_are_trained_together_are_told_what_they_are_told_alone(sweep: Sweep) -> None:
    grid = ("optimizer.lr=1e-6,1e-3,0.3", "trainer.max_epochs=10", "trainer.precision=64-true")
    apart, together = sweep(*grid, "sweep.fuse=off", name="apart"), sweep(*grid, "sweep.fuse=3", name="together")
    for alone, member in zip(apart.runs, together.runs, strict=True):
        first, second = (of_record(RunRecord(Path(run))) for run in (alone, member))
        assert first and second and names(first) == names(second)
    table = together.out
    assert "health" in table and "too_slow" in table


def test_no_curve_at_all_breaks_no_rule() -> None:
    empty = Curves(losses=np.array([np.nan]), steps=np.array([1.0]), epochs=np.array([1.0]), train=np.array([np.nan]))
    assert names(empty) == ["not_finite"]
    assert names(replace(empty, losses=np.array([1.0]), train=np.array([1.0]))) == ["healthy"]
    assert [*curves_in(Path(__file__).parent)] == []
