"""Whether the shapes of the network's predictions, the targets and the loss fit one another."""

import copy
import math
import warnings
from typing import Any

import torch
from lightning_fabric.utilities.data import sized_len
from torch import nn

from gridstorm.config import RunConfig, misshapen
from gridstorm.data import PARTS
from gridstorm.error import Problem, UserError, said
from gridstorm.module import Batch, Module, aligned, counts_steps
from gridstorm.objects.data import first_batch

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def try_one_batch(config: RunConfig, module: Module, data: Any) -> None:
    """Pass the first samples of each part's first batch, and see whether the shapes of what comes out fit.

    What the network raises here it will raise in training too, where it is recorded.

    Raises:
        UserError: They do not, or a parameter group of the optimizer is empty.
    """
    refuse_an_end_before_a_score(config, data)
    refuse_steps_that_cannot_be_counted(config, module, data)
    if module.groups:
        module.parameter_groups()
    key = f"data={config.choices.get('data', config.values['data']['_target_'])}"
    for part in PARTS:
        try:
            batch = first_batch(config, data, part)
        except UserError:
            raise
        except Exception:
            continue  # the training will tell
        if batch is None:
            continue
        if part == "train" and len(batch[0]) == 1:
            refuse_a_single_sample(module.network, batch[0])
        shapes = shapes_of(module, (batch[0][:2], batch[1][:2]))
        if shapes and (wrong := misshapen(module.task, *shapes)):
            fact, remedy = wrong
            raise UserError([Problem(f"loss={config.choices.get('loss')}" if shapes[2] else key, fact, remedy)])
        if shapes and part == "val" and module.watching:
            refuse_metrics_that_do_not_fit(module, batch)


def refuse_metrics_that_do_not_fit(module: Module, batch: Batch) -> None:
    """Refuse a metric that cannot take the predictions and targets, or that gives several numbers.

    Raises:
        UserError: There is one.
    """
    device = next((parameter.device for parameter in module.network.parameters()), torch.device("cpu"))
    if device.type == "meta":  # nothing can be counted there
        return
    with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that a single batch lacks
        logits = copy.deepcopy(module.network).eval()(batch[0].to(device))
        logits, y = aligned(module.task, logits, batch[1].to(device))
        for name, metric in module.collections["val"].items(keep_base=True):
            watched = copy.deepcopy(metric).to(device)
            try:
                watched.update(*module.in_own_unit(logits, y))
                count = watched.compute().numel()
            except Exception as error:
                fact = f"It does not fit what the model predicts: {said(error).rstrip('.')}."
                raise UserError([Problem(f"metric.{name}", fact, "Choose one that fits the task.")]) from error
            if count != 1:
                fact = f"It gives {count} numbers, and a curve has one."
                raise UserError([Problem(f"metric.{name}", fact, "Let it average them, such as average=macro.")])


def refuse_an_end_before_a_score(config: RunConfig, data: Any) -> None:
    """Refuse a run that is to stop within its first epochs, before the validation that gives its score.

    Raises:
        UserError: It would have none.
    """
    trainer, monitor = config.values["trainer"], config.values["monitor"]
    steps, batches = trainer.get("max_steps") or -1, num_batches(config, data)
    inside = trainer.get("val_check_interval") not in (None, 1.0)
    if steps < 0 or inside or batches is None or not monitor.startswith("val/"):
        return
    needed = math.ceil(batches / trainer.get("accumulate_grad_batches", 1)) * (
        trainer.get("check_val_every_n_epoch") or 1
    )
    if steps < needed:
        fact = f"In {steps} steps {monitor} is never measured, which is the run's score: that needs {needed}."
        remedy = f"Give trainer.max_steps={needed} or more, +trainer.val_check_interval={steps}, or monitor=train/loss."
        raise UserError([Problem(f"trainer.max_steps={steps}", fact, remedy)])


def refuse_steps_that_cannot_be_counted(config: RunConfig, module: Module, data: Any) -> None:
    """Refuse a schedule over all steps of a run whose data do not say how many there are.

    Raises:
        UserError: So it is; Lightning would take them for one.
    """
    trainer = config.values["trainer"]
    if (
        counts_steps(module.make_scheduler)
        and num_batches(config, data) is None
        and (trainer.get("max_steps") or -1) < 0
    ):
        fact = "It counts the steps of the whole run, and the data do not say how many batches an epoch has."
        remedy = "Give trainer.limit_train_batches=N or +trainer.max_steps=N, or a scheduler that counts epochs."
        raise UserError([Problem(f"scheduler={config.choices.get('scheduler')}", fact, remedy)])


def num_batches(config: RunConfig, data: Any) -> int | None:
    """Return how many batches an epoch of training has; None where the data do not say."""
    loader, limit = data.train_dataloader(), config.values["trainer"].get("limit_train_batches")
    whole = sized_len(loader)
    if isinstance(limit, int):
        return limit if whole is None else min(whole, limit)
    return None if whole is None else int(whole * (1.0 if limit is None else limit))


def refuse_a_single_sample(network: nn.Module, x: torch.Tensor) -> None:
    """Refuse a batch of one sample where the network cannot be trained with it, as batch normalization cannot.

    Raises:
        UserError: It cannot.
    """
    network = copy.deepcopy(network).train()
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network(x.to(device))
    except ValueError as error:
        fact = f"{type(network).__name__} cannot learn from one sample at a time ({str(error).rstrip('.')})."
        remedy = "Give data.batch_size=2 or more, or a model without batch normalization."
        raise UserError([Problem("data.batch_size=1", fact, remedy)]) from error
    except Exception:
        return  # what else it raises the training will tell


def shapes_of(module: Module, batch: Batch) -> Shapes | None:
    """Return the shapes of a batch's predictions, targets and loss, that of the loss only where the others fit.

    None where the pass cannot be made. Nothing is left of it: neither modes nor random numbers.
    """
    modes = {submodule: submodule.training for submodule in module.network.modules()}
    device = next((parameter.device for parameter in module.network.parameters()), torch.device("cpu"))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training tells the same
            module.network.eval()
            x, y = (tensor.to(device) for tensor in batch)
            logits, y = aligned(module.task, module.network(x), y)
            shapes = tuple(logits.shape), tuple(y.shape)
            return *shapes, () if misshapen(module.task, *shapes, ()) else tuple(module.loss(logits, y).shape)
    except Exception:
        return None
    finally:
        for submodule, training in modes.items():
            submodule.training = training
