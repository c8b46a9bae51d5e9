"""Lightning's own callbacks and profilers, as choices, with the real package."""

from pathlib import Path

import pytest
import torch

from conftest import Command, Sweep, Train, result, rows

LIGHTNING = "pytorch_lightning.callbacks."
SHORT = ("trainer.max_epochs=4",)
STOP = "+callbacks.stop._target_=stranger.modules.Stop"


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")


def of(name: str, *others: str) -> tuple[str, ...]:
    """The overrides that take a callback beside the default ones."""
    return (f"callbacks=[default,{LIGHTNING}{name}]", *SHORT, *others)


def weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    return dict(torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"])


def loss_of(run: Path, name: str) -> float:
    """The loss of saved weights on the test part of the digits."""
    from gridstorm.data.digits import Digits
    from gridstorm.model.mlp import MLP

    network = MLP(input_shape=(1, 8, 8), num_outputs=10).eval()
    network.load_state_dict({key.removeprefix("network."): value for key, value in weights(run, name).items()})
    data = Digits()
    data.setup()
    x, y = data.parts["test"]
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(network(x), y))


def test_the_average_of_the_weights_is_what_is_validated_saved_and_tested(train: Train) -> None:
    run, plain = train(*of("EMAWeightAveraging", "callbacks.ema_weight_averaging.decay=0.9")), train(*SHORT)
    assert loss_of(run, "best") == pytest.approx(result(run)["metrics"]["test/loss"], rel=1e-5)
    assert rows(run)[-1]["val/loss"] != rows(plain)[-1]["val/loss"]
    assert rows(run)[0]["train/loss"] == rows(plain)[0]["train/loss"]  # what is trained is the same


def test_stochastic_weight_averaging_is_tested_and_saved_at_the_end(train: Train) -> None:
    run = train(*of("StochasticWeightAveraging", "callbacks.stochastic_weight_averaging.swa_lrs=0.01"))
    assert loss_of(run, "averaged") == pytest.approx(result(run)["metrics"]["test/loss"], rel=1e-5)
    assert loss_of(run, "averaged") != pytest.approx(loss_of(run, "best"), rel=1e-3)


def test_the_learning_rate_monitor_is_recorded_under_its_own_names(train: Train) -> None:
    run = train(*of("LearningRateMonitor", "scheduler=exponential", "scheduler.gamma=0.5"))
    seen = [row["lr-Adam"] for row in rows(run) if "lr-Adam" in row]
    assert seen[0] == pytest.approx(0.001)
    assert seen == sorted(seen, reverse=True)


def test_accumulation_that_changes_is_counted_by_a_schedule_over_all_steps(train: Train) -> None:
    changing = of("GradientAccumulationScheduler", "callbacks.gradient_accumulation_scheduler.scheduling={0:4,2:1}")
    run = train(*changing, "scheduler=cosine")
    assert [row["step"] for row in rows(run)] == [5, 10, 30, 50]
    rates = [row["lr"] for row in rows(run)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-5


def finetuning(name: str) -> tuple[str, ...]:
    scheduling = of("BackboneFinetuning", "callbacks.backbone_finetuning.unfreeze_backbone_at_epoch=2", f"name={name}")
    return (*scheduling, "model=stranger.sets.Backboned", "callbacks.backbone_finetuning.backbone_initial_lr=0.001")


def test_a_backbone_is_trained_from_an_epoch_on_and_a_resumed_run_does_the_same(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = command(*finetuning("whole"))
    assert status == 0, err
    monkeypatch.setenv("STRANGER_STOPS_AT", "3")
    assert command(*finetuning("stopped"), STOP)[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    status, _, err = command("resume=outputs/stopped")
    assert status == 0, err
    whole, stopped = (tmp_path / "outputs" / name for name in ("whole", "stopped"))
    first, second = weights(whole, "last"), weights(stopped, "last")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert command(*finetuning("short"), "trainer.max_epochs=2")[0] == 0
    start = weights(tmp_path / "outputs" / "short", "last")
    assert not torch.equal(start["network.backbone.weight"], first["network.backbone.weight"])


@pytest.mark.parametrize("name", ["EMAWeightAveraging", "StochasticWeightAveraging"])
def test_a_resumed_run_averages_to_the_same_weights(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rates = ["callbacks.stochastic_weight_averaging.swa_lrs=0.01"] if name.startswith("S") else []
    line = of(name, *rates, "trainer.max_epochs=6")
    assert command(*line, "name=whole")[0] == 0
    monkeypatch.setenv("STRANGER_STOPS_AT", "5")
    assert command(*line, "name=stopped", STOP)[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    status, _, err = command("resume=outputs/stopped")
    assert status == 0, err
    kept = "averaged" if rates else "last"
    first, second = (weights(tmp_path / "outputs" / run, kept) for run in ("whole", "stopped"))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_a_callback_alone_says_that_it_replaces_the_default(command: Command) -> None:
    alone, both = f"callbacks={LIGHTNING}LearningRateMonitor", f"callbacks=[default,{LIGHTNING}LearningRateMonitor]"
    words = f"No checkpoint: {alone} stands in the place of the default (both: {both})"
    assert words in command(alone, "explain=true")[1]
    assert "No checkpoint" not in command(both, "explain=true")[1]


@pytest.mark.parametrize("profiler", ["simple", "advanced", "{_target_:pytorch_lightning.profilers.SimpleProfiler}"])
def test_a_profiler_writes_beside_the_record_and_the_run_says_where(
    command: Command, tmp_path: Path, profiler: str
) -> None:
    status, out, err = command(f"+trainer.profiler={profiler}", "trainer.max_epochs=1", "name=run")
    assert status == 0, err
    assert "profile outputs/run/fit-profile.txt" in out
    assert "training_step" in (tmp_path / "outputs" / "run" / "fit-profile.txt").read_text()


def test_runs_with_a_profiler_are_trained_apart_each_with_its_own(sweep: Sweep) -> None:
    line = ("+trainer.profiler=simple", "optimizer.lr=0.1,0.01", "trainer.max_epochs=1")
    assert (
        "trained apart, 2: trainer.profiler=simple is for runs alone"
        in sweep(*line, "sweep.fuse=2", "sweep.dry_run=true").out
    )
    done = sweep(*line)
    assert all((run / "fit-profile.txt").is_file() for run in done.runs)


def test_a_schedule_over_all_steps_of_a_stream_is_refused_where_nobody_knows_how_many(command: Command) -> None:
    sets = [f"data.{part}._target_=stranger.sets.Stream" for part in ("train", "val")]
    status, _, err = command("data=loaders", *sets, "scheduler=cosine")
    assert (status, "the data do not say how many batches an epoch has. Give trainer.limit" in err) == (2, True), err
    assert command("data=loaders", *sets, "scheduler=cosine", "trainer.limit_train_batches=1", *SHORT)[0] == 0
