"""What learns: one model a file, built for the shape of the data.

A model takes its hyperparameters first, and `input_shape` and `num_outputs` by keyword from the run. It builds on the
meta device and its forward pass is a pure function that `torch.func.vmap` can batch.
"""

from typing import Literal

from torch import nn

from gridstorm.model._one_hot import OneHot, one_hot_shape

Activation = Literal["relu", "gelu", "tanh", "sigmoid", "leaky_relu", "silu"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
}

__all__ = ["ACTIVATIONS", "Activation", "OneHot", "one_hot_shape"]
