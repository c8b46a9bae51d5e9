"""Operators of many runs as one call, where torch's own way under `torch.func.vmap` takes longer.

`vmap` passes over a layer's output once more for its bias or its scale, copies images between layouts, and divides
what it cannot stack. Each rule here is the operator's call within `vmap`, with its arguments.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gridstorm.fusion.functorch import outside

FEW = 32  # classes below which torch's softmax over the last dimension is slower than over another


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what `torch.nn.functional.linear` does, the bias added by the matrix product.

    Of vectors [K, B, in] the outputs lie in memory as [K, out, B], so that the weights' gradient lies as they do.
    """
    if input.dim() < 2:
        return F.linear(input, weight, bias)

    def call(x: Tensor, weight: Tensor, *biases: Tensor) -> Tensor:
        rows = x.flatten(1, -2)
        flipped = x.dim() == 3
        left, other = (weight, rows.mT) if flipped else (rows, weight.mT)
        if biases:
            output = torch.baddbmm(biases[0][:, :, None] if flipped else biases[0][:, None], left, other)
        else:
            output = torch.bmm(left, other)
        return output.mT if flipped else torch.unflatten(output, 1, x.shape[1:-1])

    return outside(call, input, weight, *([] if bias is None else [bias]))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float | Tensor = 0.0,
) -> Tensor:
    """Return what `torch.nn.functional.cross_entropy` does; the smoothing, which is linear, may be a tensor."""
    options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
    if isinstance(label_smoothing, Tensor):  # torch's own takes a number
        hard, even = (cross_entropy(input, target, **options, label_smoothing=share) for share in (0.0, 1.0))  # type: ignore[arg-type]
        return (1 - label_smoothing) * hard + label_smoothing * even
    if weight is not None or reduction != "mean" or input.dim() != 2 or target.is_floating_point():
        return F.cross_entropy(input, target, **options, label_smoothing=label_smoothing)  # type: ignore[arg-type]

    def call(logits: Tensor, y: Tensor) -> Tensor:
        few = logits.shape[-1] < FEW
        rows, targets = (logits.mT.contiguous(), y) if few else (logits.flatten(0, 1), y.flatten())
        losses = F.cross_entropy(
            rows, targets, ignore_index=ignore_index, reduction="none", label_smoothing=label_smoothing
        )
        return losses.view(y.shape).sum(1) / (y != ignore_index).sum(1)

    return outside(call, input, target)


def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any) -> Tensor:
    """Attend with all runs' queries as one batch: torch's own rule under `vmap` loops over the runs."""
    if query.dim() != 4 or attn_mask is not None:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return F.scaled_dot_product_attention(query, key, value, attn_mask, **options)

    def call(*stacked: Tensor) -> Tensor:
        query, key, value = (tensor.flatten(0, 1) for tensor in stacked)
        return torch.unflatten(F.scaled_dot_product_attention(query, key, value, **options), 0, stacked[0].shape[:2])

    return outside(call, query, key, value)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Return what `torch.nn.functional.conv2d` does: one convolution of K times the groups, its channels last."""
    if input.dim() != 4 or input.device.type != "cpu":
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)

    def call(x: Tensor, weight: Tensor, *biases: Tensor) -> Tensor:
        same = groups == 1 and x.stride(0) == 0  # every run sees the same images
        images = (x[0] if same else joined(x)).contiguous(memory_format=torch.channels_last)
        added, parts = (biases[0].flatten() if biases else None), 1 if same else groups * len(x)
        return apart(F.conv2d(images, weight.flatten(0, 1), added, stride, padding, dilation, parts), len(x))

    return outside(call, input, weight, *([] if bias is None else [bias]))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `torch.nn.functional.batch_norm` does: every run's channels are channels of one call."""
    arguments = (running_mean, running_var, weight, bias)

    def call(x: Tensor, *tensors: Tensor) -> Tensor:
        remaining = iter(tensors)
        mean, var, scale, shift = (None if argument is None else next(remaining).flatten() for argument in arguments)
        return apart(F.batch_norm(joined(x), mean, var, scale, shift, training, momentum, eps), len(x))

    return outside(call, input, *(argument for argument in arguments if argument is not None))


def pooled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a pooling of images with every run's channels as channels of one call."""

    def rule(input: Tensor, *args: Any, **options: Any) -> Tensor:
        if input.dim() != 4 or options.get("return_indices"):
            return function(input, *args, **options)
        return outside(lambda x: apart(function(joined(x), *args, **options), len(x)), input)

    return rule


def joined(x: Tensor) -> Tensor:
    """Return the channels of K runs as those of one: [K, B, C, ...] to [B, K C, ...]."""
    return x.movedim(0, 1).flatten(1, 2)


def apart(x: Tensor, num_runs: int) -> Tensor:
    """Return the channels of each run, the other way round."""
    return torch.unflatten(x, 1, (num_runs, -1)).movedim(1, 0)


RULES: dict[Callable[..., Any], Callable[..., Tensor]] = {
    F.linear: linear,
    F.cross_entropy: cross_entropy,
    F.scaled_dot_product_attention: attention,
    F.conv2d: conv2d,
    F.batch_norm: batch_norm,
    F.max_pool2d: pooled(F.max_pool2d),
    F.avg_pool2d: pooled(F.avg_pool2d),
    F.adaptive_avg_pool2d: pooled(F.adaptive_avg_pool2d),
}
