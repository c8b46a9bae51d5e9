"""Networks of one shape as stacked tensors: what is trained is a row of a flat tensor for each of them.

A row is what the optimizer steps: one tensor instead of one for every layer, in a parameter group of its own, so that
any elementwise optimizer of torch takes its own learning rate, decay and momentum for it, and any scheduler sets them.
"""

import inspect
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gridstorm.module import Module


@dataclass(frozen=True)
class Slot:
    """Where a parameter is.

    Args:
        name: Its name in a checkpoint.
        number: Its number in the optimizer's state of a run alone.
        group: Its parameter group.
        start: Its first column within the group's.
        shape: Its shape.
    """

    name: str
    number: int
    group: int
    start: int
    shape: torch.Size

    def cut(self, columns: Tensor) -> Tensor:
        """Return the parameter as a view of its group's columns: [..., n] to [..., *shape]."""
        part = columns.narrow(-1, self.start, self.shape.numel())
        return part.view(*columns.shape[:-1], *self.shape)


class Stack:
    """The tensors of K runs.

    Args:
        modules: The runs' modules; their networks become views of the stack.
        unused: Names of parameters that no gradient reaches: no optimizer touches them.

    Attributes:
        flat: All that is trained [K, N].
        gradients: Of the same shape.
        leaves: Each trained parameter [K, *shape] by name, a view of `flat`.
        rest: Every other tensor of the modules [K, *shape] by name: buffers, and parameters that are not trained.

    Raises:
        ValueError: The modules differ in more than numbers, or their parameters have several types.
    """

    def __init__(self, modules: Sequence[Module], unused: Collection[str] = ()) -> None:
        self.modules = [*modules]
        self.slots, self.sizes, self.numbers = _layout(modules[0], unused)
        tensors = [_tensors(module) for module in modules]
        shapes = {tuple((name, tensor.shape, tensor.dtype) for name, tensor in network.items()) for network in tensors}
        trained = {slot.name for slot in self.slots}
        if len(shapes) > 1 or len({tensors[0][name].dtype for name in trained}) > 1:
            raise ValueError("The parameters of the networks differ in shape or type.")
        rows = [torch.cat([network[slot.name].detach().flatten() for slot in self.slots]) for network in tensors]
        self.flat = torch.stack(rows)
        self.gradients = torch.zeros_like(self.flat)
        self.frozen = {
            name: torch.stack([network[name].detach() for network in tensors])
            for name in tensors[0]
            if name not in trained
        }
        self.rows = [[nn.Parameter(part) for part in torch.split(row, self.sizes)] for row in self.flat]
        self._view()

    def _view(self) -> None:
        """Make everything a view of the stacked tensors."""
        columns, gradient_views = (torch.split(tensor, self.sizes, 1) for tensor in (self.flat, self.gradients))
        self.parameters = {slot.name: slot.cut(columns[slot.group]).detach().requires_grad_() for slot in self.slots}
        self.gradient_views = [slot.cut(gradient_views[slot.group]) for slot in self.slots]
        for number, (module, row) in enumerate(zip(self.modules, self.rows, strict=True)):
            for part, data, slope in zip(row, columns, gradient_views, strict=True):
                part.data, part.grad = data[number], slope[number]
            own = _tensors(module)
            for name, tensor in chain(self.parameters.items(), self.frozen.items()):
                own[name].data = tensor.detach()[number]

    @property
    def named_gradients(self) -> dict[str, Tensor]:
        """The gradients of each trained parameter [K, *shape] by name."""
        return {slot.name: view for slot, view in zip(self.slots, self.gradient_views, strict=True)}

    def keep(self, numbers: Sequence[int]) -> None:
        """Go on with these of the runs alone."""
        self.modules = [self.modules[number] for number in numbers]
        self.rows = [self.rows[number] for number in numbers]
        self.flat, self.gradients = self.flat[numbers], self.gradients[numbers]
        self.frozen = {name: tensor[numbers] for name, tensor in self.frozen.items()}
        self._view()

    def groups(self, number: int) -> list[dict[str, Any]]:
        """Return the parameter groups of a run's optimizer."""
        alone = self.modules[number].parameter_groups()
        return [{**group, "params": [part]} for group, part in zip(alone, self.rows[number], strict=True)]

    def state(self, number: int) -> dict[str, Tensor]:
        """Return a copy of a run's tensors, named as in its checkpoint."""
        columns = torch.split(self.flat[number].clone(), self.sizes)
        own = {slot.name: slot.cut(columns[slot.group]) for slot in self.slots}
        names = self.modules[number].state_dict(keep_vars=True)
        return {name: own[name] if name in own else self.frozen[name][number].clone() for name in names}

    def to_run_state(self, optimizer: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state of a row's optimizer as that of a run alone, whose every parameter has one.

        Args:
            optimizer: What its `state_dict` returns.
            flags: What its groups say in a run alone, such as `fused`.
        """
        state = {}
        for slot in self.slots:
            of_row = optimizer["state"].get(slot.group, {})
            own = {
                # A copy of what the parameters share: loaded as one tensor, it would count each of them as a step.
                key: slot.cut(value) if _is_row(value, self.sizes[slot.group]) else copied(value)
                for key, value in of_row.items()
            }
            if own:
                state[slot.number] = own
        groups = [
            {**group, **flags, "params": numbers}
            for group, numbers in zip(optimizer["param_groups"], self.numbers, strict=True)
        ]
        return {"state": state, "param_groups": groups}

    def to_row_state(self, saved: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
        """Return the optimizer's state of a run alone as that of its row: the other way round."""
        state: dict[int, dict[str, Any]] = {}
        for group in range(len(self.sizes)):
            slots = [slot for slot in self.slots if slot.group == group]
            owns = [saved["state"].get(slot.number, {}) for slot in slots]
            for key, value in owns[0].items():
                values = [own[key] for own in owns]
                fits = all(getattr(own, "shape", None) == slot.shape for own, slot in zip(values, slots, strict=True))
                merged = torch.cat([own.flatten() for own in values]) if fits and _any_dim(slots) else copied(value)
                state.setdefault(group, {})[key] = merged
        groups = [{**group, **flags, "params": [number]} for number, group in enumerate(saved["param_groups"])]
        return {"state": state, "param_groups": groups}


def merged(optimizers: Sequence[Optimizer]) -> Optimizer:
    """Return one optimizer that steps all their groups; its groups and state are shared with theirs, not copied."""
    first = optimizers[0]
    whole: Optimizer = type(first).__new__(type(first))
    # The step that a scheduler put around the first optimizer's is that optimizer's alone.
    whole.__dict__.update({name: value for name, value in vars(first).items() if name != "step"})
    whole.state = defaultdict(dict)
    adopt_groups(whole, optimizers)
    return whole


def adopt_groups(whole: Optimizer, optimizers: Sequence[Optimizer]) -> None:
    """Let `whole` step these optimizers' groups."""
    whole.param_groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    whole.state.clear()
    for optimizer in optimizers:
        for part in (part for group in optimizer.param_groups for part in group["params"]):
            whole.state[part] = optimizer.state[part]


def fast(optimizer: Any, tensor: Tensor) -> dict[str, bool]:
    """Return the flag that asks an optimizer (a partial) for its fused step, if it has one and was asked nothing."""
    takes = inspect.signature(optimizer.func).parameters
    asked = any(optimizer.keywords.get(name) for name in ("fused", "foreach", "differentiable", "capturable"))
    supported = tensor.device.type in ("cpu", "cuda", "mps", "xpu") and tensor.is_floating_point()
    return {"fused": True} if "fused" in takes and supported and not asked else {}


def _layout(module: Module, unused: Collection[str]) -> tuple[list[Slot], list[int], list[list[int]]]:
    """Return the place of each trained parameter, the columns of each group, and its parameters' numbers alone."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    slots, sizes, numbers, count = [], [], [], 0
    for group, entry in enumerate(module.parameter_groups()):
        start, first = 0, count
        for parameter in entry["params"]:
            if names[id(parameter)] not in unused:
                slots.append(Slot(names[id(parameter)], count, group, start, parameter.shape))
                start += parameter.numel()
            count += 1
        sizes.append(start)
        numbers.append([*range(first, count)])
    return slots, sizes, numbers


def _tensors(module: Module) -> dict[str, Tensor]:
    return dict(chain(module.named_parameters(), module.named_buffers()))


def _is_row(value: Any, size: int) -> bool:
    return isinstance(value, Tensor) and value.shape == (size,)


def _any_dim(slots: Sequence[Slot]) -> bool:
    return any(len(slot.shape) for slot in slots)


def copied(value: Any) -> Any:
    """Return a copy of a tensor, and anything else as it is."""
    return value.clone() if isinstance(value, Tensor) else value
