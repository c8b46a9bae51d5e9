"""Finding a learning rate and a batch size before anything is trained."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Command
from gridstorm.run.find import FORGETS, Rates, _averaged, _single, _without_bar


def test_the_losses_of_single_steps_are_read_out_of_the_tuners_means() -> None:
    losses, mean, means = np.random.default_rng(0).random(50), 0.0, []
    for step, loss in enumerate(losses, 1):  # as Lightning's tuner counts
        mean = FORGETS * mean + (1 - FORGETS) * loss
        means.append(mean / (1 - FORGETS ** (step + 1)))
    assert _single(np.array(means)) == pytest.approx(losses)


def test_the_suggestion_lies_below_the_rate_of_the_least_loss_inside_of_the_stable_range() -> None:
    rates = np.logspace(-6, 1, 200)
    losses = 2.3 - 2 / (1 + (1e-3 / rates) ** 2) + 50 * np.maximum(0, rates - 0.1)
    low, high = Rates(rates, losses).stable
    assert 1e-4 < low < 1e-3 < high <= 0.11
    assert low < Rates(rates, losses).suggested == pytest.approx(high / 2, rel=0.1)


def test_losses_that_are_no_numbers_are_left_out_of_the_means() -> None:
    assert np.isfinite(_averaged(np.array([1.0, np.nan, 2.0, np.inf]))[:2]).all()


def test_a_learning_rate_is_suggested_drawn_and_nothing_is_trained(command: Command, tmp_path: Path) -> None:
    status, out, err = command("find=lr", "name=found")
    assert status == 0, err
    rate = float(re.findall(r"^suggested  optimizer\.lr=(\S+)$", out, re.M)[0])
    assert 1e-3 < rate < 0.1 and f"optimizer.lr={rate:g}" in out.partition("try ")[2]
    assert [file.name for file in (tmp_path / "outputs").iterdir()] == ["found"]
    drawn = EventAccumulator(str(tmp_path / "outputs/found")).Reload()
    assert drawn.Tags()["images"] == ["find/lr"] and len(drawn.Scalars("find/loss")) > 100
    assert not [*tmp_path.glob(".lr_find*")] and "Finding best" not in err


@pytest.mark.parametrize("words", [["data=breast_cancer", "scheduler=one_cycle"], ["data=diabetes", "loss=mse",
                         "optimizer=sgd", "trainer.accumulate_grad_batches=2"]], ids=str)  # fmt: skip
def test_any_recipe_has_one(command: Command, words: list[str]) -> None:
    status, out, err = command("find=lr", *words)
    assert status == 0 and "suggested  optimizer.lr=" in out, err
    # To the end, or to where the loss is no number any more, however many batches are gathered for a step.
    assert float(re.findall(r"growing from 1e-06 to (\S+)", out)[0]) > 0.5


def test_a_module_of_ones_own_has_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    status, out, err = command("find=lr", "model=stranger.modules.Classifier")
    assert status == 0 and "suggested" in out, err


def test_the_throughput_of_batch_sizes_is_measured(command: Command, tmp_path: Path) -> None:
    status, out, err = command("find=batch_size", "name=found")
    assert status == 0, err
    sizes = re.findall(r"^ +(\d+) +([\d,]+) +[\d,]+ MiB$", out, re.M)
    assert [int(size) for size, _ in sizes[:4]] == [8, 16, 32, 64]
    assert all(int(speed.replace(",", "")) > 0 for _, speed in sizes)
    assert "The throughput st" in out and [one.name for one in (tmp_path / "outputs").iterdir()] == ["found"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["find=lrr"], "Did you mean 'lr'?"),
        (["find=lr", "resume=outputs/x"], "It is asked of a run that begins."),
        (["-m", "find=lr", "seed=0,1"], "It is asked of one run"),
    ],
)
def test_what_cannot_be_found_is_said_in_words(command: Command, words: list[str], said: str) -> None:
    status, _, err = command(*words)
    assert status == 2 and said in err


def test_what_is_drawn_is_never_put_into_the_directory_of_a_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "outputs/first").mkdir(parents=True)
    assert command("find=batch_size", "name=first")[0] == 0
    assert sorted(one.name for one in (tmp_path / "outputs").iterdir()) == ["first", "first-2"]
    assert not [*(tmp_path / "outputs/first").iterdir()]


def test_what_is_warned_of_beside_the_bar_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with _without_bar():
        sys.stderr.write("Finding best initial lr:  50%\rFinding best initial lr: 100%\na warning\n")
    assert capsys.readouterr().err == "a warning\n"
