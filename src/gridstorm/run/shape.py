"""Whether the shapes of the network's predictions, the targets and the loss fit one another."""

import copy
import warnings
from contextlib import suppress
from typing import Any

import torch

from gridstorm.config import RunConfig, misshapen
from gridstorm.data import PARTS
from gridstorm.error import Problem, UserError
from gridstorm.run.lightning import TRANSFER, hooks
from gridstorm.run.metric import Batch, aligned
from gridstorm.run.module import Module

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def try_one_batch(config: RunConfig, module: Module, data: Any) -> None:
    """Pass the first samples of each part's first batch, and see whether the shapes of what comes out fit.

    What the network raises here it will raise in training too, where it is recorded.

    Raises:
        UserError: They do not.
    """
    key = f"data={config.choices.get('data', config.values['data']['_target_'])}"
    for part in PARTS:
        batch = None
        with suppress(Exception), torch.random.fork_rng(devices=[]):  # what raises here the training will tell
            batch = next(iter(getattr(data, f"{part}_dataloader")()), None)
            if batch is not None and hooks(data, TRANSFER):
                batch = data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)
        if batch is None:
            continue
        pair = (
            isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(one, torch.Tensor) for one in batch)
        )
        if not pair or not batch[0].dim() or not batch[1].dim() or len(batch[0]) != len(batch[1]):
            fact = f"A batch of the {part} part is not two tensors, x and y, of as many samples each."
            raise UserError([Problem(key, fact, "Let its loaders yield (x, y).")])
        if part == "train" and len(batch[0]) == 1:
            refuse_a_single_sample(module, batch[0])
        shapes = shapes_of(module, (batch[0][:2], batch[1][:2]))
        if shapes and (wrong := misshapen(module.task, *shapes)):
            fact, remedy = wrong
            raise UserError([Problem(f"loss={config.choices.get('loss')}" if shapes[2] else key, fact, remedy)])


def refuse_a_single_sample(module: Module, x: torch.Tensor) -> None:
    """Refuse a batch of one sample where the network cannot be trained with it, as batch normalization cannot.

    Raises:
        UserError: It cannot.
    """
    network = copy.deepcopy(module.network).train()
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
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
    modes = {one: one.training for one in module.network.modules()}
    device = next((one.device for one in module.network.parameters()), torch.device("cpu"))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training tells the same
            module.network.eval()
            x, y = (one.to(device) for one in batch)
            logits, y = aligned(module.network(x), y)
            shapes = tuple(logits.shape), tuple(y.shape)
            return *shapes, () if misshapen(module.task, *shapes, ()) else tuple(module.loss(logits, y).shape)
    except Exception:
        return None
    finally:
        for one, training in modes.items():
            one.training = training
