"""A data set that is held in memory: its parts, their loaders and their fingerprint."""

import hashlib
from typing import ClassVar, Literal

import pytorch_lightning as pl
from torch import Tensor

from gridstorm.data._batches import Batches

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


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
            return self.served(x, y, shuffle)
        if x.nbytes + y.nbytes <= self.device_bytes:
            device = self.trainer.strategy.root_device
            x, y = x.to(device), y.to(device)
        return self.served(x, y, shuffle, self.trainer.global_rank, self.trainer.world_size)

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches of these tensors; subclasses that keep something else than inputs make them here."""
        return Batches(x, y, self.batch_size, self.seed, shuffle, rank, ranks)


def digest(parts: dict[Part, tuple[Tensor, Tensor]]) -> str:
    """SHA-256 over the names, shapes, types and bytes of these tensors."""
    sha = hashlib.sha256()
    for part, tensors in parts.items():
        for tensor in tensors:
            sha.update(f"{part} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            sha.update(tensor.contiguous().numpy().data)
    return sha.hexdigest()
