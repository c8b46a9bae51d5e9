"""Training longer, beginning from other weights, freezing, and parameter groups."""

import shutil
from pathlib import Path

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from conftest import Command, Compose, Sweep, Train, result, rows
from gridstorm.module.optimizer import stretched

GROUPS = "+optimizer.groups={output.*:{lr:0.1},hidden2.*:{weight_decay:0.1}}"


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return dict(torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"])


def equal(first: Path, second: Path) -> bool:
    """Whether two runs have the same curves and the same weights."""
    one, two = weights(first), weights(second)
    return rows(first) == rows(second) and all(torch.equal(value, two[name]) for name, value in one.items())


# Longer


def test_a_finished_run_that_trains_longer_is_the_run_that_was_longer_from_the_start(
    command: Command, tmp_path: Path
) -> None:
    assert command("trainer.max_epochs=2", "name=two", "model.dropout=0.2")[0] == 0
    assert command("trainer.max_epochs=4", "name=four", "model.dropout=0.2")[0] == 0
    status, out, err = command("resume=outputs/two", "trainer.max_epochs=4")
    assert status == 0, err
    assert "Trains on from epoch 2 of outputs/two\n" in out
    assert equal(tmp_path / "outputs" / "two-to-4", tmp_path / "outputs" / "four")
    assert result(tmp_path / "outputs" / "two")["epochs"] == 2


def test_a_plateau_of_a_module_of_ones_own_hears_of_the_epoch_after_which_it_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "scheduled")
    line = ("model=scheduled.Scheduled", "model.schedule=plateau", "trainer.limit_train_batches=6")
    for name, epochs in (("short", 3), ("whole", 6)):
        assert command(*line, f"trainer.max_epochs={epochs}", f"name={name}")[0] == 0
    lr = [row["lr"] for row in rows(tmp_path / "outputs" / "whole") if "lr" in row]
    assert lr[2] > lr[3] or lr[3] > lr[4]  # what the third epoch said counts
    assert command("resume=outputs/short", "trainer.max_epochs=6", "name=on")[0] == 0
    assert equal(tmp_path / "outputs" / "on", tmp_path / "outputs" / "whole")


def test_it_is_a_run_of_its_own_that_is_never_taken_for_one_from_scratch(command: Command, tmp_path: Path) -> None:
    assert command("trainer.max_epochs=1", "name=one")[0] == 0
    assert command("resume=outputs/one", "trainer.max_epochs=2", "name=two")[0] == 0
    assert command("trainer.max_epochs=2", "name=scratch")[0] == 0
    signatures = {result(tmp_path / "outputs" / name)["signature"] for name in ("one", "two", "scratch")}
    assert len(signatures) == 3
    config = (tmp_path / "outputs" / "two" / "config.yaml").read_text()
    assert f"signature: {result(tmp_path / 'outputs' / 'one')['signature']}" in config


