"""Each kind of data of one's own: swept, killed and resumed, judged, exported; bad input is answered by the command."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import gridstorm
from conftest import ROOT, Command, Compose, result, rows
from customers import customers
from gridstorm.prediction import baseline, evaluate, export
from gridstorm.record import RunRecord
from gridstorm.run.run import run

DRAW = np.random.default_rng(0)


def table(place: Path) -> list[str]:
    customers(600).write_csv(place / "data.csv")
    return [
        f"data.path={place / 'data.csv'}",
        "data.target=churned",
        "data.ignore=[group]",
        "model=tabular",
        "model.width=16",
    ]


def images(place: Path) -> list[str]:
    for number in range(120):
        file = place / "images" / ("dark", "light")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = DRAW.integers(0, 200, (20, 24)) + 55 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    more = ["data.size=8", "data.augment=[flip,crop,jitter]", "data.batch_size=16", "model=cnn", "model.width=4"]
    return [f"data.path={place / 'images'}", *more]


def text_classification(place: Path) -> list[str]:
    words = [("good day", "bad day")[number % 2] + f" number {number}" for number in range(200)]
    lines = [json.dumps({"text": text, "label": text[:4].strip()}) + "\n" for text in words]
    (place / "data.jsonl").write_text("".join(lines))
    return [f"data.path={place / 'data.jsonl'}", "data.context=30", "model=text_cnn", "model.width=8"]


def npz(place: Path) -> list[str]:
    x = DRAW.normal(0, 1, (200, 4))
    np.savez(place / "data.npz", x=x, y=x[:, 0] + 0.1 * DRAW.normal(0, 1, 200))
    return [f"data.path={place / 'data.npz'}", "loss=mse", "model.width=16", "model.dropout=0.2"]


KINDS = {made.__name__: made for made in (table, images, text_classification, npz)}


def weights(directory: Path) -> dict[str, Any]:
    return dict(torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_data_is_killed_and_goes_on_and_is_swept_judged_and_exported(
    kind: str, composed: Compose, tmp_path: Path
) -> None:
    keys = [f"data={kind}", *KINDS[kind](tmp_path), f"output_dir={tmp_path}", "threads=1"]
    long = [*keys, "trainer.max_epochs=40"]
    run(composed(*long, "name=whole"))
    # No fork of this process: polars has threads in it, which a child would wait for.
    killed = subprocess.Popen([sys.executable, str(ROOT / "train.py"), *long, "name=killed"], cwd=tmp_path)
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").exists():
        assert killed.poll() is None
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "killed" / "result.json").exists()
    run(composed(f"resume={tmp_path / 'killed'}"))
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")

    short = ["optimizer.lr=1e-3,1e-2", "trainer.max_epochs=2", "sweep.name=grid", "launcher=in_process"]
    swept = gridstorm.sweep(*keys, *short)
    assert [trial.runs[0].status for trial in swept.trials] == ["done", "done"]
    assert swept.best is not None and (swept.best.directory / "fitted.json").exists()

    record = RunRecord(tmp_path / "whole")
    found = evaluate(record)
    assert found.metrics["loss"][0] == pytest.approx(result(record.directory)["metrics"]["test/loss"], rel=1e-4)
    assert " 0 samples" not in export(record, "torch")
    if kind != "text_classification":
        assert "gradient boosting" in baseline(record)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["data=table", "data.path=nowhere.csv", "data.target=y"], "data.path=nowhere.csv cannot be read"),
        (["data=table"], "data.path"),
        (["data=images", "data.path=nowhere"], "data.path=nowhere: There is no such folder"),
        (["data=images", "data.path=a", "data.augment=[spin]"], "data.augment"),
        (["data=npz", "data.path=nowhere.npz"], "data.path=nowhere.npz cannot be read"),
        (["data=text_classification", "data.path=nowhere.csv", "model=text_cnn"], "data.path=nowhere.csv"),
        (["data=text_classification", "data.path=a.csv"], "Choose one that does: model=text_cnn"),
        (["data=text", "data.path=nowhere", "model=transformer"], "data.path=nowhere"),
    ],
)
def test_what_is_wrong_is_said_by_the_command(command: Command, line: list[str], words: str) -> None:
    status, _, err = command(*line)
    assert status == 2 and words in err and "Traceback" not in err, err
