"""A data set that is held in memory: `TensorData` splits it, standardizes it and makes its batches."""

import math
from typing import ClassVar

import torch
from gridstorm.data import TensorData
from torch import Tensor


class Spirals(TensorData):
    """Points of two spirals, a class each."""

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "table"
    input_shape = (2,)
    num_outputs = 2

    def __init__(
        self,
        points: int = 1000,
        turns: float = 1.0,
        noise: float = 0.03,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        """Take how many points there are, how far the spirals turn, and how far a point lies from its own."""
        super().__init__(batch_size=batch_size, seed=seed, split_seed=split_seed)
        self.points, self.turns, self.noise = points, turns, noise

    def load(self) -> tuple[Tensor, Tensor]:
        """Return x [points, 2] and y [points], the same at each call."""
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(self.points) % 2
        radius = torch.rand(self.points, generator=generator).sqrt()
        angle = 2 * math.pi * self.turns * radius + math.pi * y
        x = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        return x + self.noise * torch.randn(x.shape, generator=generator), y
