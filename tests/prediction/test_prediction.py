"""The trained model in use: in a new process, without the training file, in words where something is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import gridstorm
from customers import customers

Typed = Callable[..., "subprocess.CompletedProcess[str]"]
CLASSES = ["data.target=churned", "data.ignore=[group]"]
NUMBERS = ["data.target=price", "loss=mse", "model=tabular", "model.width=16", "data.ignore=[customer_id]"]


@dataclass(frozen=True)
class Kept:
    """Two runs whose training file is gone, and what their test parts were taken for in training."""

    folder: Path
    rows: pl.DataFrame


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    file = folder / "customers.csv"
    rows = customers(600)
    rows.write_csv(file)
    for name, keys in {"classes": CLASSES, "numbers": NUMBERS}.items():
        given = [
            "data=table",
            f"data.path={file}",
            *keys,
            "trainer.max_epochs=3",
            f"output_dir={folder}",
            f"name={name}",
        ]
        gridstorm.train(gridstorm.compose(*given))
    file.rename(folder / "moved.csv")
    return Kept(folder, rows)


@pytest.fixture(scope="module")
def typed(kept: Kept) -> Typed:
    """Return a function that types a command of gridstorm in a new process."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "gridstorm", *words]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(command, cwd=kept.folder, capture_output=True, text=True, timeout=300, env=environment)

    return run


def test_a_new_process_predicts_what_training_did_to_the_last_bit(kept: Kept, typed: Typed) -> None:
    (kept.folder / "moved.csv").rename(kept.folder / "customers.csv")
    try:
        run = gridstorm.Run(kept.folder / "classes")
        from gridstorm.objects import prepared

        data = prepared(run.config)
        torch.set_num_threads(1)
        with torch.inference_mode():
            network = run.model()
            trained = torch.cat([network(x) for x, _ in data.test_dataloader()]).softmax(-1)
        rows = data._parts(kept.rows, data.target.encode(kept.rows)[0])["test"]
    finally:
        (kept.folder / "customers.csv").rename(kept.folder / "moved.csv")
    test = kept.rows[rows.numpy()]
    shuffled = test.select(reversed(test.columns)).drop("churned", "group")  # other columns, in another order
    shuffled.write_csv(kept.folder / "new.csv")
    done = typed("predict", "classes", "new.csv", "--out", "found.parquet")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(kept.folder / "found.parquet")
    assert found.columns == ["prediction", "probability", "probability_no", "probability_yes"]
    assert np.array_equal(found["probability_yes"].to_numpy(), trained[:, 1].numpy())


def test_numbers_are_predicted_in_their_own_unit_on_the_screen(kept: Kept, typed: Typed) -> None:
    kept.rows[:5].write_csv(kept.folder / "few.csv")
    done = typed("predict", "numbers", "few.csv")
    lines = done.stdout.split()
    assert lines[0] == "price" and len(lines) == 6 and all(50 < float(line) < 300 for line in lines[1:])


def test_a_value_that_training_did_not_see_is_said_once(kept: Kept, typed: Typed) -> None:
    kept.rows[:5].with_columns(plan=pl.lit("gold")).write_csv(kept.folder / "gold.csv")
    done = typed("predict", "classes", "gold.csv", "--out", "gold.jsonl")
    assert done.stderr.count("gold") == 1 and done.returncode == 0
    assert len((kept.folder / "gold.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "classes", "lacking.csv"], "lacking.csv: The file has no column 'plan'"),
        (["predict", "classes", "nowhere.csv"], "No such file"),
        (["predict", "nowhere", "few.csv"], "nowhere"),
        (["predict", "classes", "few.csv", "--out", "few.csv"], "It is the file of samples"),
        (["predict", "classes", "few.csv", "--out", "few.xlsx"], "says no format"),
        (["predict", "classes", "few.csv", "--batch-size", "-3"], "less than one sample"),
        (["predict", "classes", "none.csv", "--out", "none.parquet"], "It has no samples"),
        (["evaluate", "classes"], "customers.csv"),
        (["evaluate", "classes", "--part", "tset"], "no such part"),
        (["evaluate", "classes", "--data", "lacking.csv"], "lacking.csv"),
        (["generate", "classes", "Once"], "no language"),
        (["export", "classes"], "--samples"),
        (["baseline", "classes"], "customers.csv"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(kept: Kept, typed: Typed, words: list[str], said: str) -> None:
    kept.rows[:5].write_csv(kept.folder / "few.csv")
    kept.rows[:5].drop("plan").write_csv(kept.folder / "lacking.csv")
    kept.rows[:0].write_csv(kept.folder / "none.csv")
    done = typed(*words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not [*kept.folder.glob(".*.part")]


def test_an_evaluation_says_how_sure_its_metrics_are(kept: Kept, typed: Typed) -> None:
    kept.rows.write_csv(kept.folder / "labelled.csv")
    done = typed("evaluate", "classes", "--data", "labelled.csv", "--json")
    found = json.loads(done.stdout)
    assert found["samples"] == 600 and sum(map(sum, found["confusion"])) == 600
    for value, low, high in found["metrics"].values():
        assert low < value < high
    right = sum(found["confusion"][place][place] for place in range(2)) / 600
    assert found["metrics"]["accuracy"][0] == pytest.approx(right)
    shown = typed("evaluate", "numbers", "--data", "labelled.csv").stdout
    assert "rmse" in shown and "worst mistakes" in shown


def test_an_exported_model_gives_the_same(kept: Kept, typed: Typed) -> None:
    kept.rows.write_csv(kept.folder / "labelled.csv")
    done = typed("export", "numbers", "--samples", "labelled.csv", "--out", "numbers.pt2")
    assert "256 samples" in done.stdout, done.stderr
    program = torch.export.load(kept.folder / "numbers.pt2").module()
    model = gridstorm.Run(kept.folder / "numbers").model()
    from gridstorm.objects import restored

    data = restored(gridstorm.Run(kept.folder / "numbers").config, kept.folder / "numbers")
    x = data.encode(kept.rows[:7])
    assert model.predict(kept.rows[:7])["price"].to_numpy() == pytest.approx(program(x).detach().flatten().numpy())  # type: ignore[operator]


def test_a_model_in_python_takes_tables_and_mappings(kept: Kept) -> None:
    model = gridstorm.Run(kept.folder / "classes").model()
    whole = model.predict(kept.rows[:4])  # type: ignore[operator]
    assert whole.equals(model.predict(kept.rows[:4].to_dict(as_series=False)))  # type: ignore[operator]
    assert whole["prediction"].is_in(["yes", "no"]).all()


def test_a_transformer_of_another_class_is_not_built(kept: Kept, tmp_path: Path) -> None:
    import shutil

    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    place = tmp_path / "evil"
    shutil.copytree(kept.folder / "classes", place)
    skops.io.dump(FunctionTransformer(func=os.getcwd), place / "columns.skops")
    with pytest.raises(gridstorm.UserError, match="cannot be read"):
        gridstorm.Run(place).model()
