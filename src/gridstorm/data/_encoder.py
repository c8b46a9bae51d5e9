"""Numbers of a table's columns: fitted to the training part by scikit-learn's own transformers, and kept with a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridstorm.data._column import Column, plain

Scale = Literal["standard", "quantile", "none"]
TRUSTED = ("numpy.dtype",)  # beside scikit-learn's own classes, of which skops reads nothing else
RARE = "(rare)"  # the values that are not told apart
ROWS = 100_000  # that are encoded at once
FITTED = 200_000  # rows that medians, means and quantiles are taken of, where there are more: their error is below 1 %


@dataclass
class Encoder:
    """What is made of a table's columns: x [N, D] float32, the numbers first, then the number of each category.

    A category that training did not see counts as a rare one, or where none was rare is -1. What is missing is the
    median, with a column that says so, or a category of its own.

    Args:
        columns: The columns, those that are left out too.
        transformer: scikit-learn's, fitted to the training part.
    """

    columns: list[Column]
    transformer: Any

    @classmethod
    def fit(cls, frame: pl.DataFrame, columns: Sequence[Column], scale: Scale, max_categories: int) -> "Encoder":
        """Return an encoder that was fitted to the rows of the training part.

        Args:
            frame: Those rows.
            columns: What the columns hold.
            scale: How numbers are scaled.
            max_categories: How many values of a column are told apart; the rarest ones are one.
        """
        used = [column for column in columns if column.kind != "left out"]
        named = [column for column in used if column.kind == "category"]
        kept = [_frequent(next(column.plain(frame[column.name])), max_categories) for column in named]
        some = frame.sample(FITTED, seed=0) if len(frame) > FITTED else frame
        made = plain(some, used)
        texts = made.columns[made.width - len(named) :]
        transformer = _transformer(made.columns[: -len(named) or None], texts, kept, scale, len(some))
        return cls([*columns], transformer.fit(_told_apart(made, kept)))

    @property
    def used(self) -> list[Column]:
        """The columns that are not left out."""
        return [column for column in self.columns if column.kind != "left out"]

    @property
    def width(self) -> int:
        """How many numbers a row is."""
        return len(self.transformer.get_feature_names_out())

    def encode(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Return the numbers of rows [N, D]; their columns may come in any order, and there may be more of them.

        Raises:
            ValueError: A column is not there.
        """
        lacking = [column.name for column in self.used if column.name not in frame.columns]
        if lacking:
            raise ValueError(f"The file has no column {', '.join(map(repr, lacking))}, which the run was trained with.")
        made = np.empty((len(frame), self.width), np.float32)
        for start in range(0, len(frame), ROWS):
            rows = slice(start, start + ROWS)
            made[rows] = self.transformer.transform(_told_apart(plain(frame[rows], self.used), self._categories))
        return made

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each column of categories has."""
        return tuple(map(len, self._categories))

    @property
    def _categories(self) -> list[list[str]]:
        """The values of each column of categories."""
        fitted = self.transformer.named_transformers_.get("categories")
        return [[*values] for values in fitted.categories_] if fitted else []

    def unseen(self, frame: pl.DataFrame) -> dict[str, list[str]]:
        """Return what rows hold that training did not, by what is done with it: `since: no date, read as missing`."""
        named = iter(self._categories)
        found: dict[str, list[str]] = {}
        for column in self.used:
            values = frame[column.name]
            if column.kind == "category":
                known = {*next(named)}
                others = sorted({*next(column.plain(values)).unique().to_list()} - known)
                found[f"{column.name}: training did not see"] = others if RARE not in known else []
                continue
            found[f"{column.name}: no {column.kind}, read as missing:"] = column.unread(values)
            if values.null_count() and not column.has_gaps:
                found[f"{column.name}: training had it in all rows, and here it is"] = ["missing in some"]
        return {words: others for words, others in found.items() if others}

    def save(self, file: Path) -> None:
        """Write the transformer to a file: no pickle, plain arrays and names of classes."""
        import skops.io

        skops.io.dump(self.transformer, file)

    @classmethod
    def read(cls, columns: Sequence[Column], file: Path) -> "Encoder":
        """Return what was saved; only classes of scikit-learn and NumPy are built.

        Raises:
            ValueError: The file is not there, is damaged, or names another class.
        """
        import skops.io

        try:
            transformer = skops.io.load(file, trusted=[*TRUSTED])
        except Exception as error:  # whatever a damaged file makes of it
            raise ValueError(f"{file} cannot be read ({error}). Train the run again.") from error
        return cls([*columns], transformer)


def _frequent(column: pl.Series, most: int) -> list[str]:
    """Return the values of a column by name; where there are more than that, the most frequent ones, and RARE."""
    counts = column.value_counts(sort=True)
    names = counts[column.name].to_list()
    return sorted(names) if len(names) <= most else [*sorted({*names[: most - 1]} - {RARE}), RARE]


def _told_apart(made: pl.DataFrame, kept: Sequence[Sequence[str]]) -> pl.DataFrame:
    """Return a table in which values of the last columns that are not told apart are RARE."""
    texts = made.columns[made.width - len(kept) :]
    return made.with_columns(
        pl.when(pl.col(name).is_in(values)).then(name).otherwise(pl.lit(RARE)).alias(name)
        for name, values in zip(texts, kept, strict=True)
    )


def _transformer(numbers: list[str], texts: list[str], kept: list[list[str]], scale: Scale, rows: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, QuantileTransformer, StandardScaler

    scaler = {
        "standard": StandardScaler(),
        "quantile": QuantileTransformer(
            n_quantiles=max(10, min(1000, rows // 30)), output_distribution="normal", random_state=0
        ),
        "none": FunctionTransformer(feature_names_out="one-to-one"),
    }[scale]
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encoder = OrdinalEncoder(categories=kept, handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32)
    steps = [("numbers", make_pipeline(filled, scaler), numbers), ("categories", encoder, texts)]
    return ColumnTransformer([step for step in steps if step[2]])
