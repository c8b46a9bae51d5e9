"""Files as users have them, on which `bench.diagnosis` plants what is wrong: a table, a folder of images, texts."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from PIL import Image
from sklearn import datasets

from bench.world import Spoiled
from gridstorm.data.images import Images
from gridstorm.data.table import Table
from gridstorm.data.text_classification import TextClassification

WORDS = {"sport": "match goal team coach season win", "food": "bread oven salt taste cook dinner",
         "travel": "train hotel beach ticket map island"}  # fmt: skip
COMMON = "the a we it was and then very of in on with for some our day time people good new old"
Labels = Literal["true", "shuffled"]
Order = Literal["shuffled", "sorted"]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp())


@cache
def customers(rows: int = 2000) -> Path:
    """Write a table with numbers, categories, dates and gaps, whose target is told by some of them, and return it."""
    draw = np.random.default_rng(0)
    plan, city = draw.choice(["basic", "plus", "pro"], rows), draw.choice([f"city {n}" for n in range(30)], rows)
    use, age = draw.gamma(2, 10, rows), draw.integers(18, 90, rows).astype(float)
    since = np.datetime64("2020-01-01") + draw.integers(0, 1500, rows).astype("timedelta64[D]")
    score = 3 * (plan == "basic") - 0.15 * (use - 20) + 2 * np.sin(age / 10)
    leaves = draw.random(rows) < 1 / (1 + np.exp(-score))
    frame = pl.DataFrame({"plan": plan, "city": city, "use": use, "age": age, "since": since,
                          "churned": np.where(leaves, "yes", "no")})  # fmt: skip
    gap = pl.Series(draw.random(rows) < 0.1)
    path = _folder() / "customers.csv"
    frame.with_columns(
        pl.when(gap).then(None).otherwise(pl.col(name)).alias(name) for name in ("plan", "use")
    ).write_csv(path)
    return path


@cache
def pictures() -> Path:
    """Write handwritten digits as images in folders of their classes, and return their place."""
    found = datasets.load_digits()
    for number, (pixels, digit) in enumerate(zip(found.images, found.target, strict=True)):
        file = _folder() / "pictures" / str(digit) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file)
    return _folder() / "pictures"


@cache
def reviews(rows: int = 1200) -> Path:
    """Write texts of common words and a few of their topic, a twentieth of them with another label, and return them."""
    draw = np.random.default_rng(0)
    topics = draw.choice([*WORDS], rows)
    texts = [" ".join(draw.permutation([*draw.choice(COMMON.split(), 12), *draw.choice(WORDS[topic].split(), 2)]))
             for topic in topics]  # fmt: skip
    labels = np.where(draw.random(rows) < 0.05, draw.permutation(topics), topics)
    path = _folder() / "reviews.csv"
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)
    return path


class Customers(Spoiled, Table):
    """The table."""

    def __init__(
        self, labels: Labels = "true", order: Order = "shuffled", samples: int | None = None, batch_size: int = 64,
        seed: int = 0, split_seed: int = 0,
    ) -> None:  # fmt: skip
        """Take what to spoil."""
        super().__init__(str(customers()), "churned", batch_size=batch_size, seed=seed, split_seed=split_seed)
        self.labels, self.order, self.samples = labels, order, samples


class Pictures(Spoiled, Images):
    """The images."""

    def __init__(
        self, labels: Labels = "true", order: Order = "shuffled", samples: int | None = None, batch_size: int = 64,
        seed: int = 0, split_seed: int = 0,
    ) -> None:  # fmt: skip
        """Take what to spoil."""
        super().__init__(str(pictures()), size=8, batch_size=batch_size, seed=seed, split_seed=split_seed)
        self.labels, self.order, self.samples = labels, order, samples


class Reviews(Spoiled, TextClassification):
    """The texts."""

    def __init__(
        self, labels: Labels = "true", order: Order = "shuffled", samples: int | None = None, batch_size: int = 64,
        seed: int = 0, split_seed: int = 0,
    ) -> None:  # fmt: skip
        """Take what to spoil."""
        super().__init__(str(reviews()), context=96, batch_size=batch_size, seed=seed, split_seed=split_seed)
        self.labels, self.order, self.samples = labels, order, samples
