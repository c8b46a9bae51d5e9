"""Which configurations can be one group, told without torch."""

import subprocess
import sys

import pytest

from composing import composed
from gridstorm.sweeper.grouping import key, why_not

TOGETHER = {
    "the learning rate": ("optimizer.lr=0.1",),
    "any number of the optimizer": ("optimizer.betas=[0.8,0.9]", "optimizer.weight_decay=0.1", "optimizer.eps=1"),
    "the seed": ("seed=3",),
    "dropout": ("model.dropout=0.5",),
    "label smoothing": ("loss.label_smoothing=0.1",),
    "l1": ("regularization.l1=0.1",),
    "what the run is called": ("name=other", "output_dir=elsewhere", "callbacks=default"),
}
APART = {
    "the width": ("model.width=64",),
    "the batch size": ("data.batch_size=32",),
    "the split": ("data.split_seed=1",),
    "the class of the optimizer": ("optimizer=sgd",),
    "the class of the scheduler": ("scheduler=cosine",),
    "the number of epochs": ("trainer.max_epochs=3",),
    "the precision": ("trainer.precision=64-true",),
    "the score": ("monitor=val/accuracy", "mode=max"),
    "early stopping": ("callbacks=early_stopping",),
    "the loss": ("loss=focal",),
    "what is decayed": ("regularization.skip_norm_and_bias=true",),
}
ALONE = {
    "LBFGS": ("optimizer._target_=torch.optim.LBFGS", "~optimizer.betas", "~optimizer.eps", "~optimizer.weight_decay"),
    "strategy": ("trainer=ddp",),
    "precision": ("trainer.precision=bf16-mixed",),
    "max_time": ("+trainer.max_time=00:01:00:00",),
    "val_check_interval": ("+trainer.val_check_interval=0.5",),
    "callbacks.mine": ("+callbacks.mine._target_=pytorch_lightning.callbacks.LearningRateMonitor",),
    "logger": ("logger=csv",),
    "trainer.profiler": ("+trainer.profiler=simple",),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_runs_that_differ_in_numbers_are_one_group(what: str) -> None:
    assert key(composed(*TOGETHER[what])) == key(composed())


@pytest.mark.parametrize("what", APART)
def test_runs_that_differ_in_more_are_not(what: str) -> None:
    assert key(composed(*APART[what])) != key(composed())


def test_the_numbers_of_early_stopping_may_differ_and_a_bar_does_not_matter() -> None:
    one, two = (
        composed("callbacks=early_stopping", f"callbacks.early_stopping.patience={number}") for number in (1, 2)
    )
    assert key(one) == key(two)
    assert key(composed("~callbacks.progress_bar")) == key(composed())


@pytest.mark.parametrize("scheduler", ["cosine", "exponential", "one_cycle", "plateau", "step", "warmup_cosine"])
def test_nothing_speaks_against_a_group_of_what_is_in_our_choices(scheduler: str) -> None:
    assert why_not(composed(f"scheduler={scheduler}", "callbacks=early_stopping")) is None


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "adamw", "nadam", "rmsprop", "sgd"])
def test_every_optimizer_of_ours_treats_each_weight_by_itself(optimizer: str) -> None:
    assert why_not(composed(f"optimizer={optimizer}")) is None


@pytest.mark.parametrize("word", ALONE)
def test_what_cannot_be_in_a_group_is_told_with_its_reason(word: str) -> None:
    reason = why_not(composed(*ALONE[word]))
    assert reason is not None
    assert word in reason


def test_grouping_loads_no_torch() -> None:
    check = (
        "import gridstorm.sweeper.grouping, sys; assert not {'torch', 'optuna', 'pytorch_lightning'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
