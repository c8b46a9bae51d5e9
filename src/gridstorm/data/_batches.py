"""The batches of two tensors, in an order that the seed and the epoch decide."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler


class Batches:
    """The batches `(x, y)` of two tensors of equal length, in an order that (seed, epoch) alone decides.

    With `weights` samples are drawn in proportion to them, with replacement, so that a step's gradient is on average
    that of the weighted loss. Where `shuffle` is set, these are training batches: every rank has the same number of
    them, at most `ranks - 1` samples sit an epoch out, and so does a sample that would be a batch of its own, since
    batch normalisation cannot learn from one. Without it no sample is left out and none comes twice.
    """

    BLOCK = 64
    """Batches gathered at once: one large gather costs less than many small ones, and the copy stays small."""

    batch_sampler = None  # Lightning asks for it wherever there is a `sampler`.

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        rank: int = 0,
        ranks: int = 1,
        weights: Tensor | None = None,
    ) -> None:
        self.x, self.y, self.batch_size, self.seed, self.shuffle = x, y, batch_size, seed, shuffle
        self.rank, self.ranks, self.epoch, self.weights = rank, ranks, 0, weights

    @property
    def sampler(self) -> "Batches | SequentialSampler":
        """What Lightning calls `set_epoch` on, and looks at to see whether the order is shuffled."""
        return self if self.shuffle else SequentialSampler(self.y)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch, whatever was iterated before."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self._num_samples() // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.batch_size
        for block in torch.split(self._order().to(self.x.device), self.BLOCK * size):
            x, y = self.x.index_select(0, block), self.y.index_select(0, block)
            yield from zip(torch.split(x, size), torch.split(y, size), strict=True)

    def _num_samples(self) -> int:
        """Samples that this rank sees in an epoch."""
        num = len(self.y) // self.ranks
        if not self.shuffle:
            return num + (self.rank < len(self.y) % self.ranks)
        return num - 1 if num > 1 and self.batch_size > 1 and num % self.batch_size == 1 else num

    def _order(self) -> Tensor:
        if not self.shuffle:
            return torch.arange(self.rank, len(self.y), self.ranks)
        # torch's CPU generator reads the low 32 bits of its seed only, so both numbers have to end up there.
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**32)
        if self.weights is not None:
            drawn = torch.multinomial(self.weights, len(self.y), replacement=True, generator=generator)
        else:
            drawn = torch.randperm(len(self.y), generator=generator)
        return drawn[self.rank :: self.ranks][: self._num_samples()]


class Scaled(Batches):
    """Batches of which numbers are made where they are trained with: less their mean, divided by their deviation."""

    def __init__(self, moments: tuple[Tensor, Tensor], *given: Any) -> None:
        super().__init__(*given)
        self.moments = moments

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        mean, std = (moment.to(self.x.device) for moment in self.moments)
        for x, y in super().__iter__():
            yield (x.float() - mean) / std, y
