"""What to learn from: one data set a file, and the classes they share.

Everything here is held in memory and served as whole-tensor batches. A data module says what it yields (`task`,
`inputs`, `input_shape`, `num_outputs`), so that nobody types a shape twice.
"""

import hashlib
from collections.abc import Iterator
from typing import ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


class Batches:
    """The batches `(x, y)` of two tensors of equal length, in an order that (seed, epoch) alone decides.

    Where `shuffle` is set, these are training batches: every rank has the same number of them, at most
    `ranks - 1` samples sit an epoch out, and so does a sample that would be a batch of its own, since batch
    normalisation cannot learn from one. Without it no sample is left out and none comes twice.
    """

    BLOCK = 64
    """Batches gathered at once: one large gather costs less than many small ones, and the copy stays small."""

    batch_sampler = None  # Lightning asks for it wherever there is a `sampler`.

    def __init__(
        self, x: Tensor, y: Tensor, batch_size: int, seed: int = 0, shuffle: bool = False, rank: int = 0, ranks: int = 1
    ) -> None:
        self.x, self.y, self.batch_size, self.seed, self.shuffle = x, y, batch_size, seed, shuffle
        self.rank, self.ranks, self.epoch = rank, ranks, 0

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
        return torch.randperm(len(self.y), generator=generator)[self.rank :: self.ranks][: self._num_samples()]


class InMemory(pl.LightningDataModule):
    """A data set held in memory: three parts, their loaders and their fingerprint. Subclasses give `read()`."""

    task: ClassVar[str]
    inputs: ClassVar[str]
    input_shape: tuple[int, ...]
    num_outputs: int
    class_names: tuple[str, ...] = ()
    device_bytes: ClassVar[int] = 2**30
    """A part of at most this size moves to the accelerator once, not batch by batch."""

    def __init__(self, batch_size: int, seed: int, split_seed: int, val_fraction: float, test_fraction: float) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size} is less than one sample. Give a number of at least 1.")
        if not (val_fraction > 0 and test_fraction > 0 and val_fraction + test_fraction < 1):
            raise ValueError(
                f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} leave a part without data. "
                "Give two numbers above 0 whose sum is below 1."
            )
        self.batch_size, self.seed, self.split_seed = batch_size, seed, split_seed
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.parts: dict[Part, tuple[Tensor, Tensor]] = {}
        self._fingerprint = ""

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The three parts as they are before any preparation: x [N, *input_shape] and y [N, ...] each."""
        raise NotImplementedError

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """What training sees of these parts: the same, unless a subclass standardises."""
        return parts

    def setup(self, stage: str = "fit") -> None:
        """Read, split and prepare the data, once; `stage` does not matter. Raises ValueError for an empty part."""
        if self.parts:
            return
        parts = self.read()
        if empty := [part for part, (_, y) in parts.items() if not len(y)]:
            raise ValueError(
                f"The {empty[0]} part has none of the {sum(len(y) for _, y in parts.values())} samples. "
                "Use more data, or larger data.val_fraction and data.test_fraction."
            )
        self._fingerprint = digest(parts)
        self.parts = self.prepare(parts)

    def fingerprint(self) -> str:
        """SHA-256 of the parts as they were read, so that it is the same on every machine with the same data."""
        self.setup()
        return self._fingerprint

    def train_dataloader(self) -> Batches:
        """The training batches: shuffled anew in every epoch, except where the trainer overfits a few of them."""
        return self.batches("train", shuffle=not getattr(self.trainer, "overfit_batches", 0))

    def val_dataloader(self) -> Batches:
        """The validation batches, always in the same order."""
        return self.batches("val")

    def test_dataloader(self) -> Batches:
        """The test batches, always in the same order."""
        return self.batches("test")

    def batches(self, part: Part, shuffle: bool = False) -> Batches:
        """The batches of one part, on the trainer's device where the part is small, and of the trainer's rank."""
        self.setup()
        x, y = self.parts[part]
        if self.trainer is None:
            return Batches(x, y, self.batch_size, self.seed, shuffle)
        if x.nbytes + y.nbytes <= self.device_bytes:
            device = self.trainer.strategy.root_device
            x, y = x.to(device), y.to(device)
        return Batches(x, y, self.batch_size, self.seed, shuffle, self.trainer.global_rank, self.trainer.world_size)


class TensorData(InMemory):
    """Images or tables, split at random and standardised by what the training part says.

    A split of classes is stratified: each has its share of every part, to within one sample. Images are standardised
    by one mean and deviation for each channel, tables by one for each column, regression targets likewise, with
    `target_mean` and `target_std` in the target's unit.
    """

    target_mean: float = 0.0
    target_std: float = 1.0

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        self.standardize = standardize

    def load(self) -> tuple[Tensor, Tensor]:
        """All samples: x [N, *input_shape] float, and y [N] int64 (classification) or [N, 1] float (regression)."""
        raise NotImplementedError

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts as the seed and the fractions split them."""
        x, y = self.load()
        classes = y if self.task == "classification" else None
        chosen = split(len(y), self.val_fraction, self.test_fraction, self.split_seed, classes)
        return {part: (x[index], y[index]) for part, index in chosen.items()}

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts as float32, standardised by the training part's mean and deviation."""
        x, y = parts["train"]
        mean, std = torch.tensor(0.0), torch.tensor(1.0)
        if self.standardize:
            mean, std = moments(x, [0, 2, 3] if self.inputs == "image" else [0])
        if self.standardize and self.task == "regression":
            self.target_mean, self.target_std = (float(moment) for moment in moments(y, [0]))
        return {part: (((x - mean) / std).float(), self._target(y)) for part, (x, y) in parts.items()}

    def _target(self, y: Tensor) -> Tensor:
        return ((y - self.target_mean) / self.target_std).float() if self.task == "regression" else y


