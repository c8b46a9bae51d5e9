"""A residual network for images, of standard shape."""

from collections import OrderedDict
from typing import ClassVar

from torch import Tensor, nn


class ResNet(nn.Sequential):
    """Maps images [N, C, H, W] to [N, num_outputs].

    As He et al. 2016 (Deep Residual Learning, section 4.2) have it for small images: a convolution, three stages of
    `blocks` residual blocks, the second and third with half the size and twice the channels, the mean over places and a
    linear layer. `blocks=3` is ResNet-20, 9 is ResNet-56; sides of 128 pixels and more begin with a stride of four.
    """

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self, blocks: int = 3, width: int = 16, dropout: float = 0.0, *, input_shape: tuple[int, ...], num_outputs: int
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(first=convolution(input_shape[0], width))
        layers["norm"], layers["activation"] = nn.BatchNorm2d(width), nn.ReLU()
        if min(input_shape[1:]) >= 128:
            layers["first"], layers["pool"] = convolution(input_shape[0], width, 2), nn.MaxPool2d(2)
        channels = width
        for stage in range(3):
            for number in range(blocks):
                wider, stride = width * 2**stage, 2 if stage and not number else 1
                layers[f"stage{stage + 1}_{number + 1}"] = Block(channels, wider, stride)
                channels = wider
        layers["mean"], layers["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        layers["dropout"], layers["output"] = nn.Dropout(dropout), nn.Linear(channels, num_outputs)
        super().__init__(layers)


class Block(nn.Module):
    """Adds to its input what two convolutions make of it; where the shape changes, a projection of the input."""

    def __init__(self, channels: int, wider: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(channels, wider, stride), nn.BatchNorm2d(wider), nn.ReLU(),
            convolution(wider, wider), nn.BatchNorm2d(wider),
        )  # fmt: skip
        same = stride == 1 and channels == wider
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, wider, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The sum, rectified."""
        added: Tensor = (self.shortcut(x) + self.layers(x)).relu()
        return added


def convolution(channels: int, wider: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of 3x3 without bias, begun as in He et al. 2015, eq. 10."""
    layer = nn.Conv2d(channels, wider, 3, stride, 1, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
