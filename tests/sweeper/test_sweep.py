"""A sweep: planned and checked before the first run, each configuration trained once, and gone on with."""

import csv
import json
from pathlib import Path

import pytest

from conftest import Sweep, result, rows
from gridstorm.record.run import RunRecord

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=3")


def test_every_combination_has_its_own_record_and_a_row_in_the_table(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=1e-3,1e-2", "model=mlp,linear", "data.batch_size=choice(32,64)", *SHORT)
    assert done.status == 0, done.err
    assert done.first.startswith("8 runs: 8 to go")
    assert [run.name for run in done.runs[:2]] == ["01-lr=0.001,mlp,batch_size=32", "02-lr=0.001,mlp,batch_size=64"]
    assert len({result(run)["signature"] for run in done.runs}) == 8
    table = done.out[done.out.index("optimizer.lr  model") :].splitlines()
    scores = [float(line.split()[4]) for line in table[1:9]]
    assert scores == sorted(scores)
    assert len([*csv.DictReader((done.directory / "results.csv").read_text().splitlines())]) == 8


def test_equal_recipes_are_trained_once(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=0.001,1e-3,0.01", "model.depth=2,2", *SHORT)
    assert done.first.startswith("2 runs")
    assert len(done.runs) == 2


def test_the_same_command_trains_nothing_again(sweep: Sweep) -> None:
    first = sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    before = {run.name: (run / "metrics.jsonl").stat().st_mtime_ns for run in first.runs}
    again = sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    assert again.first.startswith("2 runs: 2 done, 0 to go")
    assert {run.name: (run / "metrics.jsonl").stat().st_mtime_ns for run in again.runs} == before


def test_a_larger_grid_under_the_same_name_trains_the_difference_and_numbers_go_on(sweep: Sweep) -> None:
    sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    larger = sweep("optimizer.lr=1e-4,1e-3,1e-2", *SHORT)
    assert larger.first.startswith("3 runs: 2 done, 1 to go")
    assert [run.name for run in larger.runs] == ["01-lr=0.001", "02-lr=0.01", "03-lr=0.0001"]


def test_what_was_interrupted_goes_on_from_its_checkpoint(sweep: Sweep) -> None:
    whole = sweep("optimizer.lr=1e-3,1e-2", "model.dropout=0.2", *SHORT, name="whole")
    sweep("optimizer.lr=1e-3,1e-2", "model.dropout=0.2", *SHORT)
    cut = whole.directory.parent / "grid" / "01-lr=0.001"
    (cut / "result.json").unlink()
    again = sweep("optimizer.lr=1e-3,1e-2", "model.dropout=0.2", *SHORT)
    assert again.first.startswith("2 runs: 1 done, 1 interrupted, 0 to go")
    for run in whole.runs:
        assert rows(run) == rows(again.directory / run.name)


def test_another_default_makes_another_trial(sweep: Sweep) -> None:
    sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    other = sweep("optimizer.lr=1e-3,1e-2", "model.width=64", *SHORT)
    assert other.first.startswith("2 runs: 2 to go")
    assert len(other.runs) == 4


def test_a_sweep_without_a_name_takes_one_that_the_same_command_has_again(sweep: Sweep, tmp_path: Path) -> None:
    first = sweep("optimizer.lr=1e-3,1e-2", *SHORT, "sweep.name=null")
    again = sweep("optimizer.lr=1e-3,1e-2", *SHORT, "sweep.name=null")
    assert len([*tmp_path.glob("lr-*")]) == 1
    assert "2 to go" in first.first
    assert "2 done" in again.first


def test_seeds_are_runs_of_one_trial_with_a_mean_and_an_interval(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=1e-3,1e-2", "sweep.repeats=3", *SHORT)
    assert done.first.startswith("6 runs")
    assert [run.name for run in done.runs[:3]] == [f"01-lr=0.001,s={seed}" for seed in range(3)]
    scores = [result(run)["score"] for run in done.runs[:3]]
    mean = sum(scores) / 3
    deviation = (sum((score - mean) ** 2 for score in scores) / 2) ** 0.5
    [row] = [line for line in done.out.splitlines() if line.strip().startswith(("1 ", "2 ")) and " 0.001 " in line]
    told = row.split()
    assert float(told[2]) == pytest.approx(mean, rel=1e-3)
    assert float(told[4]) == pytest.approx(4.3027 * deviation / 3**0.5, rel=0.02)  # t with two degrees of freedom


def test_listed_seeds_are_repeats_too(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=1e-3,1e-2", "seed=3,5", *SHORT)
    assert [run.name for run in done.runs[:2]] == ["01-lr=0.001,s=3", "01-lr=0.001,s=5"]
    assert "±" in done.out


def test_zipped_keys_vary_together(sweep: Sweep) -> None:
    done = sweep("model.depth=1,2", "model.width=16,32", "sweep.zip=[[model.depth,model.width]]", *SHORT)
    assert [run.name for run in done.runs] == ["01-depth=1,width=16", "02-depth=2,width=32"]


def test_a_choice_brings_its_own_range_along(sweep: Sweep) -> None:
    done = sweep("optimizer=sgd,adam", "sweep.conditional=true", "sampler=random", "sweep.n_trials=6", *SHORT)
    assert done.status == 0, done.err
    configs = [RunRecord(run).config for run in done.runs]
    momenta = [one.values["optimizer"]["momentum"] for one in configs if one.choices["optimizer"] == "sgd"]
    assert len(set(momenta)) == len(momenta) > 1
    assert all(0.5 <= momentum <= 0.99 for momentum in momenta)
    assert sum(one.choices["optimizer"] == "adam" for one in configs) == 1


def test_a_preset_names_the_space(sweep: Sweep) -> None:
    done = sweep("sweep=learning_rate", "sampler=random", "sweep.n_trials=3", *SHORT)
    assert done.status == 0, done.err
    assert all(1e-4 <= RunRecord(run).config.values["optimizer"]["lr"] <= 1e-1 for run in done.runs)
    assert len(done.runs) == 3


def test_the_manifest_says_what_became_of_each_trial(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    manifest = json.loads((done.directory / "sweep.json").read_text())
    assert manifest["total"] == 2
    assert [trial["status"] for trial in manifest["trials"]] == ["done", "done"]
    assert [trial["values"] for trial in manifest["trials"]] == [{"optimizer.lr": 0.001}, {"optimizer.lr": 0.01}]
    assert manifest["trials"][0]["runs"][0]["directory"] == "01-lr=0.001"


def test_a_dry_run_prints_the_plan_and_trains_nothing(sweep: Sweep) -> None:
    plan = sweep("model=mlp,linear", "optimizer.lr=1e-3,1e-2", "sweep.dry_run=true", *SHORT)
    assert plan.status == 0, plan.err
    assert "4 trials, 4 runs" in plan.out
    assert "expected time" in plan.out
    assert "MiB" in plan.out
    assert not plan.directory.exists()


@pytest.fixture
def a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand in what a pilot measures: the plan is then the same on every machine."""
    measured = {"step": 0.01, "seconds": 1.0, "bytes": 1000.0}
    monkeypatch.setattr("gridstorm.sweeper.tryout.time_run", lambda composed: measured)


@pytest.mark.usefixtures("a_second_each")
def test_a_budget_refuses_what_would_take_longer_or_trims_it(sweep: Sweep) -> None:
    grid = ("optimizer.lr=range(0.001,0.041,0.001)", "sweep.fuse=off")
    over = sweep(*grid, "sweep.budget=20s")
    assert over.status == 2
    assert "sweep.budget=20s: The sweep would take 41s, and 20 of 41 trials fit." in over.err
    trimmed = sweep(*grid, "sweep.budget=20s", "sweep.trim=true", "sweep.dry_run=true")
    assert "\n20 trials, 20 runs\n" in trimmed.out


@pytest.mark.usefixtures("a_second_each")
def test_the_number_of_trials_that_a_sampler_draws_is_trimmed_to_a_budget_too(sweep: Sweep) -> None:
    drawn = ("optimizer.lr=interval(0.001,0.1)", "sampler=tpe", "sweep.n_trials=500")
    assert "The sweep would take 8.33m, and 20 of 500" in sweep(*drawn, "sweep.budget=20s").err
    trimmed = sweep(*drawn, "sweep.budget=20s", "sweep.trim=true", "sweep.dry_run=true")
    assert trimmed.status == 0, trimmed.err
    assert "\n20 trials, 20 runs\n" in trimmed.out


def test_results_of_other_data_are_named_and_kept_or_trained_again(sweep: Sweep) -> None:
    grid = ("optimizer.lr=1e-3,1e-2", *SHORT)
    first = sweep(*grid)
    told = result(first.runs[0])
    told["made_by"]["data"] = "another"
    (first.runs[0] / "result.json").write_text(json.dumps(told))
    refused = sweep(*grid)
    assert refused.status == 2
    assert "1 runs were made with other data." in refused.err
    assert sweep(*grid, "sweep.stale=keep").first.startswith("1 runs were made with other data: kept")
    again = sweep(*grid, "sweep.stale=retrain")
    assert "2 runs: 1 done, 1 to go" in again.out
    assert [run.name for run in again.runs] == ["01-lr=0.001", "02-lr=0.01", "03-lr=0.001"]


def test_two_sweeps_in_one_directory_at_once_are_refused(sweep: Sweep, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "grid").mkdir()
    with (tmp_path / "grid" / ".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    assert refused.status == 2
    assert "Another sweep is at work in this directory" in refused.err


def test_scores_of_another_metric_are_not_mixed_in(sweep: Sweep) -> None:
    sweep("optimizer.lr=1e-3,1e-2", *SHORT)
    other = sweep("optimizer.lr=1e-3,1e-2", "monitor=val/accuracy", "mode=max", *SHORT)
    assert other.status == 2
    assert "are compared by val/loss (min)" in other.err


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("optimizer.lr=0.1,abc",), "optimizer.lr=abc: It must be a number"),
        (("model=mlp,cnm",), "There is no model called 'cnm'. Did you mean 'cnn'"),
        (("optimizer.lr=interval(0.1,1)",), "An interval has no list of values, and a grid needs one."),
        (("data=digits,diabetes",), "Choose one that does: loss=huber"),
        (("optimizer.lr=0.1,0.2", "explain=true"), "explain=true: It is asked of one run"),
        (("optimizer.lr=0.1,0.2", "name=mine"), "name=mine: It names one run, and -m starts many."),
        (("sampler=random,tpe",), "sampler=random,tpe: A sweep takes a single value here."),
        (("optimizer.lr=0.1,0.2", "sweep.n_trials=5"), "A grid has as many trials as points"),
        (("optimizer.lr=0.1,0.2", "sweep.trim=true"), "There is no budget to trim to."),
        (("optimizer.lr=0.1,0.2", "sweep.timeout=10"), "Add launcher=processes."),
        (("optimizer.lr=0.1,0.2", "sweep.timeout=soon"), "It is no duration."),
        (("optimizer.lr=0.1,0.2", "sweep.repeat=2"), "Did you mean 'sweep.repeats'"),
        (("optimizer.lr=0.1,0.2", "hydra/launcher=basic"), "Choose launcher=processes or launcher=in_process"),
        (("model.depth=1,2", "model.width=1,2,3", "sweep.zip=[[model.depth,model.width]]"), "unequal numbers"),
        (("optimizer.lr=0.1,0.2", "trainer=ddp"), "trainer=ddp: A run of a sweep has one device"),
        (("optimizer.lr=0.1,0.2", "output_dir=/proc/nowhere"), "The directory cannot be written"),
        (("model=transformer", "data=python_text", "model.heads=3,4,5"), "heads=5 does not divide"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_is_refused_before_anything_is_trained(
    sweep: Sweep, overrides: tuple[str, ...], words: str
) -> None:
    done = sweep(*overrides, *SHORT)
    assert done.status == 2, done.out
    assert words in done.err
    assert done.err.count(words) == 1
    assert "Traceback" not in done.err
    assert not done.directory.exists()


def test_problems_of_many_configurations_are_told_once(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=-1,0.1", "model.width=8,16,32", *SHORT)
    assert done.status == 2
    assert done.err.count("optimizer.lr=-1") == 1


def test_a_name_that_hydra_cannot_read_is_that_of_the_sweep(sweep: Sweep) -> None:
    assert len(sweep("optimizer.lr=1e-3,1e-2", *SHORT, name="lr=0.1+more").runs) == 2


def test_a_sweep_whose_seeds_decide_the_data_goes_on_too(sweep: Sweep) -> None:
    grid = ("seed=0,1", "data.split_seed=${seed}", *SHORT)
    sweep(*grid)
    assert sweep(*grid).first.startswith("2 runs: 2 done, 0 to go")
