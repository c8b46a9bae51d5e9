"""Operators of many runs as one call give what a loop over the runs gives."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from gridstorm.fusion.operator import RULES
from gridstorm.fusion.randomness import Streams

RUNS = 3


class Called(nn.Module):
    """Passes x to a function with what it is told."""

    def __init__(self, function: Callable[..., Tensor], *told: Any, **named: Any) -> None:
        super().__init__()
        self.function, self.told, self.named = function, told, named

    def forward(self, x: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(x, *self.told, **self.named)


def attended(x: Tensor, **given: Any) -> Tensor:
    return F.scaled_dot_product_attention(x, x.flip(-1), x.cos(), **given)


Y = torch.tensor([0, 3, 1, 4, 2])
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 5), (7, 4)),
    "linear of one vector": (lambda: nn.Linear(4, 5), (4,)),
    "linear of sequences": (lambda: nn.Linear(4, 5), (2, 7, 4)),
    "linear without a bias": (lambda: nn.Linear(4, 5, bias=False), (2, 7, 4)),
    "two linear layers": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), (7, 4)),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3, padding=1), (5, 2, 6, 6)),
    "conv2d with strides and groups": (lambda: nn.Conv2d(4, 8, 3, stride=2, groups=2, bias=False), (5, 4, 7, 7)),
    "conv2d padded alike": (lambda: nn.Conv2d(2, 4, 3, padding="same", dilation=2), (5, 2, 6, 6)),
    "conv2d padded with the image": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), (5, 2, 6, 6)),
    "conv2d of one image": (lambda: nn.Conv2d(2, 4, 3), (2, 6, 6)),
    "batch norm of images": (lambda: nn.BatchNorm2d(4), (5, 4, 6, 6)),
    "batch norm of vectors": (lambda: nn.BatchNorm1d(4), (5, 4)),
    "batch norm of sequences": (lambda: nn.BatchNorm1d(4), (5, 4, 3)),
    "batch norm without weights": (lambda: nn.BatchNorm2d(4, affine=False), (5, 4, 6, 6)),
    "batch norm without running means": (lambda: nn.BatchNorm2d(4, track_running_stats=False), (5, 4, 6, 6)),
    "max pool": (lambda: nn.MaxPool2d(2), (5, 4, 6, 6)),
    "max pool of one image": (lambda: nn.MaxPool2d(2), (4, 6, 6)),
    "overlapping max pool": (lambda: nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (5, 4, 6, 6)),
    "average pool": (lambda: nn.AvgPool2d(2, count_include_pad=False), (5, 4, 6, 6)),
    "adaptive average pool": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (5, 4, 6, 6)),
    "a convolutional block": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                              nn.Linear(16, 3)), (5, 2, 6, 6)),
    "cross entropy of few classes": (lambda: Called(F.cross_entropy, Y), (5, 6)),
    "cross entropy of many classes": (lambda: Called(F.cross_entropy, Y), (5, 40)),
    "smoothed cross entropy": (lambda: Called(F.cross_entropy, Y, label_smoothing=0.3), (5, 6)),
    "cross entropy that leaves some out": (lambda: Called(F.cross_entropy, Y, ignore_index=3), (5, 6)),
    "cross entropy with weights": (
        lambda: Called(F.cross_entropy, Y, torch.arange(1.0, 7, dtype=torch.float64)), (5, 6)),
    "cross entropy of each sample": (lambda: Called(F.cross_entropy, Y, reduction="none"), (5, 6)),
    "cross entropy of pixels": (lambda: Called(F.cross_entropy, Y.expand(4, 5)), (4, 6, 5)),
    "cross entropy of probabilities": (
        lambda: Called(F.cross_entropy, torch.full((5, 6), 1 / 6, dtype=torch.float64)), (5, 6)),
    "causal attention": (lambda: Called(attended, is_causal=True), (2, 2, 5, 4)),
    "attention of one head": (lambda: Called(attended), (2, 5, 4)),
    "masked attention": (lambda: Called(attended, attn_mask=torch.ones(5, 5).tril().bool()), (2, 2, 5, 4)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Compute in float64, so that what differs is no rounding."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


Tensors = dict[str, Tensor]


def stacked(tensors: Callable[[nn.Module], Iterator[tuple[str, Tensor]]], layers: Sequence[nn.Module]) -> Tensors:
    every = [dict(tensors(layer)) for layer in layers]
    return {name: torch.stack([one[name].detach() for one in every]) for name in every[0]}


def to_row_state(layers: Sequence[nn.Module], x: Tensor, same: bool = False) -> tuple[Tensor, Tensors, Tensors]:
    """Return the layers' outputs as one, with the parameters and the buffers that they came from."""
    parameters, buffers = (
        stacked(tensors, layers) for tensors in (nn.Module.named_parameters, nn.Module.named_buffers)
    )
    parameters = {name: tensor.requires_grad_() for name, tensor in parameters.items()}

    def one(number: Tensor, own: Tensors, frozen: Tensors, x: Tensor) -> Tensor:
        with Streams([0] * RUNS, torch.device("cpu")):
            return functional_call(layers[0], {**own, **frozen}, (x,))  # type: ignore[no-any-return]

    dims = (0, 0, 0, None if same else 0)
    return vmap(one, in_dims=dims)(torch.arange(RUNS), parameters, buffers, x[0] if same else x), parameters, buffers


