"""A linear model: softmax regression for classes, linear regression for numbers."""

from collections import OrderedDict
from math import prod
from typing import ClassVar

from torch import nn


class Linear(nn.Sequential):
    """Flatten x [N, *input_shape], then W x + b: [N, num_outputs]. It starts at zero, its loss is convex."""

    inputs: ClassVar[tuple[str, ...]] = ("image", "table")

    def __init__(self, *, input_shape: tuple[int, ...], num_outputs: int) -> None:
        output = nn.Linear(prod(input_shape), num_outputs)
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
        super().__init__(OrderedDict(flatten=nn.Flatten(), output=output))
