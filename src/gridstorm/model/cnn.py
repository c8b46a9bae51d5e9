"""A convolutional network with batch normalisation, for small images."""

from collections import OrderedDict
from typing import ClassVar

from torch import nn

from gridstorm.model import ACTIVATIONS, Activation


class CNN(nn.Sequential):
    """Maps images [N, C, H, W] to [N, num_outputs].

    Each of `depth` blocks is a 3x3 convolution, batch normalisation (Ioffe & Szegedy 2015) and an activation; the
    first has `width` channels, and wherever a map of at least 4x4 follows from it, a block ends in halving the map,
    and the next has twice the channels. Raises ValueError where x is no image.
    """

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        depth: int = 3,
        width: int = 16,
        activation: Activation = "relu",
        dropout: float = 0.0,
        *,
        input_shape: tuple[int, ...],
        num_outputs: int,
    ) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"model=cnn needs images [channels, height, width], but the data's shape is {list(input_shape)}. "
                "Choose image data, or another model such as model=mlp."
            )
        channels, rows, columns = input_shape
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, depth + 1):
            halve = min(rows, columns) >= 4
            blocks[f"block{number}"] = block(channels, width, activation, halve)
            channels = width
            if halve:
                rows, columns, width = rows // 2, columns // 2, width * 2
        blocks["flatten"] = nn.Flatten()
        blocks["dropout"] = nn.Dropout(dropout)
        blocks["output"] = nn.Linear(channels * rows * columns, num_outputs)
        super().__init__(blocks)


def block(num_inputs: int, num_outputs: int, activation: Activation, halve: bool) -> nn.Sequential:
    """[N, num_inputs, H, W] to [N, num_outputs, H, W], or to half the height and width."""
    conv = nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False)  # the norm has a bias of its own
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=nn.BatchNorm2d(num_outputs))
    layers["activation"] = ACTIVATIONS[activation]()
    if halve:
        layers["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)
