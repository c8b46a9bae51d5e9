"""best.yaml: a preset that composes the best trial's recipe again, and presets that are named by their path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from composing import CONF, Remembering, composed, problems
from gridstorm.command.preset import again
from gridstorm.config.recipe import RunConfig
from gridstorm.record.result import Result, Status
from gridstorm.record.run import RunRecord
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.report.report import report, write_best
from guard import GUARD

ROOT = CONF.parent
HEAD = "# @package _global_\n"
RECIPES = {
    "the default": (),
    "choices and values": ("model=cnn", "optimizer=sgd", "optimizer.lr=1e-5", "trainer.max_epochs=7"),
    "a copied value": ("scheduler=one_cycle", "optimizer.lr=0.3"),
    "early stopping": ("callbacks=early_stopping", "callbacks.early_stopping.patience=2"),
    "a list of callbacks": ("callbacks=[early_stopping,none]", "monitor=val/accuracy", "mode=max", "seed=4"),
    "a preset": ("experiment=digits_cnn", "model.width=8", "regularization.l1=0.1"),
    "added keys": ("+optimizer.amsgrad=true", "+trainer.min_epochs=2", "trainer=overfit"),
    "keys taken away": ("~optimizer.eps", "~trainer.accumulate_grad_batches"),
    "a callback taken away": ("callbacks=early_stopping", "~callbacks.early_stopping"),
    "a target of its own": ("optimizer._target_=torch.optim.RAdam",),
    "another kind of task": ("data=diabetes", "loss=huber", "model.depth=1"),
    "numbers as text": ("experiment=python_text", "data.seed=3"),
}  # fmt: skip


def trial(parent: Path, one: RunConfig, score: float | None, status: str = "done", number: int = 1) -> Trial:
    directory = parent / f"{number}-cell"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").touch()
    result = Result(
        status=Status(status), monitor="val/loss", mode="min", score=score, seconds=1.0, error="ValueError: no"
    )
    return Trial({"seed": 1}, [TrialRun(one, 0, RunRecord(directory), result=result)], number)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    directory = tmp_path / "outputs" / "grid"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("name", RECIPES)
def test_best_yaml_composes_the_same_recipe(sweep: Path, name: str) -> None:
    one = composed(*RECIPES[name])
    trials = [trial(sweep, composed("seed=9"), 0.7), trial(sweep, one, 0.5, number=2)]
    file = write_best(sweep, trials, "val/loss", "min")
    assert file is not None
    found = composed(f"experiment={file}")
    assert found.recipe == one.recipe
    assert found.signature == one.signature


def test_a_list_of_callbacks_in_a_preset_is_part_of_the_recipe(sweep: Path) -> None:
    (sweep / "mine.yaml").write_text(f"{HEAD}defaults:\n- override /callbacks: [early_stopping, none]\n")
    one = composed(f"experiment={sweep}/mine.yaml")
    file = write_best(sweep, [trial(sweep, one, 0.5)], "val/loss", "min")
    assert one.recipe["callbacks"]
    assert composed(f"experiment={file}").signature == one.signature


def test_best_yaml_is_readable(sweep: Path) -> None:
    one = composed("model=cnn", "optimizer.lr=0.01")
    file = write_best(sweep, [trial(sweep, one, 0.5), trial(sweep, one, 0.25, number=2)], "val/loss", "min")
    assert file is not None
    text = file.read_text()
    assert text.startswith(
        "# @package _global_\n"
        "# Best of 2 trials in grid: 2-cell, val/loss 0.25.\n"
        f"# gridstorm train experiment={file}\n"
        "defaults:\n- override /data: digits\n- override /model: cnn\n"
    )
    assert "_target_" not in text
    assert "\noptimizer:\n  lr: 0.01\n" in text


def test_a_later_override_wins_and_another_seed_reaches_the_data(sweep: Path) -> None:
    file = write_best(sweep, [trial(sweep, composed("scheduler=one_cycle"), 0.5)], "val/loss", "min")
    found = composed(f"experiment={file}", "seed=5", "optimizer.lr=0.4", "monitor=val/accuracy", "mode=max")
    assert found.values["data"]["seed"] == 5
    assert found.values["scheduler"]["max_lr"] == 0.4


@pytest.mark.parametrize(("score", "status"), [(None, "failed"), (0.1, "diverged"), (None, "done")])
def test_without_a_score_there_is_a_sentence_and_no_best_yaml(sweep: Path, score: float | None, status: str) -> None:
    (sweep / "best.yaml").write_text("old")
    said = report(sweep, [trial(sweep, composed(), score, status)], "val/loss", "min")
    assert "No trial came to its end with a score, so there is no best.yaml." in said
    assert not (sweep / "best.yaml").exists()
    assert (sweep / "results.csv").is_file()


def test_a_report_says_what_to_do_next(sweep: Path) -> None:
    said = report(
        sweep, [trial(sweep, composed(), 0.5), trial(sweep, composed("seed=1"), None, "failed", 2)], "val/loss", "min"
    )
    assert f"again   gridstorm train experiment={sweep}/best.yaml" in said
    assert f"look    tensorboard --logdir {sweep.parent}" in said
    assert "  1  ValueError: no" in said


@pytest.mark.parametrize("name", ["lr,depth-ab12", "a b", "a=b", "it's", "100%", "größe"])
def test_a_path_is_quoted_where_it_must_be(tmp_path: Path, name: str) -> None:
    import shlex

    (tmp_path / name).mkdir()
    file = write_best(tmp_path / name, [trial(tmp_path, composed("seed=3"), 0.5)], "val/loss", "min")
    assert file is not None
    (text,) = shlex.split(again(file))
    assert composed(text).values["seed"] == 3


def test_presets_by_name_and_by_path_stand_together_and_a_path_may_be_relative(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_best(sweep, [trial(sweep, composed("optimizer.lr=0.2"), 0.5)], "val/loss", "min")
    monkeypatch.chdir(sweep.parents[1])
    found = composed("experiment=[digits_cnn,outputs/grid/best.yaml]", "data.batch_size=16", loader=Remembering())
    assert found.values["optimizer"]["lr"] == 0.2
    assert found.values["model"]["_target_"] == "gridstorm.model.mlp.MLP"
    assert found.values["model"].get("kernel_size") == composed().values["model"].get("kernel_size")
    assert found.origins["optimizer.lr"] == "preset outputs/grid/best.yaml"
    assert found.origins["data.batch_size"] == "command line"
    assert found.origins["model._target_"] == "preset outputs/grid/best.yaml: model=mlp"


UNFIT = {
    "no package": ("optimizer:\n  lr: 0.1\n", "It is no preset: its first line is not # @package _global_."),
    "another package": ("# @package hydra\nrun: {}\n", "It is no preset"),
    "two packages": (f"{HEAD}# @package hydra\nrun: {{}}\n", "It is no preset"),
    "no YAML": (f"{HEAD}a: [\n", "It is not YAML"),
    "a list": (f"{HEAD}- 1\n", "It is a list, and no section."),
    "hydra": (f"{HEAD}hydra:\n  callbacks:\n    a:\n      _target_: os.system\n", "It sets Hydra's own node"),
    "hydra's groups": (f"{HEAD}defaults:\n- override /hydra/launcher: joblib\n", "Its list of defaults holds"),
    "a package": (f"{HEAD}defaults:\n- override /model@hydra: mlp\n", "Its list of defaults holds"),
    "another file": (f"{HEAD}defaults:\n- /experiment: ../../evil\n", "Its list of defaults holds"),
    "a file beside it": (f"{HEAD}defaults:\n- evil\n", "Its list of defaults holds"),
    "a target": (f"{HEAD}model:\n  _target_: os.system\n", "model._target_=os.system"),
    "a value": (f"{HEAD}optimizer:\n  lr: -1\n", "It must be greater than 0"),
    "a key": (f"{HEAD}optimizer:\n  lrr: 1\n", "Adam takes no 'lrr'."),
    "a choice": (f"{HEAD}defaults:\n- override /model: cnm\n", "cnm"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_file_from_someone_else_is_checked_as_all_else(tmp_path: Path, name: str) -> None:
    text, words = UNFIT[name]
    (tmp_path / "best.yaml").write_text(text)
    (said,) = problems(f"experiment={tmp_path}/best.yaml")
    assert words in said


def test_a_path_that_does_not_exist_is_refused_with_the_one_that_does(sweep: Path) -> None:
    write_best(sweep, [trial(sweep, composed(), 0.5)], "val/loss", "min")
    said = problems(f"experiment={sweep}/bset.yaml", f"experiment=[digits_cnn,{sweep}/other/best.yaml]")
    assert said[0] == f"experiment={sweep}/bset.yaml: There is no such file. Did you mean '{sweep}/best.yaml'?"
    assert said[1].endswith("There is no such file. Name one that a sweep wrote, such as outputs/NAME/best.yaml.")


def start(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run train.py in a process that dies at the first heavy import."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "guard")}
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("flags", [[], ["-m"], ["--cfg", "job"]], ids=["run", "sweep", "cfg"])
def test_a_wrong_path_is_refused_at_the_door_without_torch(tmp_path: Path, flags: list[str]) -> None:
    done = start(tmp_path, *flags, "experiment=outputs/grid/best.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "experiment=outputs/grid/best.yaml: There is no such file." in done.stderr


def test_the_door_opens_for_a_path(tmp_path: Path, sweep: Path) -> None:
    write_best(sweep, [trial(sweep, composed("seed=3", "optimizer.lr=0.2"), 0.5)], "val/loss", "min")
    done = start(tmp_path, "--cfg", "job", "experiment=outputs/grid/best.yaml", "optimizer.lr=0.4")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["seed"] == 3
    assert yaml.safe_load(done.stdout)["optimizer"]["lr"] == 0.4


def test_a_folder_of_presets_is_found_as_hydra_finds_it(tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    write_best(tmp_path / "mine" / "experiment", [trial(tmp_path, composed("seed=3"), 0.5)], "val/loss", "min")
    loader = Remembering(tmp_path / "mine")
    assert composed("+experiment=best", loader=loader).values["seed"] == 3
    assert composed("experiment=best", "seed=4", loader=loader).values["seed"] == 4
