"""What data of one's own cost and reach: a table beside clean arrays and a pipeline by hand, many rows, many images.

python -m bench.own_data [quality] [rows] [images]
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.utils.data import DataLoader, Dataset

import gridstorm
from gridstorm.data import split
from gridstorm.data.images import Images
from gridstorm.report import table

SETS: dict[str, Callable[..., Any]] = {
    "breast_cancer": datasets.load_breast_cancer, "diabetes": datasets.load_diabetes, "wine": datasets.load_wine,
    "digits": datasets.load_digits,
}  # fmt: skip
SPLITS = range(8)
EPOCHS = 60


def quality(folder: Path) -> str:
    """Return test scores of a table with its columns shuffled and a category in words, of clean arrays, and by hand."""
    rows: list[tuple[str, ...]] = []
    for name, load in SETS.items():
        x, y = load(return_X_y=True)
        is_numbers = name == "diabetes"
        for gaps in (0.0, 0.1):
            found = {kind: [] for kind in ("table", "arrays", "by hand")}  # type: ignore[var-annotated]
            frame = written(x, y, is_numbers, gaps)
            file = folder / f"{name}{gaps}.csv"
            frame.write_csv(file)
            for seed in SPLITS:
                found["table"].append(
                    trained(["data=table", f"data.path={file}", "data.target=target"], is_numbers, seed, folder)
                )
                if gaps:
                    found["by hand"].append(by_hand(file, is_numbers, seed))
                else:
                    np.savez(folder / "a.npz", x=x, y=y)
                    found["arrays"].append(
                        trained(["data=npz", f"data.path={folder / 'a.npz'}"], is_numbers, seed, folder)
                    )
            shown = [
                f"{np.mean(v):.3f} +- {np.std(v, ddof=1) / len(v) ** 0.5:.3f}" if v else "" for v in found.values()
            ]
            rows.append((name, "R2" if is_numbers else "accuracy", f"{gaps:.0%}", *shown))
    return table([("data set", "score", "missing", *found), *rows])


def written(x: Any, y: Any, is_numbers: bool, gaps: float) -> pl.DataFrame:
    """Return a table: columns in another order, the first one in words, classes in words, some cells empty."""
    draw = np.random.default_rng(0)
    order = draw.permutation(x.shape[1])
    columns: dict[str, Any] = {f"column {number}": x[:, number] for number in order}
    first = f"column {order[0]}"
    columns[first] = np.array(["lowest", "lower", "higher", "highest"])[
        np.searchsorted(np.quantile(x[:, order[0]], [0.25, 0.5, 0.75]), x[:, order[0]])
    ]
    frame = pl.DataFrame(columns)
    holes = {name: pl.Series(draw.random(len(x)) < gaps) for name in frame.columns}
    frame = frame.with_columns(
        pl.when(hole).then(None).otherwise(pl.col(name)).alias(name) for name, hole in holes.items()
    )
    return frame.with_columns(target=pl.Series(y if is_numbers else [f"class {one}" for one in y]))


def trained(keys: list[str], is_numbers: bool, seed: int, folder: Path) -> float:
    """Train the same model with a split, and return its score in the test."""
    loss = "mse" if is_numbers else "cross_entropy"
    given = [
        *keys,
        f"loss={loss}",
        "model=linear",
        "data.batch_size=16",
        "optimizer.lr=0.01",
        "scheduler=cosine",
        f"data.split_seed={seed}",
    ]
    more = [f"trainer.max_epochs={EPOCHS}", f"output_dir={folder / 'runs'}", "threads=1"]
    result = gridstorm.train(gridstorm.compose(*given, *more)).result
    return float((result.metrics if result else {})["test/r2" if is_numbers else "test/accuracy"] or np.nan)


def by_hand(file: Path, is_numbers: bool, seed: int) -> float:
    """Return the score of a pipeline of scikit-learn, as one writes it by hand, on the same rows."""
    frame = pl.read_csv(file).to_pandas()
    y = frame.pop("target").to_numpy()
    classes = None if is_numbers else torch.from_numpy(np.unique(y, return_inverse=True)[1])
    rows = {part: index.numpy() for part, index in split(len(y), 0.1, 0.2, seed, classes).items()}
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore"))
    made = ColumnTransformer([("n", numbers, make_column_selector(dtype_include="number")),
                              ("w", words, make_column_selector(dtype_exclude="number"))])  # fmt: skip
    model = RidgeCV(np.logspace(-3, 3, 13)) if is_numbers else LogisticRegression(max_iter=2000)
    whole = make_pipeline(made, model).fit(frame.iloc[rows["train"]], y[rows["train"]])
    return float(whole.score(frame.iloc[rows["test"]], y[rows["test"]]))


def many_rows(folder: Path) -> str:
    """Return how long a million rows of 20 columns take until they can be trained on, and how much memory."""
    draw, count = np.random.default_rng(0), 1_000_000
    columns: dict[str, Any] = {f"n{number}": draw.normal(0, 1, count).round(4) for number in range(12)}
    columns |= {f"c{number}": draw.choice([f"value {one}" for one in range(20)], count) for number in range(6)}
    days = np.datetime64("2020-01-01") + draw.integers(0, 1500, count).astype("timedelta64[D]")
    columns |= {"since": days, "target": draw.choice(["yes", "no"], count)}
    file = folder / "many.csv"
    pl.DataFrame(columns).write_csv(file)
    program = f"""
import resource, time
from gridstorm.data.table import Table
start = time.perf_counter()
data = Table({str(file)!r}, "target", batch_size=1024)
data.setup()
next(iter(data.train_dataloader()))
print(f"{{time.perf_counter() - start:.1f}} s, {{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}} GiB")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return f"1,000,000 rows of 20 columns, {file.stat().st_size / 1e6:.0f} MB of CSV: ready in {said}"


class ByHand(Dataset[tuple[torch.Tensor, int]]):
    """Images as one reads them by hand."""

    def __init__(self, folder: Path) -> None:
        self.files = [
            (file, number) for number, place in enumerate(sorted(folder.iterdir())) for file in sorted(place.iterdir())
        ]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        file, number = self.files[index]
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB").resize((32, 32)), np.float32)
        return torch.from_numpy(pixels).movedim(2, 0) / 255, number


def many_images(folder: Path) -> str:
    """Return how long 20,000 small PNG files take for the first epoch and the next, beside a DataLoader by hand."""
    draw, place = np.random.default_rng(0), folder / "images"
    for number in range(20_000):
        (place / str(number % 10)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), np.uint8)).save(place / str(number % 10) / f"{number}.png")
    rows = []
    for workers in (0, 2):
        loader = DataLoader(ByHand(place), 64, shuffle=True, num_workers=workers)
        rows.append((f"DataLoader by hand, {workers} workers", *[f"{timed(loader):.2f} s" for _ in range(2)]))
    for augment in ([], ["flip", "crop", "jitter"]):
        start = time.perf_counter()
        data = Images(str(place), augment=augment, val_fraction=0.0001, test_fraction=0.0001)  # type: ignore[arg-type]
        data.setup()
        first = time.perf_counter() - start + timed(data.train_dataloader())
        rows.append((f"data=images, augment={augment}", f"{first:.2f} s", f"{timed(data.train_dataloader()):.2f} s"))
    return table([("20,000 PNG of 32x32", "first epoch", "second"), *rows], right=[1, 2])


def timed(loader: Any) -> float:
    """Return the seconds of a pass."""
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print."""
    parts = {"quality": quality, "rows": many_rows, "images": many_images}
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            print(parts[name](Path(folder)), flush=True)


if __name__ == "__main__":
    main()
