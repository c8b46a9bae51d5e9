"""A configuration that comes from someone else runs no code: every route to one that we could think of.

Each plants a command that would leave a file behind. docs/security.md lists the routes.
"""

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf

from composing import composed
from conftest import Command, Sweep
from gridstorm.error import UserError
from gridstorm.record.result import Result, Status
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.report.report import write_best
from gridstorm.target.build import build

TRAIN = Path(__file__).parents[2] / "train.py"
RUN = "{_target_:torch.utils.collect_env.run,command:'touch planted'}"
LATER = "${oc.create:" + RUN + "}"  # nothing but a text, until something resolves it again
SAVER = "pytorch_lightning.callbacks.ModelCheckpoint"
GLOBAL = "# @package _global_\n"


def escaped(text: str) -> str:
    """Return a text that stands for itself after it was resolved once."""
    return text.replace("${", "\\${")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that nothing may make; a package beside it would make it when it is imported."""
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text(f"open({str(tmp_path / 'planted')!r}, 'w').close()")
    (tmp_path / "evil" / "model").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    return tmp_path / "planted"


def resolving_again(depth: int = 0) -> dict[str, Any]:
    """Return a section of a callback whose argument becomes a call if anything resolves it a second time."""
    text: Any = escaped(LATER)
    for _ in range(depth):
        text = [{"inner": text}]
    return {"_target_": SAVER, "_convert_": "all", "dirpath": text}


PRESETS: dict[str, dict[str, Any]] = {
    "a callback's text": {"callbacks": {"x": resolving_again()}},
    "a list in place of a text": {"callbacks": {"x": resolving_again(2)}},
    "a data set's text": {"data": {"_target_": "gridstorm.data.text.Text", "path": escaped(LATER)}},
    "a target": {"loss": {"_target_": escaped(LATER)}},
    "a function of torch": {"model": {"_target_": "torch.utils.collect_env.run", "command": "touch planted"}},
    "a nested target": {"callbacks": {"x": {"_target_": SAVER, "filename": {
        "_target_": "torch.utils.collect_env.run", "command": "touch planted"}}}},
    "arguments by place": {"loss": {"_target_": "torch.nn.CrossEntropyLoss", "_args_": [{"_target_": "os.system",
        "command": "touch planted"}]}},
    "a partial": {"optimizer": {"_target_": "os.system", "_partial_": True, "command": "touch planted"}},
    "what is not recursive": {"callbacks": {"x": {"_target_": SAVER, "_recursive_": False, "filename": {
        "_target_": "os.system", "command": "touch planted"}}}},
    "a logger": {"logger": {"_target_": "subprocess.Popen", "args": ["touch", "planted"]}},
    "a profiler": {"trainer": {"profiler": {"_target_": "os.system", "command": "touch planted"}}},
    "a strategy": {"trainer": {"strategy": {"_target_": "os.system", "command": "touch planted"}}},
    "plugins": {"trainer": {"plugins": [{"_target_": "os.system", "command": "touch planted"}]}},
    "a path through torch": {"loss": {"_target_": "torch.nn.modules.module.os.system", "command": "touch planted"}},
    "a package on the path": {"model": {"_target_": "evil.Net"}},
    "hydra's callbacks": {"hydra": {"callbacks": {"x": {
        "_target_": "torch.utils.collect_env.run", "command": "touch planted"}}}},
    "another preset by its path": {"defaults": [{"/experiment": "../evil"}]},
    "hydra in its defaults": {"defaults": [{"override /hydra/job_logging": "evil"}]},
    "a resolver that there is not": {"seed": "${evil:1}"},
    "a key that is text to be resolved": {"data": {LATER: 1}},
}  # fmt: skip


@pytest.mark.parametrize("kind", PRESETS)
def test_a_preset_runs_nothing(command: Command, planted: Path, kind: str) -> None:
    (planted.parent / "preset.yaml").write_text(GLOBAL + yaml.safe_dump(PRESETS[kind]))
    for more in (
        ("explain=true",),
        ("trainer.max_epochs=1", "output_dir=runs"),
        ("-m", "model.depth=1,2", "sweep.dry_run=true"),
    ):
        status, _, err = command(
            *more[:1], "experiment=preset.yaml", *more[1:], *(["launcher=in_process"] * ("-m" in more))
        )
        assert "Traceback" not in err
        assert not planted.exists()
        assert status == 2 or "text" in kind


def test_a_yaml_tag_runs_nothing(command: Command, planted: Path) -> None:
    (planted.parent / "preset.yaml").write_text(f"{GLOBAL}seed: !!python/object/apply:os.system ['touch planted']\n")
    status, _, err = command("experiment=preset.yaml")
    assert status == 2
    assert "Traceback" not in err
    assert not planted.exists()


@pytest.mark.parametrize("kind", [kind for kind, preset in PRESETS.items() if "defaults" not in preset])
def test_a_choice_of_a_folder_runs_nothing(command: Command, planted: Path, kind: str) -> None:
    (planted.parent / "conf" / "model").mkdir(parents=True)
    mlp = "defaults:\n- mlp@model\n" if "model" not in PRESETS[kind] else ""
    (planted.parent / "conf" / "model" / "evil_choice.yaml").write_text(GLOBAL + mlp + yaml.safe_dump(PRESETS[kind]))
    for folder in (["--config-dir", "conf"], [f"hydra.searchpath=[file://{planted.parent}/conf]"]):
        status, _, err = command(*folder, "model=evil_choice", "trainer.max_epochs=1", "output_dir=runs")
        assert "Traceback" not in err
        assert not planted.exists()
        assert status == 2 or "hydra" not in kind


HYDRA = {
    "a callback": f"+hydra.callbacks.x={RUN}",
    "the launcher": "hydra.launcher._target_=os.system",
    "arguments of the sweeper": "+hydra.sweeper.params={x:1}",
    "the sweeper": "hydra.sweeper._target_=os.system",
    "logging of the job": "+hydra.job_logging.handlers={x:{'()':torch.utils.collect_env.run,command:'touch planted'}}",
    "logging of hydra": "+hydra.hydra_logging.handlers={x:{'()':torch.utils.collect_env.run,command:'touch planted'}}",
    "the environment": "+hydra.job.env_set={LD_PRELOAD:evil.so}",
    "a copied environment": "hydra.job.env_copy=[HOME]",
    "the working directory": "hydra.job.chdir=true",
    "a directory": "hydra.run.dir=/tmp/elsewhere",
    "its own records": "hydra.output_subdir=.hydra",
    "verbosity": "hydra.verbose=true",
    "a package of choices": "hydra.searchpath=[pkg://evil]",
    "another source": "hydra.searchpath=[structured://]",
    "no list": "hydra.searchpath=1",
    "an added list": "++hydra.searchpath=[pkg://evil]",
    "no callback": "++hydra.callbacks.x=1",
    "no sweeper": "++hydra.sweeper=1",
}


@pytest.mark.parametrize("kind", HYDRA)
def test_hydras_own_node_is_refused_in_words(command: Command, planted: Path, kind: str) -> None:
    for more in ([], ["-m", "seed=0,1", "launcher=in_process"]):
        status, out, err = command(*more, HYDRA[kind], "trainer.max_epochs=1", "output_dir=runs")
        assert status == 2, out
        assert "Traceback" not in err
        assert "hydra" in err
        assert not planted.exists()
        assert not (planted.parent / "runs").exists()


@pytest.mark.parametrize("flags", [("--help",), ("--hydra-help",), ("--cfg", "all"), ("--info", "all")])
def test_what_only_shows_builds_nothing(planted: Path, flags: tuple[str, ...]) -> None:
    for line in (HYDRA[kind] for kind in ("a callback", "logging of hydra", "the environment", "a package of choices")):
        done = subprocess.run(
            [sys.executable, str(TRAIN), *flags, line], cwd=planted.parent, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        assert not planted.exists()


@pytest.mark.parametrize("inside", ["searchpath: [pkg://evil]", f"callbacks: {{x: {RUN.replace(':', ': ')}}}",
                                    "job: {env_set: {LD_PRELOAD: evil.so}}", "run: {dir: /tmp/elsewhere}"])  # fmt: skip
def test_a_primary_configuration_is_under_the_same_check(command: Command, planted: Path, inside: str) -> None:
    folder = planted.parent / "mine"
    shutil.copytree(Path(__file__).parents[2] / "conf", folder)
    text = (folder / "gridstorm.yaml").read_text()
    (folder / "other.yaml").write_text(
        text.replace("\nhydra:\n", f"\nhydra:\n  {inside}\n").replace("  run:\n    dir: .\n", "")
    )
    flags = ("--config-path", str(folder), "--config-name", "other")
    for more in ([], ["-m", "seed=0,1"]):
        status, _, err = command(*flags, *more, "output_dir=runs")
        assert status == 2
        assert "Traceback" not in err
        assert not planted.exists()
    for show in (["--help"], ["--cfg", "all"]):
        subprocess.run([sys.executable, str(TRAIN), *flags, *show], cwd=planted.parent, check=False)
        assert not planted.exists()


def test_a_package_of_choices_that_is_allowed_is_searched(
    command: Command, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (planted.parent / "evil" / "__init__.py").write_text("")
    (planted.parent / "evil" / "model" / "small.yaml").write_text(
        "_target_: gridstorm.model.mlp.MLP\n_partial_: true\nwidth: 3\n"
    )
    monkeypatch.setenv("GRIDSTORM_ALLOW", "evil")
    status, out, err = command("hydra.searchpath=[pkg://evil]", "model=small", "explain=true")
    assert status == 0, err
    assert "model.width" in out


RECORDS: dict[str, Any] = {
    "a text that resolves": {"callbacks": {"x": {"_target_": SAVER, "dirpath": LATER}}},
    "a text that is selected": {"callbacks": {"x": {"_target_": SAVER, "dirpath": "${oc.select:loss," + RUN + "}"}}},
    "a target": {"loss": {"_target_": "os.system", "command": "touch planted"}},
    "a logger": {"logger": {"_target_": "os.system", "command": "touch planted"}},
    "an allowed class of another signature": {"loss": {"_target_": "torch.nn.CrossEntropyLoss"}},
}


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("form", [0, 1])
def test_a_record_runs_nothing(command: Command, planted: Path, kind: str, form: int) -> None:
    run = recorded(command, planted.parent)
    config = yaml.safe_load((run / "config.yaml").read_text())
    changed = {**config, **RECORDS[kind]}
    changed["callbacks"] = {**config["callbacks"], **changed["callbacks"]}
    (run / "config.yaml").write_text(yaml.safe_dump(changed))
    (run / "origin.json").write_text((run / "origin.json").read_text().replace('"format": 1', f'"format": {form}'))
    (run / "result.json").unlink()
    status, _, err = command("resume=runs/first")
    again = rerun(run)
    assert "Traceback" not in err
    assert not planted.exists()
    if (form and "text" not in kind) or "os.system" in str(RECORDS[kind]):
        assert (status, again) == (2, 2)


def recorded(command: Command, parent: Path) -> Path:
    """Train a run of one epoch and return its directory."""
    assert command("name=first", "output_dir=runs", "trainer.max_epochs=1")[0] == 0
    return parent / "runs" / "first"


def rerun(run: Path) -> int:
    from gridstorm.cli import gridstorm as main

    try:
        return main(["rerun", str(run)])
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch planted']", "&a [*a]", "2020-01-01", "[", "1"]
)
def test_a_record_with_more_than_plain_values_is_refused_in_words(command: Command, planted: Path, text: str) -> None:
    run = recorded(command, planted.parent)
    (run / "result.json").unlink()
    (run / "config.yaml").write_text(f"{(run / 'config.yaml').read_text()}more: {text}\n")
    status, _, err = command("resume=runs/first")
    assert (status, rerun(run)) == (2, 2)
    assert "config.yaml" in err or "more" in err
    assert "Traceback" not in err
    assert not planted.exists()


class Pickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch planted",)


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt"])
def test_a_checkpoint_that_is_a_program_is_never_carried_out_and_named(
    command: Command, planted: Path, name: str
) -> None:
    run = recorded(command, planted.parent)
    (run / "result.json").unlink()
    (run / "checkpoints" / name).unlink()  # it may be a second name of the other one
    with (run / "checkpoints" / name).open("wb") as file:
        pickle.dump(Pickled(), file, protocol=2)
    with pytest.warns(RuntimeWarning, match=r"It was not tested.*best\.ckpt") if "best" in name else no_warning():
        status, _, err = command("resume=runs/first")
    assert status == 0, err
    assert ("last.ckpt: It cannot be read" in err) is ("last" in name)
    assert not planted.exists()


def no_warning() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_a_text_that_looks_like_an_interpolation_arrives_as_it_is() -> None:
    made = build({"_target_": SAVER, "filename": LATER, "dirpath": "${oc.env:HOME}"})
    assert (made.filename, made.dirpath) == (LATER, os.path.realpath("${oc.env:HOME}"))


def test_such_a_text_goes_through_best_yaml_unchanged(sweep: Sweep, command: Command, tmp_path: Path) -> None:
    texts = {"a": LATER, "b": "\\${seed}", "c": "x\\\\${a:${b}} \\ {"}
    kept = {"_target_": "pytorch_lightning.callbacks.LambdaCallback", **texts}
    one = composed("seed=3")
    origins = {**one.origins, "callbacks.kept._target_": "command line"}
    made = replace(one, values={**one.values, "callbacks": {**one.values["callbacks"], "kept": kept}}, origins=origins)
    trial = Trial(
        {}, [TrialRun(made, 3, result=Result(status=Status.DONE, monitor="val/loss", mode="min", score=1.0))], 1
    )
    file = write_best(tmp_path, [trial], "val/loss", "min")
    preset = OmegaConf.to_container(OmegaConf.load(str(file)), resolve=True)
    assert isinstance(preset, dict)
    assert preset["callbacks"]["kept"] == kept


NODES: dict[str, dict[str, Any]] = {
    "plain values": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3},
    "by place": {"_target_": "torch.nn.Linear", "_args_": [2, 3]},
    "nested by place": {"_target_": "torch.nn.Sequential", "_args_": [
        {"_target_": "torch.nn.Linear", "_args_": [2, 3]}, {"_target_": "torch.nn.ReLU"}]},
    "a partial": {"_target_": "torch.nn.Linear", "_partial_": True, "in_features": 2},
    "not recursive": {"_target_": "builtins.dict", "_recursive_": False, "inner": {"_target_": "torch.nn.ReLU"}},
    "not recursive inside": {"_target_": "builtins.dict", "a": {
        "_recursive_": False, "b": {"_target_": "torch.nn.ReLU"}}},
    "a partial inside": {"_target_": "builtins.dict", "a": [{"_target_": "torch.nn.Linear", "_partial_": True}]},
    "converted": {"_target_": "builtins.dict", "_convert_": "all", "a": [1, {"b": 2}], "c": {
        "d": {"_target_": "builtins.list"}}},
    "lists of sections": {"_target_": "builtins.dict", "a": [[
        {"_target_": "builtins.list", "_args_": [[1]]}], None, 2.5]},
}  # fmt: skip


def described(made: Any) -> Any:
    """Return what was built as something that can be compared."""
    if hasattr(made, "func"):
        return "partial", described(made.func), described(list(made.args)), described(made.keywords)
    if isinstance(made, dict):
        return {key: described(value) for key, value in made.items()}
    return [described(value) for value in made] if isinstance(made, list | tuple) else repr(made)


@pytest.mark.parametrize("kind", NODES)
def test_what_is_built_is_what_hydra_builds(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(import_module("gridstorm.target.build"), "problem", lambda *_: None)
    torch.manual_seed(0)
    ours = described(build(NODES[kind]))
    assert ours == described(instantiate(NODES[kind], _convert_="all"))


def test_an_argument_of_the_run_takes_the_place_of_one_that_is_written() -> None:
    made = build({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, out_features=5)
    assert made.out_features == 5


def test_a_target_that_is_not_allowed_is_refused_wherever_it_stands() -> None:
    for node in ({"_target_": "os.system"}, {"_target_": SAVER, "filename": [{"x": {"_target_": "os.system"}}]}):
        with pytest.raises(UserError, match=r"os\.system"):
            build(node)


def test_a_class_of_ours_that_a_strangers_module_hands_on_is_not_taken_from_there(
    command: Command, planted: Path
) -> None:
    (planted.parent / "evil" / "data.py").write_text("from gridstorm.data.digits import Digits\n")
    (planted.parent / "preset.yaml").write_text(f"{GLOBAL}data:\n  _target_: evil.data.Digits\n")
    status, _, err = command("experiment=preset.yaml", "explain=true")
    assert (status, "evil.data.Digits" in err) == (2, True)
    assert not planted.exists()


@pytest.mark.parametrize("show", [[], ["--help"], ["--cfg", "job"]])
def test_a_schema_of_a_module_is_not_imported(planted: Path, show: list[str]) -> None:
    (planted.parent / "c").mkdir()
    (planted.parent / "c" / "mine.yaml").write_text(
        "defaults:\n- config\n- _self_\nhydra:\n  searchpath: ['structured://evil']\n"
    )
    line = ["--config-dir", "c", "--config-name", "mine", *show]
    done = subprocess.run(
        [sys.executable, str(TRAIN), *line],
        cwd=planted.parent,
        env={**os.environ, "PYTHONPATH": str(planted.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "It would import a package" in done.stderr
    assert not planted.exists()
