"""data=loaders: a stranger's data sets in DataLoaders, by key, resumed and swept; what a batch is read as."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from conftest import ROOT, Command, Sweep, Train, result, rows

SETS = "stranger.sets."


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")


def loaders(kind: str = "Images", *others: str) -> tuple[str, ...]:
    """The overrides for two sets of a kind."""
    sets = (f"data.train._target_={SETS}{kind}", f"data.val._target_={SETS}{kind}", "+data.val.first=96")
    return ("data=loaders", *sets, "data.batch_size=16", "trainer.max_epochs=2", *others)


COLLATE = "data.collate_fn={_target_:stranger.sets.collate,_partial_:true}"
NOISE = "+data.train.noise=0.1"
WORKERS = ("data.num_workers=2", "data.persistent_workers=true")


@pytest.mark.parametrize("kind", ["Images", "Stream"])
def test_workers_read_the_same_samples_as_the_run_itself(train: Train, kind: str) -> None:
    alone, shared = train(*loaders(kind)), train(*loaders(kind, "data.num_workers=1"))
    assert rows(alone) == rows(shared)
    assert rows(alone)[-1]["samples"] == 192


@pytest.mark.parametrize("kind", ["Images", "Stream"])
def test_workers_that_live_on_draw_by_seed_and_epoch_and_a_resumed_run_draws_the_same(
    train: Train, command: Command, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = loaders(kind, NOISE, *WORKERS, "trainer.max_epochs=3")
    whole = train(*line)
    assert rows(whole) == rows(train(*line, "data.persistent_workers=false")) != rows(train(*line, "seed=1"))
    monkeypatch.setenv("STRANGER_STOPS_AT", "2")
    stopping = ("+callbacks.stop._target_=stranger.modules.Stop", "output_dir=o", "name=stopped")
    assert command(*line, *stopping)[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    status, _, err = command("resume=o/stopped")
    assert status == 0, err
    assert rows(Path("o/stopped")) == rows(whole)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Mappings", ("data.batch.x=image", "data.batch.y=label")),
        ("NamedTuples", ("data.batch.x=image", "data.batch.y=label")),
        ("Triples", ("data.batch.x=0", "data.batch.y=2")),
        ("Images", ("data.batch.x=image", "data.batch.y=label", COLLATE)),
    ],
)
def test_a_batch_of_any_structure_is_read_by_names(train: Train, kind: str, names: tuple[str, ...]) -> None:
    assert rows(train(*loaders(kind, *names))) == rows(train(*loaders()))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (loaders("Mappings"), "It has image, label, name: name them, such as '+data.batch={x:image,y:name}'."),
        (loaders("Mappings", "data.batch.x=imag", "data.batch.y=label"), "data.batch: A batch of the train part has"),
        (loaders("Images", "+data.batch.z=label"), "data.batch.z=label: A batch has an input x and a target y"),
        (loaders("Images", "data.batch.num_outputs=many"), "It must be a whole number or null, and this is text."),
        (loaders("Unknown"), "Nothing says how many classes there are, and one batch may lack some. Write data.batch"),
        (loaders("Images", "+data.train.sample=3"), "data.train.sample=3: Images takes no 'sample'. Did you mean"),
        (loaders("Imags"), "stranger.sets has no class Imags. Did you mean"),
        (("data=loaders",), "data.train._target_: It must be given, and has no default."),
        (loaders("Images", "data.persistent_workers=true"), "are of workers, and data.num_workers is 0."),
        (loaders("Stream", "data.sampler={_target_:stranger.sets.Backwards,_partial_:true}"), "a stream has none"),
        (loaders("Images", "task=segmentation"), "segmentation takes [N, C, H, W] and [N, H, W]"),
        (loaders("Images", "task=clasification"), "Did you mean 'classification'?"),
        (loaders("Labels"), "loss=cross_entropy: It does not fit data=loaders, which is multilabel."),
        (loaders("Images", "monitor=val/f2"), "monitor=val/f2: A classification run does not log it."),
    ],
)
def test_what_is_wrong_is_said_before_it_trains(
    command: Command, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    status, _, err = command(*overrides, "output_dir=o")
    assert (status, words in err) == (2, True), err
    assert not (tmp_path / "o").exists()


def test_a_sampler_of_ones_own_decides_the_order(train: Train) -> None:
    sampler = "data.sampler={_target_:stranger.sets.Backwards,_partial_:true}"
    runs = [train(*loaders("Images", sampler, f"data.seed={seed}")) for seed in (0, 1)]
    assert rows(runs[0]) == rows(runs[1])


def test_what_is_left_out_of_training_is_said_to_be(train: Train) -> None:
    assert rows(train(*loaders("Images", "data.batch_size=10", "data.drop_last=true")))[-1]["samples"] == 180


def test_a_test_set_is_looked_at_at_the_end(train: Train) -> None:
    test = "data.test={_target_:stranger.sets.Images,first:160}"
    assert "test/accuracy" in result(train(*loaders("Images", test)))["metrics"]
    assert "test/accuracy" not in result(train(*loaders()))["metrics"]


def test_they_are_swept_apart_and_the_plan_says_so(sweep: Sweep) -> None:
    line = loaders("Images", "optimizer.lr=0.1,0.01", *WORKERS)
    plan = sweep(*line, "sweep.fuse=2", "sweep.dry_run=true")
    assert "trained apart, 2: its data draw random numbers, which are each run's own" in plan.out
    done = sweep(*line)
    assert done.status == 0, done.err
    assert [result(run)["status"] for run in done.runs] == ["done", "done"]


def test_a_shuffled_loader_is_never_trained_in_a_stack_since_its_order_would_be_another(sweep: Sweep) -> None:
    line = ("data=stranger.data.Digits", "+data.batch.num_outputs=10", "seed=0,1", "sweep.fuse=2")
    assert "its data draw random numbers" in sweep(*line, "sweep.dry_run=true").out


def test_a_folder_that_a_data_set_reads_is_part_of_its_fingerprint(tmp_path: Path, command: Command) -> None:
    from gridstorm.config import digest_of_folder

    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "one.txt").write_text("1")
    before = digest_of_folder(folder)
    assert digest_of_folder(folder) == before
    (folder / "one.txt").write_text("2")
    assert digest_of_folder(folder) != before


def test_what_the_data_do_not_say_is_taken_from_their_first_batch(command: Command) -> None:
    status, out, err = command(*loaders("Images", "explain=true"))
    assert status == 0, err
    assert "Task: classification (as their first batch shows)" in out
    assert "Data: nothing tells whether they change between runs (no fingerprint, and no file is named)" in out


def test_the_card_says_where_an_interrupted_run_goes_on(command: Command) -> None:
    assert "A run that is interrupted goes on at the start of an epoch" in command(*loaders(), "explain=true")[1]
    within = ("data.stateful=true", "+callbacks.checkpoint.every_n_steps=2") if find_spec("torchdata") else ()
    if within:
        words = "A run that is interrupted goes on within an epoch, where it was saved every 2 steps"
        assert words in command(*loaders(), *within, "explain=true")[1]


def test_saving_within_an_epoch_is_refused_where_nobody_could_go_on_there(command: Command, tmp_path: Path) -> None:
    for line in (loaders(), ("trainer.max_epochs=1",)):
        status, _, err = command(*line, "+callbacks.checkpoint.every_n_steps=2")
        assert (status, "the training has no state_dict to go on from there" in err) == (2, True), err
        assert not [*(tmp_path / "outputs").glob("*")]


@pytest.mark.skipif(find_spec("torchdata") is not None, reason="torchdata is installed")
def test_a_stateful_loader_needs_a_package(command: Command) -> None:
    status, _, err = command(*loaders(), "data.stateful=true")
    assert (status, "Run: pip install torchdata" in err) == (2, True), err


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # torchdata's
@pytest.mark.skipif(find_spec("torchdata") is None, reason="torchdata is not installed: ci/extras")
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Images", ("model.dropout=0.3", NOISE)),
        ("Images", ("model.dropout=0.3", NOISE, *WORKERS)),
        ("Stream", ("model.dropout=0.3",)),
        ("Stream", ("model.dropout=0.3", NOISE, "data.num_workers=2")),
    ],
)
def test_a_run_that_is_killed_within_an_epoch_goes_on_there_to_the_same_numbers(
    command: Command, tmp_path: Path, kind: str, more: tuple[str, ...]
) -> None:
    line = loaders(kind, *more, "data.stateful=true", "+callbacks.checkpoint.every_n_steps=2", "trainer.max_epochs=3")
    dying = "+callbacks.stop._target_=stranger.modules.Stop"
    assert command(*line, dying, "output_dir=o", "name=whole")[0] == 0
    environment = {**os.environ, "STRANGER_DIES_AT": "1 5", "PYTHONPATH": str(ROOT / "tests" / "own")}
    program = [sys.executable, str(ROOT / "train.py"), *line, dying, "output_dir=o", "name=killed"]
    killed = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    saved = torch.load(tmp_path / "o" / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 10  # 6 steps an epoch
    status, _, err = command("resume=o/killed")
    assert status == 0, err
    whole, other = (tmp_path / "o" / name for name in ("whole", "killed"))
    assert rows(whole) == rows(other)
    first, second = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, other)
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())
