import io
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

import gridstorm.record.tensorboard
from gridstorm.record.tensorboard import EventFile, markdown
from tensorboard_server import Server, tensorboard

CONFIG = "model:\n  name: <mlp> & `friends`\n\n```\nlist: [1, 2]"
PIXELS = np.arange(12 * 20 * 3, dtype=np.uint8).reshape(12, 20, 3)
LAYOUT = {"Training": {"loss: train against validation": ["train/loss", "val/loss"], "rate": ["lr (base)"]}}
# Dies with records still in its buffer.
KILLED = """
import os, signal, sys
from pathlib import Path
from gridstorm.record.tensorboard import EventFile
file = EventFile(Path(sys.argv[1]))
for step in range(900):
    file.scalars(step, {f"train/{name}": 1.0 for name in ("loss", "loss_l1", *range(20))})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one that succeeded, one still without an end, and one that was killed, went on and failed."""
    outputs = tmp_path_factory.mktemp("outputs")
    with EventFile(outputs / "01-mlp") as file:
        file.hparams({"lr": 0.1, "depth": 3, "nesterov": True, "model": "mlp"}, group="night/01", started=1000.0)
        file.text("config", markdown(CONFIG, "yaml"))
        file.charts(LAYOUT)
        for step in range(4):
            values = {"train/loss": 1 / (step + 1), "best/accuracy": 0.9, "lr (base)": 0.1}
            file.scalars(step, values, wall_time=1000.0 + step)
        file.image("confusion", PIXELS, step=3)
        file.session_end("success")
    with EventFile(outputs / "02-cnn") as file:
        file.hparams({"lr": 0.2, "depth": 3, "nesterov": False, "model": "cnn"}, group="night/02", started=1001.0)
        file.charts(LAYOUT)
        for step, value in enumerate((0.5, math.nan, math.inf, 0.25, math.nan)):
            file.scalars(step, {"val/loss": value, "best/accuracy": 0.8})
    process = subprocess.run([sys.executable, "-c", KILLED, outputs / "03-killed"])
    assert process.returncode == -signal.SIGKILL
    (cut_in_two,) = (outputs / "03-killed").iterdir()
    cut_in_two.write_bytes(cut_in_two.read_bytes()[:-10])
    with EventFile(outputs / "03-killed") as file:  # shows again what stood before the checkpoint, and goes on
        file.hparams({"lr": 0.2, "depth": 3, "nesterov": False, "model": "cnn"}, group="night/02", started=1002.0)
        for step in range(15):
            file.scalars(step, {"train/loss": 1.0 if step <= 10 else 2.0, "train/loss_l1": 1.0})
        file.session_end("failure")
    return outputs


@pytest.fixture(scope="module", params=["auto", "false"], ids=["rust", "python"])
def server(request: pytest.FixtureRequest, logdir: Path) -> Iterator[Server]:
    with tensorboard(logdir, load_fast=request.param) as server:
        yield server


def records(directory: Path) -> list[bytes]:
    """What TensorBoard's own reader, which checks the checksums, finds in a directory of one file."""
    (path,) = directory.iterdir()
    return list(RawEventFileLoader(str(path)).Load())


def test_every_run_is_shown_under_its_directory(server: Server) -> None:
    assert server.get("data/runs") == ["01-mlp", "02-cnn", "03-killed"]


def test_only_the_tags_that_were_written_are_cards(server: Server) -> None:
    tags = server.get("data/plugin/scalars/tags")
    assert set(tags["01-mlp"]) == {"train/loss", "best/accuracy", "lr (base)"}
    assert set(tags["02-cnn"]) == {"val/loss", "best/accuracy"}


def test_scalars_keep_their_steps_and_values(server: Server) -> None:
    assert server.scalars("01-mlp", "train/loss") == [(step, pytest.approx(1 / (step + 1))) for step in range(4)]


def test_scalars_keep_their_time(server: Server) -> None:
    points = server.get("data/plugin/scalars/scalars", run="01-mlp", tag="train/loss")
    assert [time for time, _, _ in points] == [1000.0, 1001.0, 1002.0, 1003.0]


def test_a_number_that_is_not_finite_hides_no_other(server: Server) -> None:
    values = [value for _, value in server.scalars("02-cnn", "val/loss")]
    assert values == [0.5, "NaN", "Infinity", 0.25, "NaN"]


def test_a_killed_run_that_went_on_is_one_curve(server: Server) -> None:
    before, after = [(step, 1.0) for step in range(11)], [(step, 2.0) for step in range(11, 15)]
    assert server.scalars("03-killed", "train/loss") == before + after


def test_text_is_shown_as_it_is(server: Server) -> None:
    escaped = CONFIG.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert server.text("01-mlp", "config") == f"<pre><code>{escaped}\n</code></pre>"


def test_a_picture_arrives_pixel_by_pixel(server: Server) -> None:
    assert set(server.get("data/plugin/images/tags")["01-mlp"]) == {"confusion"}
    (entry,) = server.get("data/plugin/images/images", run="01-mlp", tag="confusion", sample=0)
    query = dict([entry["query"].split("=", 1)])
    png = server.content("data/plugin/images/individualImage", **query)
    assert entry["step"] == 3
    assert np.array_equal(np.array(Image.open(io.BytesIO(png))), PIXELS)


def test_runs_with_the_same_layout_share_its_charts(server: Server) -> None:
    (section,) = server.get("data/plugin/custom_scalars/layout")["category"]
    assert section["title"] == "Training"
    assert [chart["title"] for chart in section["chart"]] == list(LAYOUT["Training"])


