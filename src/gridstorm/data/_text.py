"""Text as tokens: each is to be predicted from those before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gridstorm.data._batches import Batches
from gridstorm.data._memory import PARTS, InMemory, Part
from gridstorm.data._tokenizer import Bytes, Tokenizer, restored, tokenizer_of

BETWEEN = b"\n\n"  # two documents of a part


class TextData(InMemory):
    """Text as tokens: predict each next one from those before it. Subclasses give `documents()`.

    Documents are shuffled and split whole; a single one is cut in three. A part is one stream, two line feeds between
    its documents, cut into stretches that do not overlap: x [N, context] and y [N, context], y one token ahead. They
    are kept as small as tokens are, and are int64 in batches.
    """

    task: ClassVar[str] = "language_modelling"
    inputs: ClassVar[str] = "tokens"
    bytes_per_token: float = 1.0
    num_outputs: int = 256

    def __init__(
        self,
        context: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        tokenizer: str = "byte",
        vocabulary: int = 2048,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if context < 1:
            raise ValueError(f"data.context={context} is less than one token. Give a number of at least 1.")
        self.context, self.tokenizer_name, self.vocabulary = context, tokenizer, vocabulary
        self.input_shape = (context,)
        self.tokenizer: Tokenizer = Bytes()

    def documents(self) -> list[bytes]:
        """The texts, in an order that is the same on every machine."""
        raise NotImplementedError

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The three streams, cut into windows."""
        streams = self._streams()
        self.tokenizer = tokenizer_of(self.tokenizer_name, streams["train"], self.vocabulary)
        self.num_outputs = self.tokenizer.size
        tokens = {part: self._tokens(texts) for part, texts in streams.items()}
        if self.tokenizer_name != "byte":
            size = sum(map(len, streams["train"])) + len(BETWEEN) * (len(streams["train"]) - 1)
            self.bytes_per_token = size / max(1, len(tokens["train"]))
        return {part: self._windows(part, stream) for part, stream in tokens.items()}

    def encode(self, text: str) -> Tensor:
        """The tokens of a text: [T] int64."""
        return torch.from_numpy(self.tokenizer.encode(text.encode()).astype(np.int64))

    def decode(self, tokens: Tensor) -> str:
        """The text of tokens [T]."""
        return self.tokenizer.decode(tokens.tolist())

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches as int64, which losses take."""
        return OfTokens(x, y, self.batch_size, self.seed, shuffle, rank, ranks)

    def fitted(self) -> dict[str, Any]:
        """Return what was learned from the training part."""
        return {"tokenizer": self.tokenizer.content()}

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was learned, without the text that it was learned from."""
        self.tokenizer = restored(fitted["tokenizer"])

    def _tokens(self, texts: list[bytes]) -> Tensor:
        if not any(map(len, texts)):
            return torch.empty(0, dtype=torch.uint8)
        if len(texts) == 1 and self.tokenizer_name == "byte":  # perhaps of a file that is mapped, and stays so
            return torch.frombuffer(texts[0] if _is_mapped(texts[0]) else bytearray(texts[0]), dtype=torch.uint8)
        return torch.from_numpy(self.tokenizer.encode(BETWEEN.join(texts)).copy())

    def _streams(self) -> dict[Part, list[bytes]]:
        """Return the texts of each part."""
        documents = self.documents()
        bounds = (1 - self.val_fraction - self.test_fraction, 1 - self.test_fraction)
        if len(documents) == 1:
            text, size = documents[0], len(documents[0])
            first, second = (round(bound * size) for bound in bounds)
            return {"train": [text[:first]], "val": [text[first:second]], "test": [text[second:]]}
        order = torch.randperm(len(documents), generator=torch.Generator().manual_seed(self.split_seed)).tolist()
        shuffled = [documents[index] for index in order]
        sizes = torch.tensor([len(document) for document in shuffled], dtype=torch.float64)
        middles = (sizes.cumsum(0) - sizes / 2) / sizes.sum()
        owner = torch.bucketize(middles, torch.tensor(bounds, dtype=torch.float64)).tolist()
        return {
            part: [text for text, its in zip(shuffled, owner, strict=True) if its == number]
            for number, part in enumerate(PARTS)
        }

    def _windows(self, part: Part, tokens: Tensor) -> tuple[Tensor, Tensor]:
        count = (len(tokens) - 1) // self.context
        if count < 1:
            words = "bytes" if self.tokenizer_name == "byte" else "tokens"
            raise ValueError(
                f"The {part} part of this text has {len(tokens)} {words}, too few for one stretch of "
                f"data.context={self.context} and the one after it. Give a longer text or a smaller data.context."
            )
        size = count * self.context
        return tokens[:size].view(count, -1), tokens[1 : size + 1].view(count, -1)


def _is_mapped(text: object) -> bool:
    return isinstance(text, memoryview)


class OfTokens(Batches):
    """Batches of tokens, which are kept in as few bytes as they take."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in super().__iter__():
            yield x.long(), y.long()
