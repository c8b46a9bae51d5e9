"""Categories as zeros and ones, for a model that does not embed them itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class OneHot(nn.Module):
    """Maps numbers and categories x [N, D], of which the last columns are the categories' numbers, to zeros and ones.

    A number that is no category, such as the -1 of one that training did not see, is all zeros.
    """

    values: Tensor
    owners: Tensor

    def __init__(self, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.count = len(cardinalities)
        owners = [column for column, size in enumerate(cardinalities) for _ in range(size)]
        self.register_buffer("owners", torch.tensor(owners), persistent=False)
        values = [float(value) for size in cardinalities for value in range(size)]
        self.register_buffer("values", torch.tensor(values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Zeros and ones [N, D - categories + their values]."""
        numbers, codes = x[..., : -self.count], x[..., -self.count :]
        return torch.cat([numbers, (codes[..., self.owners] == self.values).to(x.dtype)], -1)


def one_hot_shape(input_shape: tuple[int, ...], cardinalities: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of what `OneHot` makes of an input."""
    return (input_shape[0] - len(cardinalities) + sum(cardinalities),)