def test_a_chart_draws_its_tags_and_no_others(server: Server) -> None:
    (section,) = server.get("data/plugin/custom_scalars/layout")["category"]
    (train, _), (rate,) = (chart["multiline"]["tag"] for chart in section["chart"])
    assert "train/loss_l1" in server.get("data/plugin/scalars/tags")["03-killed"]
    for run, pattern, tag in (("03-killed", train, "train/loss"), ("01-mlp", rate, "lr (base)")):
        drawn = server.get("data/plugin/custom_scalars/scalars", run=run, tag=pattern)
        assert set(drawn["tag_to_events"]) == {tag}


def test_hyperparameters_have_their_real_types(server: Server) -> None:
    types = {info["name"]: info["type"] for info in server.experiment()["hparamInfos"]}
    assert types == {
        "lr": "DATA_TYPE_FLOAT64",
        "depth": "DATA_TYPE_FLOAT64",
        "nesterov": "DATA_TYPE_BOOL",
        "model": "DATA_TYPE_STRING",
    }


def test_hyperparameters_have_their_values(server: Server) -> None:
    values = server.session_groups()["night/01"]["hparams"]
    assert values == {"lr": 0.1, "depth": 3, "nesterov": True, "model": "mlp"}


def test_the_metrics_are_those_that_were_written(server: Server) -> None:
    names = {info["name"]["tag"] for info in server.experiment()["metricInfos"]}
    assert {"best/accuracy", "train/loss", "val/loss"} <= names
    assert "hp_metric" not in names
    assert "epoch" not in names


def test_the_runs_of_a_group_are_one_row(server: Server) -> None:
    groups = server.session_groups()
    assert {name: len(group["sessions"]) for name, group in groups.items()} == {"night/01": 1, "night/02": 2}


def test_the_status_is_how_a_run_ended(server: Server) -> None:
    sessions = [session for group in server.session_groups().values() for session in group["sessions"]]
    assert {session["name"]: session["status"] for session in sessions} == {
        "01-mlp": "STATUS_SUCCESS",
        "02-cnn": "STATUS_UNKNOWN",
        "03-killed": "STATUS_FAILURE",
    }


def test_a_session_starts_when_it_is_told_and_ends_later(server: Server) -> None:
    (session,) = server.session_groups()["night/01"]["sessions"]
    assert session["startTimeSecs"] == 1000.0
    assert session["endTimeSecs"] > 1_000_000


def test_a_step_is_one_record_however_many_tags_it_has(tmp_path: Path) -> None:
    with EventFile(tmp_path) as file:
        file.flush()
        before = len(records(tmp_path))
        file.scalars(1, {f"train/{index}": index for index in range(100)})
    assert len(records(tmp_path)) == before + 1


def test_what_is_written_is_on_disk_after_a_flush(tmp_path: Path) -> None:
    with EventFile(tmp_path) as file:
        before = len(records(tmp_path))
        file.scalars(1, {"loss": 1.0})
        assert len(records(tmp_path)) == before
        file.flush()
        assert len(records(tmp_path)) == before + 1


def test_a_run_that_never_flushes_is_flushed_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gridstorm.record.tensorboard, "FLUSH_SECONDS", -1.0)
    with EventFile(tmp_path) as file:
        before = len(records(tmp_path))
        file.scalars(1, {"loss": 1.0})
        assert len(records(tmp_path)) == before + 1


def test_two_files_in_one_directory_never_collide(tmp_path: Path) -> None:
    for _ in range(3):
        EventFile(tmp_path).close()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 3


@pytest.mark.parametrize("value", [None, [1, 2], (0.9, 0.999), {"a": 1}])
def test_a_hyperparameter_that_tensorboard_cannot_show_is_refused(tmp_path: Path, value: object) -> None:
    with EventFile(tmp_path) as file, pytest.raises(ValueError, match=r"'betas' is .*of type .*\. Give a bool"):
        file.hparams({"betas": value}, group="a", started=0.0)  # type: ignore[dict-item]


@pytest.mark.parametrize("pixels", [PIXELS.astype(float), PIXELS[..., 0], PIXELS[..., :2]])
def test_an_array_that_is_no_picture_is_refused(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    with EventFile(tmp_path) as file, pytest.raises(ValueError, match=r"'wrong' is an array .* Give uint8 pixels"):
        file.image("wrong", pixels)


@pytest.mark.parametrize("text", ["", "plain", "```\ncode\n```", "````\n```", "`", "a ```` b"])
def test_a_code_block_is_fenced_by_more_than_any_fence_in_it(text: str) -> None:
    first, *lines, last = markdown(text, "yaml").split("\n")
    fence = first.removesuffix("yaml")
    assert "\n".join(lines) == text
    assert last == fence
    assert len(fence) >= 3
    assert not any(line.startswith(fence) for line in lines)


def test_null_bytes_in_a_sample_of_text_stay_visible() -> None:
    assert markdown("a\0b") == "```\na\u2400b\n```"


def test_writing_an_event_file_imports_nothing_heavy(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from gridstorm.record.tensorboard import EventFile
assert "numpy" not in sys.modules and "PIL" not in sys.modules
import numpy as np
with EventFile(Path(sys.argv[1])) as file:
    file.hparams({"lr": 0.1}, group="a", started=0.0)
    file.charts({"a": {"b": ["c"]}})
    file.image("a", np.zeros((2, 2, 3), np.uint8))
    file.session_end("success")
heavy = {"torch", "tensorflow", "lightning", "pytorch_lightning", "sklearn", "optuna"}
heavy |= {"tensorboard.compat.tensorflow_stub"}
print(sorted(heavy & set(sys.modules)))
"""
    finished = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"
