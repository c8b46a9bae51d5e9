"""Networks of one shape as one function of their batches (as in torch.func's model ensembling): one pass for all."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gridstorm.fusion.randomness import Rates, Streams
from gridstorm.fusion.stack import Stack
from gridstorm.module import Batch, Module, batch_metrics, forward_loss, is_plain

Numbers = dict[tuple[str, str], list[float]]  # (module, attribute): the networks' values [K], where they differ


class Pass(nn.Module):
    """A network with its loss: what is asked for a batch. Its tensors are named as in a checkpoint."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.network, self.loss, self.task = copy.deepcopy(module.network), copy.deepcopy(module.loss), module.task
        self.watching = module.watching

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the loss, what the batch adds to the task's metrics, and in validation what others are to see."""
        loss, logits, y = forward_loss(self.network, self.loss, (x, y), self.task)
        seen = (logits.detach(), y) if self.watching and not self.training else ()
        return loss, batch_metrics(self.task, logits.detach(), y, loss.detach(), is_plain(self.loss)), seen


class Ensemble:
    """K networks.

    Args:
        modules: Theirs; what differs between them are weights, dropout rates, numbers of the loss and seeds.
        sources: Which of the distinct batches each of them sees [K].

    Attributes:
        whole: The function; decides the device, the precision and the mode (training or not).
        stack: Their tensors, after `build`.
        last: Predictions and targets [K, ...] of the last batch of a validation, where metrics are to see them.

    Raises:
        ValueError: They differ in something else.
    """

    stack: Stack
    last: tuple[Tensor, ...] = ()

    def __init__(self, modules: Sequence[Module], sources: Sequence[int]) -> None:
        self.modules, self.sources = [*modules], [*sources]
        self.whole = Pass(modules[0])
        self.rates = differing([module.network for module in modules])
        self.numbers = differing([module.loss for module in modules])
        self.buffers = [name for name, _ in self.whole.named_buffers()]

    @property
    def like(self) -> Tensor:
        """A tensor that has the device and the precision of all."""
        return next(self.whole.parameters())

    def build(self, batch: Batch) -> None:
        """Stack the tensors; `batch` is one of x [S, B, ...] and y [S, B, ...]."""
        self.stack = Stack(self.modules, self._unused(batch))
        self._arrange()

    def _unused(self, batch: Batch) -> list[str]:
        """Return the names of the parameters that no gradient reaches."""
        probe = copy.deepcopy(self.whole)
        named = {name: parameter for name, parameter in probe.named_parameters() if parameter.requires_grad}
        x, y = (part[0].to(self.like.device, self.like.dtype if part.is_floating_point() else None) for part in batch)
        gradients = torch.autograd.grad(probe(x, y)[0], [*named.values()], allow_unused=True)
        return [name for name, gradient in zip(named, gradients, strict=True) if gradient is None]

    def keep(self, numbers: Sequence[int]) -> None:
        """Go on with these networks alone."""
        for values in (self.modules, self.sources, *self.rates.values(), *self.numbers.values()):
            values[:] = [values[number] for number in numbers]  # type: ignore[index]
        self.stack.keep(numbers)
        self._arrange()

    def _arrange(self) -> None:
        """Make what follows from who is there."""
        like = self.stack.flat
        seeds = [module.seed for module in self.modules]
        self.streams = Streams([*zip(seeds, *self.rates.values(), strict=True)], like.device)
        for (path, name), values in self.rates.items():
            setattr(self.whole.network.get_submodule(path), name, Rates(values))
        self.tensors = tuple(like.new_tensor(values) for values in self.numbers.values())
        self.l1 = like.new_tensor([module.l1 for module in self.modules])
        self.penalized = [
            name for name, parameter in self.modules[0].named_parameters() if self._is_penalized(parameter)
        ]
        self.source = torch.tensor(self.sources, device=like.device)

    def _is_penalized(self, parameter: Tensor) -> bool:
        return any(parameter is penalized for penalized in self.modules[0].l1_parameters)

    def __call__(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Pass a batch through the networks.

        Args:
            batch: x [S, B, ...] and y [S, B, ...] of the S sources.

        Returns:
            The losses [K] and what the batch adds to the metrics, each [K].
        """
        x, y = batch
        dim = None if len(x) == 1 else 0
        if dim is None:
            x, y = x[0], y[0]
        elif self.sources != [*range(len(x))]:
            x, y = x.index_select(0, self.source), y.index_select(0, self.source)
        stacked = vmap(self._one, in_dims=(0, 0, 0, 0, dim, dim))
        losses, values, buffers, self.last = stacked(
            self.stack.parameters, self.stack.frozen, self.tensors, self.streams.every, x, y
        )
        for name, buffer in buffers.items():
            if (
                buffer.data_ptr() != self.stack.frozen[name].data_ptr()
            ):  # a new tensor, not the old one changed in place
                self.stack.frozen[name].copy_(buffer)
        return losses, values

    def _one(self, parameters: Any, frozen: Any, numbers: Any, stream: Tensor, x: Tensor, y: Tensor) -> Any:
        """Pass the batch of one network through it; under `vmap` this is all of them."""
        for (path, name), value in zip(self.numbers, numbers, strict=True):
            setattr(self.whole.loss.get_submodule(path), name, value)
        tensors = {**parameters, **frozen}
        self.streams.mine = stream
        with self.streams:
            loss, values, seen = functional_call(self.whole, tensors, (x, y))
        return loss, values, {name: tensors[name] for name in self.buffers}, seen

    def penalty(self) -> Tensor | float:
        """Return the sum of the networks' L1 penalties."""
        if not any(module.l1 for module in self.modules):
            return 0.0
        tensors = {**self.stack.frozen, **self.stack.parameters}
        sums = [tensors[name].abs().flatten(1).sum(1) for name in self.penalized]
        return (self.l1 * torch.stack(sums).sum(0)).sum()


def differing(modules: Sequence[nn.Module]) -> Numbers:
    """Return the numbers in which modules of one shape differ.

    Raises:
        ValueError: They differ in something else.
    """
    numbers: Numbers = {}
    for path, first in modules[0].named_modules():
        own = [vars(module.get_submodule(path)) for module in modules]
        for name, value in vars(first).items():
            values = [keywords.get(name) for keywords in own]
            if isinstance(value, bool | int | float | str) and any(other != value for other in values):
                if not all(isinstance(item, float | int) and not isinstance(item, bool) for item in values):
                    raise ValueError(f"The networks differ in {path}.{name}, which is no number.")
                numbers[path, name] = values  # type: ignore[assignment]
    return numbers
