"""Data of our base class, which are held in memory."""

import torch
from torch import Tensor

from gridstorm.data import TensorData
from stranger.data import digits


class Labels(TensorData):
    task, inputs = "multilabel", "image"  # bound together: nothing can be read from the source
    input_shape, num_outputs = (1, 8, 8), 3

    def load(self) -> tuple[Tensor, Tensor]:
        x, y = digits()
        return x, torch.stack([y % 2 == 0, y > 4, y == 0], 1).long()


class Several(TensorData):
    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.__dict__ |= {"task": "regression", "inputs": "image"}  # known only of an object
        self.input_shape, self.num_outputs = (1, 8, 8), 2

    def load(self) -> tuple[Tensor, Tensor]:
        x, _ = digits()
        return x, torch.stack([x.mean((1, 2, 3)), 100 * x[:, 0, 2:4, 2:4].sum((1, 2))], 1)
