"""Data sets of your own, in DataLoaders: whatever is a Dataset or an IterableDataset."""

import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, SequentialSampler, get_worker_info

LARGEST = 2**32


class Order(Sampler[int]):
    """The numbers of all samples in an order that (seed, epoch) alone decides."""

    def __init__(self, dataset: Sized, seed: int, epoch: torch.Tensor) -> None:
        """Take the data set, the seed, and the epoch [1]."""
        self.dataset, self.seed, self.epoch = dataset, seed, epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(mixed(self.seed, int(self.epoch)))
        yield from torch.randperm(len(self), generator=generator).tolist()


class Passes(Sampler[tuple[int, int]]):
    """The numbers of a sampler, each with the seed of the pass: so workers that live on are seeded for each of them.

    torch seeds a worker only where it starts, and a worker may still read ahead in one pass when the next one begins.
    """

    def __init__(self, sampler: Any, seed: int, epoch: torch.Tensor) -> None:
        """Take the sampler, the seed, and the epoch [1]."""
        self.sampler, self.seed, self.epoch, self.count = sampler, seed, epoch, 0

    def set_epoch(self, epoch: int) -> None:
        """Hand on what Lightning tells."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.count += 1
        turn = self.count * LARGEST + mixed(self.seed, int(self.epoch))
        for number in self.sampler:
            yield number, turn


class Seeded(Dataset[Any]):
    """A data set in a worker, which draws by (seed, epoch, worker), or with `each` by (seed, epoch, sample)."""

    def __init__(self, dataset: Any, each: bool = False) -> None:
        self.dataset, self.each = dataset, each
        self._turn: int | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[self._number(index)]

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # it is not there yet, while a worker unpickles this
            raise AttributeError(name)
        inner = getattr(self.dataset, name)  # such as classes
        if name == "__getitems__" and self.each:
            raise AttributeError(name)  # one by one, each with its own random numbers
        if name == "__getitems__":  # which reads a batch's samples at once
            return lambda indices: inner([self._number(index) for index in indices])
        return inner

    def _number(self, index: Any) -> Any:
        """Return the number of a sample, and seed the worker where this is the first one of a pass."""
        if not isinstance(index, tuple):
            return index
        number, turn = index
        if self.each and isinstance(number, int):  # a pass that is begun within has not drawn what came before
            seed_worker(mixed(turn % LARGEST, number), of_worker=False)
        elif turn != self._turn:
            self._turn = turn
            seed_worker(turn % LARGEST)
        return number


class SeededStream(IterableDataset[Any]):
    """A stream in a worker, which draws by (seed, epoch, worker); it begins anew in each pass."""

    def __init__(self, dataset: Any, seed: int, epoch: torch.Tensor) -> None:
        """Take the stream, the seed, and the epoch [1] in memory that workers share."""
        self.dataset, self.seed, self.epoch = dataset, seed, epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        seed_worker(mixed(self.seed, int(self.epoch)))
        yield from self.dataset

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # it is not there yet, while a worker unpickles this
            raise AttributeError(name)
        return getattr(self.dataset, name)


def seed_worker(seed: int, of_worker: bool = True) -> None:
    """Seed torch, NumPy and `random` in a worker; the process of the run is seeded already."""
    if worker := get_worker_info():
        seed = mixed(seed, worker.id + 1) if of_worker else seed
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)


class Loaders(pl.LightningDataModule):
    """DataLoaders of data sets of your own.

    What is learned, shapes and classes are taken from the first batch where the training set does not say them.

    Args:
        train: A Dataset, or an IterableDataset, which need not have a length and is split among workers by itself.
        val: Of the same kind.
        test: Of the same kind, or null.
        batch_size: Samples of a batch; null where the data sets yield batches.
        num_workers: Processes that read; 0 reads where the run trains.
        pin_memory: Whether batches are put where a GPU copies them from at once.
        persistent_workers: Whether workers live on from epoch to epoch.
        prefetch_factor: Batches that each worker reads ahead; null is torch's 2.
        drop_last: Whether training leaves out a last batch that is smaller.
        collate_fn: Makes a batch of a list of samples.
        sampler: Makes of the training set what yields the numbers of the samples; null shuffles them. One with
            `set_epoch` is told each epoch.
        stateful: Whether loaders are torchdata's StatefulDataLoader, so that a run that is saved within an epoch
            (`callbacks.checkpoint.every_n_steps`) goes on there. Workers then draw by sample.
        seed: Of the order of the training samples, and of what workers draw.
    """

    def __init__(
        self,
        train: Iterable[Any],
        val: Iterable[Any],
        test: Iterable[Any] | None = None,
        batch_size: int | None = 64,
        num_workers: int = 0,
        pin_memory: bool = False,
        persistent_workers: bool = False,
        prefetch_factor: int | None = None,
        drop_last: bool = False,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        sampler: Callable[[Any], Iterable[int]] | None = None,
        stateful: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not num_workers and (persistent_workers or prefetch_factor is not None):
            raise ValueError(
                "data.persistent_workers and data.prefetch_factor are of workers, and data.num_workers is 0. "
                "Give data.num_workers=2, or leave them out."
            )
        if batch_size is None and drop_last:
            raise ValueError(
                "data.drop_last is of batches, and data.batch_size is null. Give a number, or leave it out."
            )
        if sampler is not None and isinstance(train, IterableDataset):
            raise ValueError("data.sampler chooses among samples with numbers, and a stream has none. Leave it out.")
        if stateful and find_spec("torchdata") is None:
            raise ValueError("data.stateful=true needs a package that is not installed. Run: pip install torchdata")
        self.stateful, self.order = stateful, cast(Any, None)
        self.sets = {"train": train, "val": val, "test": test}
        self.sampler, self.seed, self.drop_last, self.num_workers = sampler, seed, drop_last, num_workers
        self.settings: dict[str, Any] = {
            "batch_size": batch_size,
            "num_workers": num_workers,
            "pin_memory": pin_memory,
            "persistent_workers": persistent_workers,
            "prefetch_factor": prefetch_factor,
            "collate_fn": collate_fn,
        }
        self.epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        if test is None:
            self.test_dataloader = super().test_dataloader  # type: ignore[method-assign]  # so there is no test

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch and what workers draw in it, whatever was iterated before."""
        self.epoch.fill_(epoch)
        if hasattr(self.order, "set_epoch"):
            self.order.set_epoch(epoch)

    def train_dataloader(self) -> DataLoader[Any]:
        """The training batches: shuffled anew in every epoch, or as the sampler or the stream has them."""
        dataset: Any = self.sets["train"]
        if isinstance(dataset, IterableDataset) or getattr(self.trainer, "overfit_batches", None):
            return self._loader("train")
        self.order = self.sampler(dataset) if self.sampler else Order(dataset, self.seed, self.epoch)
        return self._loader("train", self.order)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation batches, always in the same order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test batches, always in the same order."""
        return self._loader("test")

    def _loader(self, part: str, order: Any = None) -> DataLoader[Any]:
        dataset: Any = self.sets[part]
        settings = {**self.settings, "drop_last": self.drop_last and part == "train"}
        loader = _stateful() if self.stateful and part == "train" else DataLoader
        if isinstance(dataset, IterableDataset):
            return loader(SeededStream(dataset, self.seed, self.epoch) if self.num_workers else dataset, **settings)
        if self.num_workers:
            order = Passes(order or SequentialSampler(dataset), self.seed, self.epoch)
            dataset = Seeded(dataset, each=self.stateful)
        return loader(dataset, sampler=order, **settings)


def _stateful() -> Any:
    """Return torchdata's loader, which knows where it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's, which it calls as it is imported
        from torchdata.stateful_dataloader import StatefulDataLoader
    return StatefulDataLoader


def mixed(*numbers: int) -> int:
    """A seed that differs wherever one of these numbers does; torch's CPU generator reads 32 bits of it."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number) % LARGEST
    return seed
