"""A network. The run gives it `input_shape` and `num_outputs`; every other argument is a key of `model`."""

import math

from torch import Tensor, nn


class Net(nn.Module):
    """Hidden layers of one width."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_outputs: int,
        width: int = 32,
        depth: int = 2,
        dropout: float = 0.0,
    ) -> None:
        """Take the shape of a sample and the number of outputs from the data, and the rest from the configuration."""
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        size = math.prod(input_shape)
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, num_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, num_outputs] of samples x [N, *input_shape]."""
        logits: Tensor = self.layers(x)
        return logits
