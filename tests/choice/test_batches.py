"""The order of the batches, on its own and under a trainer."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from gridstorm.data import Batches, InMemory
from gridstorm.data.diabetes import Diabetes
from gridstorm.objects.warning import quiet as silence

# Lightning 2.6 asks torch 2.13 in a way that the latter wants to drop.
lightning = pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")


class Recorder(pl.LightningModule):
    """A model that remembers the batches it was trained on, epoch by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: list[list[float]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        self.seen[-1] += batch[0].flatten().tolist()
        loss: Tensor = self.layer(batch[0].flatten(1)[:, :1]).mean()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.layer(batch[0].flatten(1)[:, :1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trained(data: InMemory, **arguments: Any) -> Recorder:
    """A recorder after two epochs of a real trainer."""
    model = Recorder()
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    with silence():
        pl.Trainer(accelerator="cpu", max_epochs=2, **quiet, **arguments).fit(model, datamodule=data)
    return model


def numbers(num: int, **arguments: Any) -> Batches:
    """Batches of the numbers from 0, as x and as y."""
    return Batches(torch.arange(num), torch.arange(num), **arguments)


def order(batches: Batches) -> list[int]:
    return [int(number) for x, _ in batches for number in x]


def sizes(batches: Batches) -> list[int]:
    return [len(x) for x, _ in batches]


def test_an_epoch_holds_every_sample_once_and_x_stays_with_y() -> None:
    batches = numbers(300, batch_size=4, shuffle=True)
    assert sorted(order(batches)) == list(range(300))
    assert all(torch.equal(x, y) for x, y in batches)
    assert len(batches) == len(list(batches)) == 75


def test_the_order_of_an_epoch_depends_on_the_seed_and_the_epoch_alone() -> None:
    fresh, used = numbers(50, batch_size=8, shuffle=True), numbers(50, batch_size=8, shuffle=True)
    torch.manual_seed(1)
    first = order(used)
    torch.manual_seed(2)
    assert order(used) == first
    for batches in (fresh, used):
        batches.set_epoch(3)
    assert order(fresh) == order(used) != first


def test_the_order_leaves_the_global_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    order(numbers(50, batch_size=8, shuffle=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_every_seed_and_epoch_has_an_order_of_its_own() -> None:
    orders = set()
    for seed in (0, 1, 2, 2**31, 2**32 - 1):
        batches = numbers(50, batch_size=8, seed=seed, shuffle=True)
        for epoch in range(20):
            batches.set_epoch(epoch)
            orders.add(tuple(order(batches)))
    assert len(orders) == 100


def test_the_last_training_batch_may_be_smaller_but_not_a_single_sample() -> None:
    assert sizes(numbers(18, batch_size=8, shuffle=True)) == [8, 8, 2]
    assert sizes(numbers(17, batch_size=8, shuffle=True)) == [8, 8]
    assert sizes(numbers(17, batch_size=8)) == [8, 8, 1]
    assert sizes(numbers(3, batch_size=1, shuffle=True)) == [1, 1, 1]
    assert sizes(numbers(1, batch_size=8, shuffle=True)) == [1]


def test_a_batch_larger_than_the_data_is_one_batch() -> None:
    assert sizes(numbers(5, batch_size=1000, shuffle=True)) == [5]


@pytest.mark.parametrize("num", [64, 65, 66, 67, 100])
def test_ranks_train_on_different_samples_and_equally_many_batches(num: int) -> None:
    ranks = [numbers(num, batch_size=8, shuffle=True, rank=rank, ranks=4) for rank in range(4)]
    assert len({len(batches) for batches in ranks}) == 1
    assert len({tuple(sizes(batches)) for batches in ranks}) == 1
    seen = [number for batches in ranks for number in order(batches)]
    assert len(seen) == len(set(seen)) >= num - 7


def test_ranks_evaluate_every_sample_once() -> None:
    ranks = [numbers(67, batch_size=8, rank=rank, ranks=4) for rank in range(4)]
    assert sorted(number for batches in ranks for number in order(batches)) == list(range(67))


@lightning
def test_a_trainer_shuffles_anew_in_every_epoch() -> None:
    model = trained(Diabetes(batch_size=16), limit_val_batches=0)
    batches = Diabetes(batch_size=16).batches("train", shuffle=True)
    for epoch, seen in enumerate(model.seen):
        batches.set_epoch(epoch)
        assert seen == [value for x, _ in batches for value in x.flatten().tolist()]
    assert model.seen[0] != model.seen[1]


@lightning
def test_overfitting_trains_on_the_same_batches_in_every_epoch() -> None:
    model = trained(Diabetes(batch_size=16), overfit_batches=3)
    assert model.seen[0] == model.seen[1]
    assert len(model.seen[0]) == 3 * 16 * 10
