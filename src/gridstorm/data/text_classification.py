"""Texts of the user's own with a label each, from a table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from torch import Tensor

from gridstorm.data import Batches, InMemory, Part
from gridstorm.data._frame import chunks, framed, read, refuse_missing
from gridstorm.data._split import split
from gridstorm.data._target import Target, target_of
from gridstorm.data._text import OfTokens
from gridstorm.data._tokenizer import Bytes, Tokenizer, restored, rows_of, tokenizer_of


class TextClassification(InMemory):
    """Texts and the class of each, in a CSV, Parquet or JSON Lines file.

    A text is its first `context` tokens, each by its number plus one; 0 stands where a shorter one has ended.

    Args:
        path: The file.
        text: The column of the texts.
        target: That of the classes.
        tokenizer: `byte`; `bpe`, pieces of words that are learned from the training part; or the file of one.
        vocabulary: How many pieces `bpe` learns.
        context: How many tokens of a text are looked at.
    """

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "texts"

    def __init__(
        self,
        path: str,
        text: str = "text",
        target: str = "label",
        tokenizer: str = "byte",
        vocabulary: int = 2048,
        context: int = 256,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if context < 1:
            raise ValueError(f"data.context={context} is less than one token. Give a number of at least 1.")
        self.path, self.columns = path, {"text": text, "target": target}
        self.tokenizer_name, self.vocabulary, self.context = tokenizer, vocabulary, context
        self.input_shape = (context,)
        self.tokenizer: Tokenizer = Bytes()
        self.target: Target | None = None
        self.left_out = 0

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts: x [N, context], and y [N], the number of the class by name.

        Raises:
            ValueError: The file or a column is not what it should be.
        """
        frame = self._checked(read(self.path))
        target = target_of(frame, [self.columns["target"]], "classification")
        y, there = target.encode(frame)
        self.left_out = int((~there).sum())
        texts = self._texts(frame.filter(there))
        chosen = split(len(y), self.val_fraction, self.test_fraction, self.split_seed, y)
        train = (texts[number] for number in chosen["train"].tolist())
        self._adopt(target, tokenizer_of(self.tokenizer_name, train, self.vocabulary))
        x = self._tokens(texts)
        return {part: (x[index], y[index]) for part, index in chosen.items()}

    def _adopt(self, target: Target, tokenizer: Tokenizer) -> None:
        self.target, self.tokenizer, self.num_tokens = target, tokenizer, tokenizer.size + 1
        self.class_names, self.num_outputs = target.classes, len(target.classes)

    def _checked(self, frame: pl.DataFrame) -> pl.DataFrame:
        for key, name in self.columns.items():
            refuse_missing(f"data.{key}", name, frame.columns, self.path)
        return frame

    def _texts(self, frame: pl.DataFrame) -> list[bytes]:
        return [str(text or "").encode() for text in frame[self.columns["text"]].to_list()]

    def _tokens(self, texts: Sequence[bytes]) -> Tensor:
        return rows_of(self.tokenizer, texts, self.context)

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches as int64."""
        return OfTokens(x, y, self.batch_size, self.seed, shuffle, rank, ranks)

    @property
    def notes(self) -> list[str]:
        """What is to be known before the training."""
        return [f"Left out: {self.left_out} rows without a target"] if self.left_out else []

    def samples_in(self, path: str, count: int) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file in pieces."""
        yield from chunks(path, count)

    def labelled_in(self, path: str) -> tuple[Tensor, Tensor]:
        """Return the inputs and the classes of a file, rows without a class left out."""
        assert self.target is not None
        frame = self._checked(read(path))
        y, there = self.target.encode(frame)
        return self.encode(frame.filter(there)), y

    def encode(self, samples: Any) -> Tensor:
        """Return the inputs that are made of texts: a list of them, or a table with their column."""
        if isinstance(samples, Sequence):
            return self._tokens([str(text).encode() for text in samples]).long()
        frame = framed(samples)
        name = self.columns["text"]
        if name not in frame.columns:
            raise ValueError(f"The file has no column {name!r}, which the run was trained with.")
        return self._tokens(self._texts(frame)).long()

    def fitted(self) -> dict[str, Any]:
        """Return what was fitted to the training part."""
        assert self.target is not None
        classes = {"column": self.columns["target"], "classes": [*self.target.classes]}
        return {**classes, "tokenizer": self.tokenizer.content()}

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was fitted, without the texts that it was fitted to."""
        self._adopt(Target.of_classes(fitted["column"], fitted["classes"]), restored(fitted["tokenizer"]))
