"""Text in memory, as bytes."""

from typing import ClassVar

import torch
from torch import Tensor

from gridstorm.data._memory import PARTS, InMemory, Part


class TextData(InMemory):
    """Text as bytes: predict each next byte from those before it. Subclasses give `documents()`.

    Documents are shuffled and split whole; a single one is cut in three. A part is one stream, two line feeds between
    its documents, cut into stretches that do not overlap: x [N, context] and y [N, context] int64, y one byte ahead.
    """

    task: ClassVar[str] = "language_modelling"
    inputs: ClassVar[str] = "tokens"
    bytes_per_token: ClassVar[float] = 1.0
    num_outputs: int = 256

    def __init__(
        self,
        context: int = 64,
        batch_size: int = 16,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if context < 1:
            raise ValueError(f"data.context={context} is less than one byte. Give a number of at least 1.")
        self.context = context
        self.input_shape = (context,)

    def documents(self) -> list[bytes]:
        """The texts, in an order that is the same on every machine."""
        raise NotImplementedError

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The three streams, cut into windows."""
        return {part: self._windows(part, stream) for part, stream in self._streams().items()}

    def encode(self, text: str) -> Tensor:
        """The UTF-8 bytes of a text: [T] int64."""
        return torch.tensor(list(text.encode()), dtype=torch.int64)

    def decode(self, tokens: Tensor) -> str:
        """The text of such bytes [T]; what is not UTF-8 shows as a replacement character."""
        return bytes(tokens.tolist()).decode(errors="replace")

    def _streams(self) -> dict[Part, bytes]:
        documents = self.documents()
        bounds = (1 - self.val_fraction - self.test_fraction, 1 - self.test_fraction)
        if len(documents) == 1:
            text, size = documents[0], len(documents[0])
            first, second = (round(bound * size) for bound in bounds)
            return {"train": text[:first], "val": text[first:second], "test": text[second:]}
        order = torch.randperm(len(documents), generator=torch.Generator().manual_seed(self.split_seed)).tolist()
        shuffled = [documents[index] for index in order]
        sizes = torch.tensor([len(document) for document in shuffled], dtype=torch.float64)
        middles = (sizes.cumsum(0) - sizes / 2) / sizes.sum()
        owner = torch.bucketize(middles, torch.tensor(bounds, dtype=torch.float64)).tolist()
        return {
            part: b"\n\n".join(text for text, its in zip(shuffled, owner, strict=True) if its == number)
            for number, part in enumerate(PARTS)
        }

    def _windows(self, part: Part, stream: bytes) -> tuple[Tensor, Tensor]:
        if len(stream) <= self.context:
            raise ValueError(
                f"The {part} part of this text has {len(stream)} bytes, too few for one stretch of "
                f"data.context={self.context} and the byte after it. Give a longer text or a smaller data.context."
            )
        tokens = torch.frombuffer(bytearray(stream), dtype=torch.uint8).long()
        windows = tokens.unfold(0, self.context + 1, self.context)
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
