"""What a call means when many runs make it at once: each draws what it would draw alone.

Alone, a run seeds torch's generator at every epoch and its dropout layers draw from it one after another. In a stack
each run has a stream of its own, drawn in that order, and `torch.func.vmap` is handed what was drawn.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gridstorm.fusion.functorch import outside, stacking
from gridstorm.fusion.operator import RULES

# These multiply their input with what they make of ones: what is drawn is the same for every run of a stream.
DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, torch.dropout, torch.feature_dropout}
RANDOM = {
    F.alpha_dropout, F.feature_alpha_dropout, F.gumbel_softmax, F.rrelu, torch.rand, torch.randn, torch.randint,
    torch.randperm, torch.rand_like, torch.randn_like, torch.randint_like, torch.bernoulli, torch.normal,
    torch.multinomial, torch.poisson,
}  # fmt: skip


class Rates(tuple[float, ...]):
    """A dropout rate that differs between runs [K]; whatever else a network does with one is a TypeError."""


class Streams(TorchFunctionMode):
    """Within it, what K runs draw in a pass under `vmap` is what each would draw alone.

    Args:
        keys: One for each run [K]. Runs with the same key draw the same: they share a stream.
        device: Where they train; its default generator is seeded beside the CPU's.
    """

    def __init__(self, keys: Sequence[Hashable], device: torch.device) -> None:
        super().__init__()
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.stream = [numbers[key] for key in keys]
        self.firsts = [self.stream.index(number) for number in range(len(numbers))]  # a run of each stream
        self.every = torch.tensor(self.stream, device=device)
        self.mine = self.every  # within a pass: the stream of one run, a scalar
        self.generators = [torch.default_generator]
        if device.type == "cuda":
            self.generators.append(torch.cuda.default_generators[device.index or 0])
        self.states: list[list[Tensor]] = [[] for _ in numbers]

    def seed(self, seeds: Sequence[int]) -> None:
        """Begin each run's stream anew; `seeds` has one for each run [K]."""
        for number, first in enumerate(self.firsts):
            for generator in self.generators:
                generator.manual_seed(seeds[first])
            self.states[number] = self._taken()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call `func`, for every run with its own stream where it draws, else by its rule if it has one."""
        keywords = dict(kwargs or {})
        if func in DROPOUTS:
            return self._drop(func, *args, **keywords)
        if func in RANDOM:
            return self._each(func, args, keywords)
        if func is F.scaled_dot_product_attention and (keywords.get("dropout_p") or len(args) > 4):
            return self._each(func, args, keywords)
        return (RULES.get(func, func) if stacking() else func)(*args, **keywords)

    def _drop(self, func: Any, input: Tensor, p: Any = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        rates = p if isinstance(p, Rates) else [p] * len(self.stream)
        if not training or not any(rates):
            return input

        def masks(every: Tensor) -> Tensor:
            ones = torch.ones(shape, dtype=dtype, device=every.device)
            drawn = [self._drawn(number, func, ones, rates[first], True) for number, first in enumerate(self.firsts)]
            return torch.stack(drawn)[every]

        shape, dtype = input.shape, input.dtype
        mask = outside(masks, self.mine)
        return input.mul_(mask) if inplace else input * mask

    def _each(self, func: Any, args: Sequence[Any], keywords: Mapping[str, Any]) -> Tensor:
        """Call `func` run by run."""
        values = [*args, *keywords.values()]
        places = [place for place, value in enumerate(values) if isinstance(value, Tensor)]

        def call(every: Tensor, *tensors: Tensor) -> Tensor:
            before, outputs = [*self.states], []
            for run, number in enumerate(self.stream):
                own = [value[run] if isinstance(value, Rates) else value for value in values]
                for place, tensor in zip(places, tensors, strict=True):
                    own[place] = tensor[run].contiguous()  # as alone: numbers are drawn in the order of the memory
                self.states[number] = before[number]  # the run before may have been of the same stream
                named = dict(zip(keywords, own[len(args) :], strict=True))
                outputs.append(self._drawn(number, func, *own[: len(args)], **named))
            return torch.stack(outputs)

        return outside(call, self.mine, *(values[place] for place in places))

    def _drawn(self, number: int, func: Any, *args: Any, **keywords: Any) -> Tensor:
        """Call `func` with the generators where this stream left them."""
        for generator, state in zip(self.generators, self.states[number], strict=True):
            generator.set_state(state)
        output: Tensor = func(*args, **keywords)
        self.states[number] = self._taken()
        return output

    def _taken(self) -> list[Tensor]:
        return [generator.get_state() for generator in self.generators]
