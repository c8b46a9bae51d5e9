"""A network of a stranger's that is not of the usual kind: shapes that a batch decides, weights that it reads."""

from pathlib import Path

import pytest
import torch

from conftest import Command, Sweep, Train, result


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")


def test_lazy_layers_have_their_shapes_before_the_card_is_printed(command: Command, tmp_path: Path) -> None:
    line = ("model=stranger.nets.Lazy", "trainer.max_epochs=2")
    assert "W 16x64" in command(*line, "explain=true")[1]
    assert command(*line, "name=run")[0] == 0
    assert result(tmp_path / "outputs" / "run")["parameters"] == 64 * 16 + 16 + 16 * 10 + 10


def test_a_network_that_reads_weights_where_it_is_built_is_swept(sweep: Sweep, tmp_path: Path) -> None:
    torch.save(torch.ones(16, 64), tmp_path / "first.pt")
    line = ("model=stranger.nets.Begun", f"model.file={tmp_path / 'first.pt'}", "optimizer.lr=0.1,0.01")
    done = sweep(*line, "trainer.max_epochs=1")
    assert done.status == 0, done.err
    assert len(done.runs) == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.options.dropout=x", "model.options.dropout=x: It must be a number, and this is text."),
        ("model.options={dropout:[1]}", "model.options.dropout=[1]: It must be a number, and this is a list"),
        ("model.sizes=[8,x]", "model.sizes=[8,x]: It must be a list [a whole number, ...]"),
        ("model.size=[8]", "Did you mean 'model.sizes'?"),
    ],
)
def test_what_it_is_given_is_checked_to_the_last_item(command: Command, override: str, words: str) -> None:
    status, _, err = command("model=stranger.nets.Sized", "model.sizes=[8,8]", "+model.options={dropout:0.1}", override)
    assert (status, words in err) == (2, True), err


def test_sizes_and_options_are_swept(sweep: Sweep) -> None:
    line = ("model=stranger.nets.Sized", "model.sizes=[8],[16,8]", "model.options={dropout:0.0},{dropout:0.2}")
    done = sweep(*line, "trainer.max_epochs=1")
    assert done.status == 0, done.err
    assert len(done.runs) == 4


def test_an_optimizer_and_a_schedule_of_ones_own_are_choices(train: Train) -> None:
    line = ("optimizer=stranger.nets.Signs", "optimizer.lr=0.001", "scheduler=stranger.nets.Halving")
    assert result(train(*line, "trainer.max_epochs=2"))["status"] == "done"


def test_what_is_known_is_not_announced_for_later(command: Command) -> None:
    status, _, err = command("monitor_later=true")
    assert (status, "what this run logs is known. Leave it out." in err) == (2, True), err
