"""A residual network for tables, which embeds categories and numbers before it mixes them."""

from collections.abc import Sequence
from math import pi
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


class Tabular(nn.Module):
    """Maps x [N, D], of which the last columns are the numbers of categories, to [N, num_outputs].

    Residual blocks as in Gorishniy et al. 2021 (Revisiting Deep Learning Models for Tabular Data, section 3.2);
    numbers are embedded by sines and cosines of learned frequencies, a linear layer of their own and ReLU (Gorishniy et
    al. 2022, On Embeddings for Numerical Features, section 3.3: PLR). A category that training did not see is zeros.
    """

    inputs: ClassVar[tuple[str, ...]] = ("table",)

    def __init__(
        self,
        depth: int = 2,
        width: int = 128,
        dropout: float = 0.1,
        embedding: int = 8,
        numbers: Literal["periodic", "plain"] = "periodic",
        frequencies: int = 16,
        sigma: float = 0.1,
        *,
        input_shape: tuple[int, ...],
        num_outputs: int,
        cardinalities: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.count = input_shape[0] - len(cardinalities)
        widths = [self.count]
        if numbers == "periodic" and self.count:
            self.periodic: Periodic | None = Periodic(self.count, embedding, frequencies, sigma)
            widths = [self.count * (embedding + 1)]
        else:
            self.periodic = None
        self.categories = Categories(cardinalities, embedding) if cardinalities else None
        widths.append(len(cardinalities) * embedding)
        self.first = nn.Linear(sum(widths), width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, num_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_outputs]."""
        numbers = x[..., : self.count]
        parts = [numbers] if self.periodic is None else [numbers, self.periodic(numbers)]
        if self.categories is not None:
            parts.append(self.categories(x[..., self.count :]))
        hidden = self.first(torch.cat(parts, -1))
        for block in self.blocks:
            hidden = block(hidden)
        logits: Tensor = self.output(hidden)
        return logits


class Periodic(nn.Module):
    """Maps numbers [N, D] to [N, D * embedding], each by a layer of its own on sines and cosines of it."""

    def __init__(self, count: int, embedding: int, frequencies: int, sigma: float) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.randn(count, frequencies) * sigma)
        bound = (2 * frequencies) ** -0.5
        self.weight = nn.Parameter(torch.empty(count, 2 * frequencies, embedding).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(count, embedding))

    def forward(self, x: Tensor) -> Tensor:
        """The embedded numbers."""
        angles = 2 * pi * self.frequency * x[..., None]
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        return (torch.einsum("...df,dfe->...de", waves, self.weight) + self.bias).relu().flatten(-2)


class Categories(nn.Module):
    """Maps the numbers of categories [N, C] to [N, C * embedding]."""

    begins: Tensor

    def __init__(self, cardinalities: Sequence[int], embedding: int) -> None:
        super().__init__()
        begins = torch.tensor([0, *cardinalities]).cumsum(0)
        self.register_buffer("begins", begins[:-1].clone(), persistent=False)
        self.embedding = nn.Embedding(sum(cardinalities), embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """The embedded categories."""
        known = codes >= 0
        rows = codes.clamp(min=0).long() + self.begins
        embedded: Tensor = self.embedding(rows) * known[..., None]
        return embedded.flatten(-2)


class Block(nn.Module):
    """Adds to x [N, width] what two layers make of it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(2 * width, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        added: Tensor = x + self.layers(x)
        return added