def test_it_is_interrupted_and_goes_on_and_is_trained_again_to_the_same_numbers(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from gridstorm.record import RunRecord
    from gridstorm.run import rerun

    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    stop = "+callbacks.stop._target_=stranger.modules.Stop"
    assert command("trainer.max_epochs=1", "name=one", stop)[0] == 0
    assert command("resume=outputs/one", "trainer.max_epochs=4", "name=whole")[0] == 0
    monkeypatch.setenv("STRANGER_STOPS_AT", "2")
    assert command("resume=outputs/one", "trainer.max_epochs=4", "name=stopped")[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    assert command("resume=outputs/stopped")[0] == 0
    assert equal(tmp_path / "outputs" / "whole", tmp_path / "outputs" / "stopped")
    shutil.rmtree(tmp_path / "outputs" / "one")
    assert rerun(RunRecord(Path("outputs/whole"))) == 0, capfd.readouterr().out


def test_a_schedule_keeps_its_end_and_then_holds_its_last_learning_rate_or_is_stretched(
    command: Command, tmp_path: Path
) -> None:
    def rates(name: str) -> list[float]:
        return [row["lr"] for row in rows(tmp_path / "outputs" / name)]

    assert command("scheduler=cosine", "trainer.max_epochs=2", "name=two")[0] == 0
    assert command("scheduler=cosine", "trainer.max_epochs=4", "name=four")[0] == 0
    status, out, err = command("resume=outputs/two", "trainer.max_epochs=4", "name=kept")
    assert status == 0, err
    assert "its schedule ends at step 40 as before, and then holds its last learning rate" in out
    assert rates("kept") == [*rates("two"), 0.0, 0.0]
    assert command("resume=outputs/two", "trainer.max_epochs=4", "name=stretched", "horizon=stretch")[0] == 0
    assert rates("stretched")[2:] == pytest.approx(rates("four")[2:], rel=1e-6)
    again = command("resume=outputs/kept", "trainer.max_epochs=5", "name=longer")
    assert again[0] == 0, again[2]
    assert rates("longer")[-1] == 0.0


@pytest.mark.parametrize("scheduler", ["one_cycle", "warmup_cosine", "plateau", "step", "exponential"])
def test_any_schedule_goes_on(command: Command, scheduler: str) -> None:
    assert command(f"scheduler={scheduler}", "trainer.max_epochs=2", "name=two")[0] == 0
    for horizon in ("keep", "stretch"):
        status, _, err = command("resume=outputs/two", "trainer.max_epochs=3", f"horizon={horizon}")
        assert status == 0, err


def test_a_stretched_schedule_is_the_one_that_counted_so_many_steps_from_the_start() -> None:
    def optimizer() -> SGD:
        return SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)

    old, expected = CosineAnnealingLR(optimizer(), T_max=4), CosineAnnealingLR(optimizer(), T_max=8)
    for scheduler, steps in ((old, 4), (expected, 4)):
        for _ in range(steps):
            scheduler.optimizer.step()
            scheduler.step()
    fresh = stretched(old, CosineAnnealingLR, {"T_max": 8}, 4)
    assert fresh.get_last_lr() == pytest.approx(expected.get_last_lr())


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ("resume=outputs/one", "trainer.max_epochs=1"),
            "outputs/one is trained for 1 epochs already. Give more than 1",
        ),
        (("resume=outputs/one", "optimizer.lr=1", "trainer.max_epochs=2"), "optimizer.lr=1: A run goes on with the"),
        (("resume=outputs/one", "name=two"), "It says nothing of how long to train. Add trainer.max_epochs=N"),
        (("horizon=stretch",), "It is of a run that is trained longer than it was. Write resume=RUN"),
        (("+parent.epoch=3",), "parent: The run sets this itself. Write resume=RUN trainer.max_epochs=N"),
        (("resume=outputs/nothing", "trainer.max_epochs=2"), "There is no run in this directory."),
        (("init_from=outputs/nothing",), "init_from=outputs/nothing: There are no weights here."),
        (("init_from=outputs/one/config.yaml",), "It cannot be read"),
        (("init_from=other.pt",), "None of its weights has a name and a shape of this model's"),
        (
            ("freeze=[hiden1.*]",),
            "freeze=hiden1.*: No parameter that is trained has such a name. Did you mean 'hidden1",
        ),
        (("freeze=['*']",), "Every parameter is frozen, and nothing is left to be trained."),
        (("freeze=hidden1.*",), "It must be a list"),
        (
            ("+optimizer.groups={outputs.*:{lr:1}}",),
            "No parameter that is trained has such a name. Did you mean 'output.*'",
        ),
        (("+optimizer.groups={output.*:{lrr:1}}",), "Adam takes no 'lrr'. Did you mean 'lr'?"),
        (("+optimizer.groups={output.*:{lr:-1}}",), "optimizer.groups.output.*.lr=-1: It must be greater than 0."),
        (("+optimizer.groups={output.*:0.1}",), "It must say what is set for these parameters."),
        (("optimizer.groups={output.*:{lr:1}}",), "Write +optimizer.groups={output.*:{lr:1}}."),
        (('+optimizer.groups={"output.*":{lr:1}}',), "The names in a section stand without quotes."),
        (("+optimizer.groups={output.*:{lr:1}}", "scheduler=one_cycle"), "OneCycleLR gives every group its own max_lr"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_leaves_nothing(
    command: Command, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    assert command("trainer.max_epochs=1", "trainer.limit_train_batches=1", "name=one")[0] == 0
    torch.save({"far.away": torch.zeros(3)}, tmp_path / "other.pt")
    status, _, err = command(*overrides)
    assert (status, words in err) == (2, True), err
    assert [run.name for run in (tmp_path / "outputs").iterdir()] == ["one"]


# Weights


def test_a_run_begins_from_the_best_weights_of_another_and_says_what_fits(command: Command, tmp_path: Path) -> None:
    assert command("trainer.max_epochs=2", "name=first")[0] == 0
    line = ("init_from=outputs/first", "optimizer.lr=1e-30", "trainer.max_epochs=1", "name=second")
    status, out, err = command(*line)
    assert status == 0, err
    assert "First weights: of outputs/first, 6 tensors are taken, all there are" in out
    before, after = weights(tmp_path / "outputs" / "first", "best"), weights(tmp_path / "outputs" / "second")
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert command(*line[:-1], "data=breast_cancer", "name=third")[0] == 0
    out = command(*line[:-1], "data=breast_cancer", "explain=true")[1]
    assert "hidden1.linear.weight (128x64 there, 128x30 here)" in out


def test_a_file_of_plain_weights_and_one_of_another_prefix_fit_too(
    composed: Compose, tmp_path: Path, train: Train
) -> None:
    first = train("trainer.max_epochs=1")
    state = {name.removeprefix("network."): value for name, value in weights(first).items()}
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"state_dict": {f"net.{name}": value for name, value in state.items()}}, tmp_path / "net.ckpt")
    for file in ("plain.pt", "net.ckpt"):
        second = train(f"init_from={tmp_path / file}", "optimizer.lr=1e-30", "trainer.max_epochs=1")
        assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


