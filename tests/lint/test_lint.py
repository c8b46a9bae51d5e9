"""What is advised before training: each rule where it is meant, not elsewhere, and as a user meets it."""

from typing import Any

import pytest

from composing import composed
from conftest import Command
from gridstorm.lint import Draft, Span
from gridstorm.lint.rules import MOST, RULES, advised

RUNS = {
    "batch_of_eights": (["data.batch_size=50"], ["data.batch_size=48"]),
    "tiny_batch_norm": (["model.norm=batch", "data.batch_size=4"], ["model.norm=layer", "data.batch_size=4"]),
    "long_warmup": (
        ["scheduler=warmup_cosine", "scheduler.warmup_steps=50", "trainer.limit_train_batches=10"],
        ["scheduler=warmup_cosine", "scheduler.warmup_steps=20", "trainer.limit_train_batches=10"],
    ),
    "schedule_horizon": (["scheduler=cosine", "+scheduler.T_max=10"], ["scheduler=cosine"]),
    "decay_under_adam": (["optimizer.weight_decay=0.1"], ["optimizer=adamw", "optimizer.weight_decay=0.1"]),
    "patience_beyond_the_end": (
        ["callbacks=early_stopping", "callbacks.early_stopping.patience=30"],
        ["callbacks=early_stopping", "callbacks.early_stopping.patience=5"],
    ),
    "chosen_by_training": (["monitor=train/loss"], ["monitor=val/accuracy", "mode=max"]),
    "large_rate": (["optimizer.lr=1"], ["optimizer.lr=0.01"]),
}
SWEEPS: dict[str, tuple[list[Span], list[Span]]] = {
    "batch_size_without_rate": (
        [Span("data.batch_size", [32, 64])],
        [Span("data.batch_size", [32, 64]), Span("optimizer.lr", [0.001, 0.01])],
    ),
    "loss_chosen_by_itself": ([Span("loss", ["cross_entropy", "focal"])], [Span("model", ["mlp", "cnn"])]),
    "narrow_rate": ([Span("optimizer.lr", [0.001, 0.002])], [Span("optimizer.lr", [0.001, 0.003, 0.01])]),
    "linear_rate": (
        [Span("optimizer.lr", [1e-4, 1e-1], is_interval=True)],
        [Span("optimizer.lr", [1e-4, 1e-1], is_interval=True, is_log=True)],
    ),
    "epochs_as_hyperparameter": ([Span("trainer.max_epochs", [10, 20])], [Span("model.width", [10, 20])]),
    "large_grid": (
        [Span("optimizer.lr", [1e-4, 1e-3, 1e-2, 1e-1]), Span("model.width", [8, 64, 512]), Span("seed", [1, 2, 3])],
        [Span("optimizer.lr", [1e-4, 1e-3, 1e-2, 1e-1]), Span("model.width", [8, 64, 512])],
    ),
}


def ids(values: dict[str, Any], *spans: Span, is_searched: bool = False) -> list[str]:
    """Return the ids of what is advised."""
    return [line.split()[1].rstrip(":") for line in advised(Draft(values, spans, is_searched))]


@pytest.mark.parametrize("name", RUNS)
def test_a_setting_that_is_seldom_meant_is_named_and_a_usual_one_is_not(name: str) -> None:
    seldom, usual = RUNS[name]
    assert ids(composed(*seldom).values) == [name]
    assert ids(composed(*usual).values) == []
    assert ids(composed(*seldom, f"lint.ignore=[{name}]").values) == []


@pytest.mark.parametrize("name", SWEEPS)
def test_a_space_that_is_seldom_meant_is_named_and_a_usual_one_is_not(name: str) -> None:
    seldom, usual = SWEEPS[name]
    assert ids(composed().values, *seldom) == [name]
    assert ids(composed().values, *usual) == []


def test_a_seed_is_no_hyperparameter_where_a_sampler_searches_it() -> None:
    assert ids(composed().values, Span("seed", [0, 1, 2]), is_searched=True) == ["seed_as_hyperparameter"]
    assert ids(composed().values, Span("seed", [0, 1, 2])) == []


def test_every_rule_has_a_test() -> None:
    assert {*RULES} == {*RUNS, *SWEEPS, "seed_as_hyperparameter"}


def test_what_ships_is_advised_nothing() -> None:
    for preset in ("digits_mlp", "digits_cnn", "breast_cancer", "diabetes", "python_text"):
        assert ids(composed(f"experiment={preset}").values) == [], preset


def test_it_is_never_a_wall() -> None:
    names = ("batch_of_eights", "patience_beyond_the_end", "schedule_horizon", "chosen_by_training", "large_rate")
    texts = [text for name in (*names, "decay_under_adam") for text in RUNS[name][0]]
    values = composed(*texts).values
    lines = advised(Draft(values))
    assert len(lines) == MOST + 1 and lines[-1].startswith("lint: ")


def test_a_run_and_a_sweep_say_it_in_a_line_each_before_they_train(command: Command) -> None:
    status, out, _ = command("optimizer.weight_decay=0.1", "explain=true")
    assert status == 0
    assert out.splitlines()[0].startswith("lint decay_under_adam: Adam adds weight_decay=0.1 to the gradient")
    assert out.splitlines()[0].endswith("Try optimizer=adamw, which takes it from the weights.")
    swept = ("-m", "optimizer.lr=1e-3,2e-3", "sweep.dry_run=true", "launcher=in_process")
    assert command(*swept)[1].startswith("lint narrow_rate: optimizer.lr spans 0.001 to 0.002, less than a decade")
    assert "lint" not in command(*swept, "lint.ignore=[narrow_rate]")[1]


def test_an_id_that_is_none_is_refused(command: Command) -> None:
    status, _, err = command("lint.ignore=[narow_rate]")
    assert status == 2
    assert "lint.ignore=narow_rate: There is no such rule. Did you mean 'narrow_rate'?" in err
    assert command("lint.ignore=narrow_rate")[0] == 2
