"""A multilayer perceptron: hidden layers of one width, each linear, normalised where asked, activated, dropped out."""

from collections import OrderedDict
from collections.abc import Callable
from math import prod
from typing import ClassVar, Literal

from torch import nn

from gridstorm.model import ACTIVATIONS, Activation

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
GAINS: dict[str, float] = {"tanh": 1.0, "sigmoid": 4.0}
"""One over the slope at zero, so that a layer neither shrinks nor swells a small signal."""


class MLP(nn.Sequential):
    """Maps x [N, *input_shape] to [N, num_outputs] through `depth` hidden layers of `width` neurons.

    Hidden weights start as in He et al. 2015, eq. 10 (relu and its like) or Glorot & Bengio 2010, eq. 16 (tanh and
    sigmoid); biases start at zero.
    """

    inputs: ClassVar[tuple[str, ...]] = ("image", "table")

    def __init__(
        self,
        depth: int = 2,
        width: int = 128,
        activation: Activation = "relu",
        dropout: float = 0.0,
        norm: Literal["none", "batch", "layer"] = "none",
        *,
        input_shape: tuple[int, ...],
        num_outputs: int,
    ) -> None:
        widths = [prod(input_shape), *[width] * depth]
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        for number in range(1, depth + 1):
            layers[f"hidden{number}"] = hidden(widths[number - 1], width, activation, dropout, norm)
        layers["output"] = nn.Linear(widths[-1], num_outputs)
        super().__init__(layers)


def hidden(num_inputs: int, width: int, activation: Activation, dropout: float, norm: str) -> nn.Sequential:
    """One hidden layer: [N, num_inputs] to [N, width]."""
    linear = nn.Linear(num_inputs, width)
    if activation in GAINS:
        nn.init.xavier_uniform_(linear.weight, GAINS[activation])
    else:
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)
    layers: OrderedDict[str, nn.Module] = OrderedDict(linear=linear)
    if norm != "none":
        layers["norm"] = NORMS[norm](width)
    layers["activation"] = ACTIVATIONS[activation]()
    layers["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)
