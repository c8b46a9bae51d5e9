"""What a run is, before it starts: the hyperparameters that were set, the parameters that training will learn, and
whether the shapes of both and of the data fit.
"""

import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from gridstorm.annotation import shown
from gridstorm.config import Composed, leaves
from gridstorm.data import PARTS
from gridstorm.module import TRANSFER, Batch, Module, aligned, hooks
from gridstorm.refusal import Problem, Refusal
from gridstorm.table import table
from gridstorm.task import misshapen

Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

HIDDEN = ("_target_", "_partial_")


def card(composed: Composed, network: nn.Module) -> str:
    """Return both tables as text; the network may be on the meta device."""
    set_by_you = "Hyperparameters: what you set\n" + table(hyperparameters(composed))
    rows = list(parameters(network))
    total = sum(parameter.numel() for parameter in network.parameters())
    learned = "Parameters: what training learns\n" + table([*rows, ("total", "", "", f"{total:,}")], right=(3,))
    return f"{set_by_you}\n\n{learned}"


def hyperparameters(composed: Composed) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) for each choice and for each value of the recipe."""
    rows = []
    for section, node in composed.recipe.items():
        if section in composed.choices:
            origin = composed.origins.get(f"{section}._target_", "default")
            rows.append((section, composed.choices[section], origin))
        for key, value in leaves(node, section):
            if key.rpartition(".")[2] not in HIDDEN:
                rows.append((key, shown(value), composed.origins.get(key, "default")))
    return rows


def parameters(network: nn.Module) -> Iterable[tuple[str, str, str, str]]:
    """Yield (layer, W and its shape, b and its shape, count) for every layer that has parameters of its own."""
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own:
            weights = [
                f"{_letter(key)} {'x'.join(map(str, p.shape))}" for key, p in own.items() if not key.endswith("bias")
            ]
            biases = [f"b {'x'.join(map(str, p.shape))}" for key, p in own.items() if key.endswith("bias")]
            count = sum(parameter.numel() for parameter in own.values())
            yield f"{name or 'network'} ({type(module).__name__})", " ".join(weights), " ".join(biases), f"{count:,}"


def _letter(name: str) -> str:
    return "W" if name.endswith("weight") else name


def try_one_batch(composed: Composed, module: Module, data: Any) -> None:
    """Pass the first samples of each part's first batch, and see whether the shapes of what comes out fit.

    What the network raises here it will raise in training too, where it is recorded.

    Raises:
        Refusal: They do not.
    """
    key = f"data={composed.choices.get('data', composed.config['data']['_target_'])}"
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
            raise Refusal([Problem(key, fact, "Let its loaders yield (x, y).")])
        shapes = shapes_of(module, (batch[0][:2], batch[1][:2]))
        if shapes and (wrong := misshapen(module.task, *shapes)):
            fact, remedy = wrong
            raise Refusal([Problem(f"loss={composed.choices.get('loss')}" if shapes[2] else key, fact, remedy)])


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