class TextData(InMemory):
    """Text as bytes: predict each next byte from those before it. Subclasses give `documents()`.

    Documents are shuffled and split whole; a single one is cut in three. A part is one stream, two line feeds between
    its documents, cut into stretches that do not overlap: x [N, context] and y [N, context] int64, y one byte ahead.
    """

    task: ClassVar[str] = "language_modelling"
    inputs: ClassVar[str] = "tokens"
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


def split(
    num_samples: int, val_fraction: float, test_fraction: float, seed: int, classes: Tensor | None = None
) -> dict[Part, Tensor]:
    """Sample numbers of each part, shuffled; stratified where `classes` [num_samples] are given."""
    shuffled = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    ranked = shuffled if classes is None else shuffled[classes[shuffled].argsort(stable=True)]
    test = _every(num_samples, test_fraction)
    val = _every(num_samples - int(test.sum()), val_fraction / (1 - test_fraction))
    owner = torch.zeros(num_samples, dtype=torch.int64)
    owner[ranked[~test][val]] = PARTS.index("val")
    owner[ranked[test]] = PARTS.index("test")
    return {part: shuffled[owner[shuffled] == number] for number, part in enumerate(PARTS)}


def moments(values: Tensor, dim: list[int]) -> tuple[Tensor, Tensor]:
    """Mean and deviation over these dimensions, which are kept; what is constant gets the deviation 1."""
    values = values.double()
    mean, std = values.mean(dim, keepdim=True), values.std(dim, correction=0, keepdim=True)
    # The deviation of a constant is rounding noise rather than zero.
    return mean, std.where(std > 1e-9 * mean.abs(), 1).where(std > 0, 1)


def digest(parts: dict[Part, tuple[Tensor, Tensor]]) -> str:
    """SHA-256 over the names, shapes, types and bytes of these tensors."""
    sha = hashlib.sha256()
    for part, tensors in parts.items():
        for tensor in tensors:
            sha.update(f"{part} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            sha.update(tensor.contiguous().numpy().data)
    return sha.hexdigest()


def _every(num: int, fraction: float) -> Tensor:
    """A mask [num] that picks this share of the positions, spread evenly, so that each class gets its own."""
    return (torch.arange(num + 1, dtype=torch.float64) * fraction).round().diff() > 0