@pytest.mark.parametrize("same", [False, True], ids=["x of their own", "the same x"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_rule_gives_the_values_the_gradients_and_the_running_means_of_a_loop(name: str, same: bool) -> None:
    make, shape = LAYERS[name]
    layers = [make() for _ in range(RUNS)]
    x = torch.randn(shape).repeat(RUNS, *(1 for _ in shape)) if same else torch.randn(RUNS, *shape)
    x.requires_grad_()
    outputs, parameters, buffers = to_row_state(layers, x, same)
    apart = torch.stack([layer(part) for layer, part in zip(layers, x, strict=True)])
    torch.testing.assert_close(outputs, apart)
    torch.testing.assert_close(buffers, stacked(nn.Module.named_buffers, layers))
    one, two = (torch.autograd.grad(found.sin().sum(), x, retain_graph=True)[0] for found in (outputs, apart))
    torch.testing.assert_close(one.sum(0) if same else one, two.sum(0) if same else two)
    torch.autograd.backward(apart.sin().sum())
    if parameters:
        found = dict(zip(parameters, torch.autograd.grad(outputs.sin().sum(), [*parameters.values()]), strict=True))
        own = {name: torch.stack([layer.get_parameter(name).grad for layer in layers]) for name in parameters}  # type: ignore[misc]
        torch.testing.assert_close(found, own)


@pytest.mark.parametrize("function", RULES, ids=lambda function: getattr(function, "__name__", "pool"))
def test_torchs_own_layers_reach_every_rule(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    rule = Mock(side_effect=RULES[function])
    monkeypatch.setitem(RULES, function, rule)
    for make, shape in LAYERS.values():
        to_row_state([make() for _ in range(RUNS)], torch.randn(RUNS, *shape))
    rule.assert_called()


def test_smoothing_may_be_a_tensor() -> None:
    logits, smoothing = torch.randn(RUNS, 5, 6), torch.tensor([0.0, 0.1, 0.5])

    def one(logits: Tensor, smoothing: Tensor) -> Tensor:
        with Streams([0] * RUNS, torch.device("cpu")):
            return F.cross_entropy(logits, Y, label_smoothing=smoothing)  # type: ignore[arg-type]

    each = [
        F.cross_entropy(row, Y, label_smoothing=float(adopt_groups))
        for row, adopt_groups in zip(logits, smoothing, strict=True)
    ]
    torch.testing.assert_close(vmap(one)(logits, smoothing), torch.stack(each))


def test_within_a_gradient_that_a_network_takes_itself_torchs_own_way_is_gone() -> None:
    weight, x = torch.randn(RUNS, 2, 4), torch.randn(RUNS, 4)

    def one(weight: Tensor, x: Tensor) -> Tensor:
        with Streams([0] * RUNS, torch.device("cpu")):
            return grad(lambda x: F.linear(x[None], weight).sin().sum())(x)  # type: ignore[no-any-return]

    apart = [grad(lambda x, w=w: F.linear(x[None], w).sin().sum())(own) for w, own in zip(weight, x, strict=True)]
    torch.testing.assert_close(vmap(one)(weight, x), torch.stack(apart))