def test_the_weights_that_a_run_begins_from_are_part_of_its_recipe(composed: Compose, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"output.bias": torch.zeros(10)}, file)
    before = composed(f"init_from={file}").signature
    copied = shutil.copy(file, tmp_path / "copy.pt")
    assert composed(f"init_from={copied}").signature == before != composed().signature
    torch.save({"output.bias": torch.ones(10)}, file)
    assert composed(f"init_from={file}").signature != before


def test_frozen_parameters_stay_as_they_are_and_the_card_names_them(command: Command, tmp_path: Path) -> None:
    first = ("trainer.max_epochs=1", "optimizer.lr=1e-30", "name=first")
    assert command(*first)[0] == 0
    status, out, err = command("trainer.max_epochs=2", "freeze=[hidden1.*]", "name=frozen")
    assert status == 0, err
    assert "Not trained: hidden1.linear.weight, hidden1.linear.bias" in out
    before, after = (weights(tmp_path / "outputs" / name) for name in ("first", "frozen"))
    same = {name for name in before if torch.allclose(before[name], after[name], rtol=0, atol=1e-20)}
    assert same == {"network.hidden1.linear.weight", "network.hidden1.linear.bias"}


def test_each_group_has_a_learning_rate_of_its_own_which_is_recorded(train: Train) -> None:
    run = train(GROUPS, "optimizer.lr=0.001", "scheduler=exponential", "scheduler.gamma=0.5", "trainer.max_epochs=2")
    points = [(row["lr"], row["lr/output.*"], row["lr/hidden2.*"]) for row in rows(run)]
    assert points == [pytest.approx((0.001, 0.1, 0.001)), pytest.approx((0.0005, 0.05, 0.0005))]


@pytest.mark.parametrize("what", [GROUPS, "freeze=[hidden1.*]", "init_from=first.pt"])
def test_runs_that_are_trained_together_have_the_numbers_of_runs_alone(what: str, sweep: Sweep, tmp_path: Path) -> None:
    torch.save({"hidden2.linear.bias": torch.full((128,), 0.5)}, tmp_path / "first.pt")
    grid = (what, "optimizer.lr=0.01,0.001", "trainer.precision=64-true", "seed=1,2", "trainer.max_epochs=2")
    fused, apart = (sweep(*grid, f"sweep.fuse={fuse}", "launcher=in_process", name=f"f{fuse}") for fuse in ("4", "off"))
    assert fused.status == 0, fused.err
    assert "trained together, at most 4" in sweep(*grid, "sweep.fuse=4", "sweep.dry_run=true", name="plan").out
    for one, two in zip(fused.runs, apart.runs, strict=True):
        first, second = (
            [{n: row[n] for n in row if n.startswith(("val/", "lr"))} for row in rows(run)] for run in (one, two)
        )
        assert [*map(pytest.approx, second)] == first


def test_they_are_swept(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep(
        "freeze=[],[hidden1.*]", "+optimizer.groups={output.*:{lr:0.1}},{output.*:{lr:0.2}}", "trainer.max_epochs=1"
    )
    assert done.status == 0, done.err
    assert len(done.runs) == 4
