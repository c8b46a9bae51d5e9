"""No run is taken for another: the signature has all that can change a number, and what was planned is trained."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from composing import LOADER, composed
from conftest import Command, Sweep, result
from gridstorm.config.resolve import leaves
from gridstorm.error import UserError
from gridstorm.record.run import RunRecord
from gridstorm.sweeper.plan import Plan

CONF = Path(__file__).parents[2] / "conf"
GLOBAL = "# @package _global_\n"
SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "theirs")


def weights(run: Path) -> dict[str, Any]:
    import torch

    return dict(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])


FREEZE = ("+callbacks.freeze._target_=theirs.Freeze", "+callbacks.freeze.prefix={}")


def test_callbacks_that_differ_are_trials_that_differ(sweep: Sweep) -> None:
    done = sweep(FREEZE[0], FREEZE[1].format("hidden1,hidden2"), *SHORT)
    assert done.status == 0, done.err
    assert len(done.runs) == 2
    first, second = map(weights, done.runs)
    assert not all(bool((first[name] == second[name]).all()) for name in first)


def test_a_later_sweep_takes_over_no_result_of_another_callback(sweep: Sweep) -> None:
    grid = ("optimizer.lr=0.01,0.02", *SHORT)
    assert sweep(*grid).first.startswith("2 runs: 2 to go")
    with_freeze = (FREEZE[0], FREEZE[1].format("hidden1"))
    assert sweep(*grid, *with_freeze).first.startswith("2 runs: 2 to go")
    assert sweep(*grid, *with_freeze).first.startswith("2 runs: 2 done, 0 to go")


def test_what_a_file_holds_that_a_callback_reads_is_part_of_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "factor"
    line = ("+callbacks.scale._target_=theirs.Scale", f"+callbacks.scale.path={file}")
    signatures = []
    for text in ("0.5", "2.0", "0.5"):
        file.write_text(text)
        signatures.append(composed(*line).signature)
    assert signatures[0] == signatures[2] != signatures[1]


def test_points_that_differ_in_nothing_that_counts_are_one_and_it_is_said(sweep: Sweep) -> None:
    done = sweep("threads=1,2", "optimizer.lr=0.01,0.02", *SHORT)
    assert done.status == 0, done.err
    assert "2 of 4 points differ from another one in nothing that changes a number:\n" in done.out
    assert "  threads=2,lr=0.01: as threads=1,lr=0.01\n" in done.out
    assert "2 runs: 2 to go" in done.out


def presets(folder: Path, **content: dict[str, Any]) -> str:
    for name, preset in content.items():
        (folder / f"{name}.yaml").write_text(GLOBAL + yaml.safe_dump(preset))
    return ",".join(f"{name}.yaml" for name in content)


OF_THE_SWEEP: dict[str, dict[str, Any]] = {
    "axes": {"sweep": {"params": {"optimizer.lr": "0.01,0.02"}}},
    "a number": {"sweep": {"n_trials": 5}},
    "a sampler": {"defaults": [{"override /sampler": "random"}]},
    "a launcher": {"defaults": [{"override /launcher": "in_process"}]},
    "a pruner": {"defaults": [{"override /pruner": "median"}]},
    "a score": {"monitor": "val/accuracy", "mode": "max"},
    "a place": {"output_dir": "elsewhere"},
}


@pytest.mark.parametrize("kind", OF_THE_SWEEP)
@pytest.mark.parametrize("order", ["one,two", "two,one"])
def test_presets_of_which_one_changes_the_sweep_itself_are_refused(
    command: Command, tmp_path: Path, kind: str, order: str
) -> None:
    both = {"one": OF_THE_SWEEP[kind], "two": {"model": {"width": 8}}}
    named = presets(tmp_path, **{name: both[name] for name in order.split(",")})
    status, out, err = command("-m", f"experiment={named}", "model.depth=1,2", *SHORT)
    assert status == 2, out
    assert "a sweep has one" in err
    assert "experiment=" in err
    assert not (tmp_path / "outputs").exists()


def test_what_the_command_line_sets_holds_for_both(sweep: Sweep, tmp_path: Path) -> None:
    named = presets(tmp_path, one={"sweep": {"repeats": 5}}, two={"model": {"width": 8}})
    done = sweep(f"experiment={named}", "sweep.repeats=1", *SHORT)
    assert done.status == 0, done.err
    assert len(done.runs) == 2


@pytest.mark.parametrize("key", ["monitor=val/loss,train/loss", "output_dir=a,b"])
def test_a_sweep_has_one_score_and_one_place(command: Command, key: str) -> None:
    status, _, err = command("-m", key, "launcher=in_process")
    assert (status, "A sweep takes a single value here." in err) == (2, True)


FOLLOWING: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a copy": ("data.split_seed=${seed}", "seed=7", {"data.split_seed": 7}),
    "a copy of a copy": ("data.split_seed=${data.seed}", "seed=7", {"data.split_seed": 7}),
    "one of a list": ("optimizer.betas=[${model.dropout},0.9]", "model.dropout=0.5", {"optimizer.betas": [0.5, 0.9]}),
}


@pytest.mark.parametrize("kind", FOLLOWING)
def test_what_follows_another_key_still_does_in_best_yaml(sweep: Sweep, tmp_path: Path, kind: str) -> None:
    line, other, expected = FOLLOWING[kind]
    done = sweep(line, "optimizer.lr=0.01,0.02", *SHORT)
    assert done.status == 0, done.err
    here = composed(f"experiment={tmp_path}/grid/best.yaml", other)
    assert expected.items() <= dict(leaves(here.values)).items()
    best = composed(f"experiment={tmp_path}/grid/best.yaml")
    assert best.signature in {result(run)["signature"] for run in done.runs}


def test_seeds_of_a_sweep_and_of_its_best_yaml_are_the_same_recipes(sweep: Sweep, tmp_path: Path) -> None:
    done = sweep("seed=1,2", "data.split_seed=${seed}", *SHORT)
    signatures = {result(run)["signature"] for run in done.runs}
    again = {composed(f"experiment={tmp_path}/grid/best.yaml", f"seed={seed}").signature for seed in (1, 2)}
    assert again == signatures


def test_what_comes_from_the_environment_is_a_value_in_best_yaml_and_it_says_so(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLIT", "3")
    presets(tmp_path, mine={"data": {"split_seed": "${oc.decode:${oc.env:SPLIT}}"}})
    done = sweep("experiment=mine.yaml", "optimizer.lr=0.01,0.02", *SHORT)
    assert done.status == 0, done.err
    monkeypatch.setenv("SPLIT", "4")
    text = (done.directory / "best.yaml").read_text()
    assert "# data.split_seed was written ${oc.decode:${oc.env:SPLIT}}: here it is what that was in this run." in text
    assert composed(f"experiment={tmp_path}/grid/best.yaml").values["data"]["split_seed"] == 3


def interrupted(run: Path) -> None:
    (run / "result.json").unlink()


def test_an_edited_configuration_is_set_aside_and_what_was_planned_is_trained(sweep: Sweep) -> None:
    grid = ("optimizer=sgd", "optimizer.lr=0.2,0.1", *SHORT)
    done = sweep(*grid)
    interrupted(done.runs[0])
    file = done.runs[0] / "config.yaml"
    file.write_text(file.read_text().replace("lr: 0.2", "lr: 0.0001"))
    again = sweep(*grid)
    assert again.status == 0, again.err
    assert f"Set aside, and trained anew: {done.runs[0]}: its config.yaml is not what was planned." in again.out
    assert [run.name for run in again.runs] == ["01-lr=0.2", "02-lr=0.1", "03-lr=0.2"]
    assert RunRecord(again.runs[2]).config.values["optimizer"]["lr"] == 0.2
    assert not (done.runs[0] / "result.json").exists()
    assert "3 runs" not in sweep(*grid).out


def test_a_worker_trains_nothing_but_what_was_planned(sweep: Sweep) -> None:
    from gridstorm.sweeper.job import carry_out

    done = sweep("optimizer.lr=0.2,0.1", *SHORT)
    for run in done.runs:
        interrupted(run)
    file = done.runs[0] / "config.yaml"
    planned = [RunRecord(run).config.signature for run in done.runs]
    file.write_text(file.read_text().replace("lr: 0.2", "lr: 0.0001"))
    carry_out([str(done.runs[0])], planned[:1])
    assert result(done.runs[0])["status"] == "failed"
    assert "It is not the configuration that was planned." in result(done.runs[0])["error"]
    with pytest.raises(UserError, match="not the configuration that was planned"):
        carry_out([str(run) for run in done.runs], planned)


DAMAGES = {
    "emptied": lambda file: file.write_text(""),
    "halved": lambda file: file.write_text(file.read_text()[: file.stat().st_size // 2]),
    "no text": lambda file: file.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda file: file.write_text("[1]"),
    "of a later format": lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), "format": 7})),
}


@pytest.mark.parametrize("name", ["origin.json", "result.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named_and_costs_itself_alone(sweep: Sweep, name: str, damage: str) -> None:
    if (name, damage) == ("result.json", "of a later format"):
        return  # the format of a record stands in its origin.json
    grid = ("optimizer.lr=0.2,0.1", *SHORT)
    done = sweep(*grid)
    DAMAGES[damage](done.runs[0] / name)
    again = sweep(*grid)
    assert again.status == 0, again.err
    assert f"Set aside, and trained anew: {done.runs[0]}: {name}: " in again.out
    assert "2 runs: 1 done, 1 to go" in again.out


def test_a_later_format_is_refused_in_words(command: Command, sweep: Sweep, tmp_path: Path) -> None:
    done = sweep("optimizer.lr=0.2,0.1", *SHORT)
    for file in (done.directory / "sweep.json", done.runs[0] / "origin.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "format": 7}))
    words = "Its format is 7, and this Gridstorm knows those up to 1. Use the Gridstorm that wrote it, or a later one."
    again = sweep("optimizer.lr=0.2,0.1", *SHORT)
    assert (again.status, words in again.err) == (2, True)
    status, _, err = command(f"resume='{done.runs[0]}'")
    assert (status, words in err) == (2, True)


def test_an_interrupted_run_of_other_code_is_asked_about(sweep: Sweep) -> None:
    grid = ("optimizer.lr=0.2,0.1", *SHORT)
    done = sweep(*grid)
    interrupted(done.runs[0])
    file = done.runs[0] / "environment.json"
    environment = json.loads(file.read_text())
    file.write_text(json.dumps({**environment, "made_by": {**environment["made_by"], "code": "another"}}))
    assert "1 runs were made with other code." in sweep(*grid).err


def test_data_without_a_fingerprint_are_known_by_the_files_that_they_name(sweep: Sweep, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("1")
    line = ("data._target_=theirs.Data", *(f"~data.{key}" for key in composed().values["data"] if key != "_target_"))
    grid = (*line, f"+data.target={file}", "model=linear", "loss=mse", "optimizer.lr=0.1,0.2")
    monkey = pytest.MonkeyPatch()
    monkey.setattr("theirs.Data.__init__", reading)
    try:
        assert sweep(*grid, *SHORT).status == 0
        file.write_text("2")
        assert "2 runs were made with other data." in sweep(*grid, *SHORT).err
    finally:
        monkey.undo()


def reading(self: Any, target: str) -> None:
    import pytorch_lightning as pl

    pl.LightningDataModule.__init__(self)
    self.target, self.num_workers, self.local = "[N,1]", 0, False


def test_a_run_goes_on_only_as_it_was_started(command: Command, tmp_path: Path) -> None:
    assert command("name=first", "output_dir=runs", *SHORT)[0] == 0
    run = tmp_path / "runs" / "first"
    interrupted(run)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("lr: 0.001", "lr: 0.5"))
    status, _, err = command("resume=runs/first")
    assert status == 2
    assert "This is not the configuration with which the run was started" in err
    (run / "config.yaml").write_text(text)
    assert command("resume=runs/first")[0] == 0


STOPPING = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/loss"


def test_points_of_a_swept_section_are_what_they_are_alone(sweep: Sweep) -> None:
    done = sweep(f"+callbacks.x={STOPPING},patience:1}},{STOPPING}}}", *SHORT)
    assert done.status == 0, done.err
    configs = [RunRecord(run).config.values["callbacks"]["x"] for run in done.runs]
    assert [config.get("patience") for config in configs] == [1, None]


def test_a_section_that_copies_another_one_follows_its_swept_keys(sweep: Sweep) -> None:
    copy = "+callbacks.x={_target_:pytorch_lightning.callbacks.ModelSummary,about:'${regularization}'}"
    plan = sweep(copy, "regularization.l1=0.1,0.2", "sweep.dry_run=true", *SHORT)
    made = Plan(LOADER, "config", [copy, "regularization.l1=0.1,0.2"])
    values = [made.config_at({"regularization.l1": value, "seed": 0}).values for value in (0.1, 0.2)]
    assert [one["callbacks"]["x"]["about"]["l1"] for one in values] == [0.1, 0.2], plan.err


@pytest.mark.parametrize("other", [{"seed": 2}, {"explain": True}, {"name": "mine"}])
def test_presets_that_differ_in_what_a_sweep_has_once_are_refused(
    command: Command, tmp_path: Path, other: dict[str, Any]
) -> None:
    for order in ("one,two", "two,one"):
        both = {"one": other, "two": {"model": {"width": 8}}}
        named = presets(tmp_path, **{name: both[name] for name in order.split(",")})
        status, out, err = command("-m", f"experiment={named}", "launcher=in_process", *SHORT)
        assert status == 2, out
        assert next(iter(other)) in err


def test_a_whole_number_and_a_share_are_two_values_of_a_callback() -> None:
    swa = "+callbacks.x={_target_:pytorch_lightning.callbacks.StochasticWeightAveraging,swa_lrs:0.1,swa_epoch_start:"
    assert composed(f"{swa}1}}").signature != composed(f"{swa}1.0}}").signature


@pytest.mark.parametrize(("name", "text"), [("config.yaml", "a: 1"), ("origin.json", '{"format": 1, "trial": {}}')])
def test_a_record_that_is_another_thing_is_set_aside(sweep: Sweep, name: str, text: str) -> None:
    done = sweep("optimizer.lr=0.2,0.1", *SHORT)
    interrupted(done.runs[0])
    (done.runs[0] / name).write_text(text)
    again = sweep("optimizer.lr=0.2,0.1", *SHORT)
    assert again.status == 0, again.err
    assert f"Set aside, and trained anew: {done.runs[0]}: " in again.out
