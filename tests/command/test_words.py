"""What a command line, a preset and a file of choices are told: the value, the place, what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from composing import LOADER, composed, names, problems, written
from conftest import ROOT, STAND_IN, Command, Sweep
from gridstorm.command.preset import pasted
from gridstorm.error import Problem, UserError, printable
from gridstorm.record import RunRecord
from gridstorm.sweeper.plan import Plan

GLOBAL = "# @package _global_\n"
ESCAPE = "\x1b[31mred"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("optimizer.weight_decay=range(0,1,1e-9)", "It lists 1,000,000,000 values, and 100,000 are the most."),
        ("optimizer.lr=range(0,1,1e-320)", "It lists endlessly many values, and 100,000 are the most."),
        ("model.depth=range(1,1000000)", "It lists 999,999 values, and 100,000 are the most."),
        ("sweep.repeats=9223372036854775808", "It must be at least 1 and at most 10,000."),
        ("sweep.n_trials=1000000001", "It must be at least 1 and at most 1,000,000."),
    ],
)
def test_a_range_that_was_hardly_meant_is_refused_with_its_count(text: str, words: str) -> None:
    [found] = problems(text, sweep=True)
    assert words in found


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.depth=range(1,1000)", "seed=range(0,1000)"),
        ("optimizer.lr=0.1,0.2", "sweep.repeats=10000"),
        ("optimizer.lr=interval(0.1,0.2)", "sampler=random", "sweep.n_trials=20000"),
    ],
)
def test_a_sweep_of_too_many_runs_is_refused_before_any_is_composed(sweep: Sweep, overrides: tuple[str, ...]) -> None:
    refused = sweep(*overrides)
    assert refused.status == 2
    assert (
        "runs, and sweep.max_runs allows 10,000. List fewer values, or allow them with sweep.max_runs=" in refused.err
    )


def test_the_most_runs_of_a_sweep_can_be_raised(sweep: Sweep) -> None:
    assert "sweep.max_runs" in sweep("optimizer.lr=0.1,0.2", "sweep.max_runs=1").err
    assert "sweep.max_runs" not in sweep("optimizer.lr=0.1,abc", "sweep.max_runs=2").err


def test_numbers_of_a_range_are_those_that_a_person_would_write() -> None:
    [axis] = Plan(LOADER, "config", ["sweep.name=x", "optimizer.lr=range(0.1,0.5,0.1)"]).axes
    assert [value for (value,) in axis.points] == [0.1, 0.2, 0.3, 0.4]


def test_a_value_that_follows_another_key_is_shown_as_what_is_trained() -> None:
    plan = Plan(LOADER, "config", ["sweep.name=x", "data.split_seed=${seed},3", "seed=5"])
    assert plan.trial({"data.split_seed": "${seed}"}).label == "split_seed=5"


def test_a_sampler_draws_values_that_follow_other_keys_too(sweep: Sweep) -> None:
    line = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "sweep.n_trials=2")
    for sampler in ("random", "tpe"):
        done = sweep("data.split_seed=${seed},3", *line, f"sampler={sampler}", name=sampler)
        assert (done.status, sorted(run.name[3:] for run in done.runs)) == (0, ["split_seed=0", "split_seed=3"])
        trained = [RunRecord(run).config.values["data"]["split_seed"] for run in done.runs]
        assert sorted(trained) == [0, 3]
        assert (
            "2 runs: 2 done, 0 to go"
            in sweep("data.split_seed=${seed},3", *line, f"sampler={sampler}", name=sampler).out
        )


def test_a_single_value_among_params_fixes_its_key(tmp_path: Path) -> None:
    text = GLOBAL + "sweep:\n  params:\n    model.depth: 1\n    optimizer.lr: 0.1,0.2\n"
    loader = written(tmp_path, {"experiment/x.yaml": text})
    axes = Plan(loader, "config", ["experiment=x"]).axes
    assert {axis.name: len(axis.points) for axis in axes} == {"model.depth": 1, "optimizer.lr": 2}
    given = "+sweep.params={model.depth: 1, optimizer.lr: '0.1,0.2'}"
    assert [axis.name for axis in Plan(LOADER, "config", [given]).axes] == ["model.depth", "optimizer.lr"]


def test_a_sweep_of_one_trial_is_a_sweep(sweep: Sweep) -> None:
    done = sweep("optimizer.lr=0.1", "trainer.max_epochs=1", "trainer.limit_train_batches=2")
    assert (done.status, len(done.runs)) == (0, 1)


@pytest.mark.parametrize("key", ["callbacks.progress_bar", "callbacks.checkpoint"])
def test_null_turns_a_callback_off(key: str) -> None:
    name = key.partition(".")[2]
    off = composed(f"{key}=null")
    assert name not in off.values["callbacks"]
    assert off.signature == composed(f"~{key}").signature


@pytest.mark.parametrize(
    "setting",
    ["sweep: {params: {optimizer.lr: '0.1,0.2'}}", "sweep: {repeats: 3}", "defaults: [override /sampler: random]",
     "defaults: [override /launcher: in_process]", "defaults: [override /pruner: median]"],
)  # fmt: skip
def test_a_preset_that_sets_a_sweep_says_that_m_is_missing(tmp_path: Path, setting: str) -> None:
    loader = written(tmp_path, {"experiment/x.yaml": f"{GLOBAL}{setting}\n"})
    [found] = problems("experiment=x", loader=loader)
    assert "(preset x" in found
    assert found.endswith("This key only applies to a sweep (-m). Add -m.")
    assert problems("experiment=x", loader=loader, sweep=True) == []


BYTES = {
    "bom": (b"\xef\xbb\xbf" + GLOBAL.encode() + b"seed: 1\n", "line 1: It begins with a byte order mark"),
    "latin": (GLOBAL.encode() + b"seed: 1\n# caf\xe9\n", "line 3: It is not UTF-8 (byte 0xe9). Save it as UTF-8."),
    "utf16": ((GLOBAL + "seed: 1").encode("utf-16"), "line 1: It is UTF-16. Save it as UTF-8."),
    "empty": (b"", "is empty. Write what it is to set"),
    "tabs": (GLOBAL.encode() + b"trainer:\n\tmax_epochs: 1\n", "line 3: It is not YAML (found character"),
    "broken": (GLOBAL.encode() + b"seed: [1\n", "It is not YAML"),
    "list": (GLOBAL.encode() + b"- 1\n", "line 2: It is a list, and no section. Write KEY: VALUE."),
    "nul": (GLOBAL.encode() + b"seed: 1\x00\n", "It is not YAML"),
    "bomb": (
        "\n".join([GLOBAL, "a: &a [x,x,x,x,x,x,x,x,x,x]",
                   *(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))]
                  ).encode(),
        "Its aliases unfold to more than 100,000 values.",
    ),
    "itself": (GLOBAL.encode() + b"a: &a [*a]\n", "Its aliases unfold to more than 100,000 values."),
    "large": (GLOBAL.encode() + b"# \n" * 400_000, "has more than 1,000,000 bytes."),
}  # fmt: skip


@pytest.mark.parametrize("kind", BYTES)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    content, words = BYTES[kind]
    loader = written(tmp_path, {"experiment/x.yaml": ""})
    (tmp_path / "experiment" / "x.yaml").write_bytes(content)
    for text in ("experiment=x", f"experiment={tmp_path}/experiment/x.yaml"):
        [found] = problems(text, loader=loader)
        assert f"{tmp_path}/experiment/x.yaml" in found
        assert words in found


def test_a_choice_that_cannot_be_read_is_named_too(tmp_path: Path) -> None:
    loader = written(tmp_path, {"optimizer/mine.yaml": ""})
    [found] = problems("optimizer=mine", loader=loader)
    assert f"{tmp_path}/optimizer/mine.yaml is empty." in found


def test_a_preset_that_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    [found] = problems(f"experiment={tmp_path}/x.yaml")
    assert "is no regular file." in found


def test_an_endless_text_is_refused(command: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/zero", str(tmp_path / "fifo")):
        status, _, err = command("data=text", "model=transformer", f"data.path={path}", f"output_dir={tmp_path}/o")
        assert (status, "It is no regular file." in err) == (2, True), err


def test_a_number_from_the_environment_says_how_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR", "0.01")
    [found] = problems("optimizer.lr=${oc.env:LR}")
    remedy = "Write 'optimizer.lr=\"${oc.decode:${oc.env:LR}}\"'."
    assert found.endswith(remedy)
    assert composed(remedy.split("'")[1]).values["optimizer"]["lr"] == 0.01


@pytest.mark.parametrize("value", ["outputs/grid/02-lr=0.2", "o x/my run", "a,b", "größe", "(x)[y]{z}"])
def test_a_path_is_one_whatever_is_in_it(value: str, tmp_path: Path) -> None:
    folder = tmp_path / value
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    assert composed(f"output_dir={folder}" if "," not in value else "seed=0")
    [text] = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pasted('resume', folder)}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert composed(text).values["resume"] == str(folder)


def test_what_a_terminal_would_obey_is_written_out() -> None:
    for found in (*problems(f"name={ESCAPE}"), *problems(f"model={ESCAPE}"), *problems(f"+foo={ESCAPE}")):
        assert "\x1b" not in found
        assert "\\x1b[31mred" in found
    assert printable("größe ± 1") == "größe ± 1"


def test_a_value_of_thousands_of_letters_is_cut_where_it_is_told() -> None:
    [found] = problems(f"seed={'9' * 4301}")
    assert len(found) < 2000
    assert len(str(Problem("a" * 1000, "No.", "Stop."))) < 700


@pytest.mark.parametrize("name", ["abc.", "abc ", "a..."])
def test_a_name_that_some_file_systems_change_is_refused(name: str) -> None:
    [found] = problems(f"name={name}" if not name.endswith(" ") else "name='abc '")
    assert "It ends in a dot or a space" in found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("theirs.Freezee", "theirs has no class Freezee. Did you mean 'Freeze'?"),
        ("theirs.nets.Net", "theirs has no module nets."),
        ("nowhere.net.Net", "nowhere cannot be found. Is it installed, or its folder on PYTHONPATH?"),
    ],
)
def test_a_class_of_your_own_that_is_not_there_is_told_apart_from_one_that_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "theirs,nowhere")
    [found] = problems(f"model._target_={path}")
    assert found.startswith(f"model._target_={path}: {words}")


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.check_val_every_n_epoch=5", "trainer.max_epochs=3"),
        ("trainer.check_val_every_n_epoch=5", "trainer.max_epochs=3", "callbacks=early_stopping"),
    ],
)
def test_a_score_that_would_never_be_measured_is_refused(overrides: tuple[str, ...]) -> None:
    [found] = problems(*overrides)
    assert "In 3 epochs val/loss is never measured, which is the run's score. Give 3 or less" in found
    assert problems(*overrides, "monitor=train/loss") == [] or "early" in "".join(overrides)


@pytest.mark.slow
def test_a_locale_without_a_letter_costs_no_result(tmp_path: Path) -> None:
    line = ["-m", "model=linear", "optimizer.lr=0.1,0.2", "sweep.repeats=2", "trainer.max_epochs=1", "output_dir=o"]
    bare = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(STAND_IN)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *line],
        cwd=tmp_path, env={**os.environ, **bare}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert " ? " in done.stdout
    assert "best.yaml" in done.stdout


def test_problems_are_named_by_their_keys() -> None:
    assert names(problems("seed=x", "model.depth=-1")) == ["seed=x", "model.depth=-1"]
    with pytest.raises(UserError):
        composed("seed=x")


def test_a_key_that_a_class_without_arguments_does_not_take_is_refused() -> None:
    [found] = problems("++pruner.n_startup_trials=5", "sampler=random", "optimizer.lr=0.1,0.2", sweep=True)
    assert "NopPruner takes no 'n_startup_trials'." in found
    [found] = problems("++sampler.n_startup_trials=5", "optimizer.lr=0.1,0.2", sweep=True)
    assert "Grid takes no 'n_startup_trials'." in found


def test_no_callbacks_at_all_are_chosen_by_a_word_and_not_by_null() -> None:
    [found] = problems("callbacks=null")
    assert found.endswith("Write callbacks=none.")
