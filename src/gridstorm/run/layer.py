"""What a step does to each layer of one network, or of several that are stacked: looked at before it and after it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Whose weight has a row for each unit; that of an embedding has one for each word.
WITH_UNITS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Layers:
    """The layers of a network: its weights of two dimensions and more, which are trained.

    Args:
        network: It, or the first of those that are stacked.
    """

    def __init__(self, network: nn.Module) -> None:
        of_units = {id(module.weight) for module in network.modules() if isinstance(module, WITH_UNITS)}
        named = [pair for pair in network.named_parameters() if pair[1].dim() > 1 and pair[1].requires_grad]
        named = [pair for pair in named if not pair[0].endswith("bias")]  # which begins at 0, so that any step is large
        self.keys = [name for name, _ in named]
        self.names = [name.removeprefix("network.").removesuffix(".weight") for name in self.keys]
        self.weights = [parameter for _, parameter in named]  # looked up once: a walk through the network takes as long
        self.has_units = [id(parameter) in of_units for _, parameter in named]
        self.is_between = False  # a look before a step and one after it
        self._before: tuple[list[Tensor], list[Tensor]] | None = None

    def before(self, weights: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Look at what the step begins with: weights and gradients of each layer [K, *shape] for K networks."""
        nothing = weights[0].new_full((len(weights[0]),), torch.nan) if weights else torch.empty(0)
        of_gradients = [nothing if gradient is None else _norms(gradient) for gradient in gradients]
        dead = [
            nothing if gradient is None or not has_units else (gradient.flatten(2).abs().amax(2) == 0).float().mean(1)
            for gradient, has_units in zip(gradients, self.has_units, strict=True)
        ]
        self._before = [weight.detach().clone() for weight in weights], [*of_gradients, *dead]
        self.is_between = bool(weights)

    def after(self, weights: Sequence[Tensor]) -> list[dict[str, list[float]]]:
        """Return what the step did, for each network.

        That is for each layer `grad`, the norm of its gradient before it was clipped; `update`, the norm of the change
        over that of the weights; and `dead`, the share of units whose weights had no gradient at all in this batch.
        """
        assert self._before is not None, "Nobody looked at the begin of the step."
        (before, rest), self._before, self.is_between = self._before, None, False
        changes = [
            _norms(now.detach() - old) / _norms(old).clamp(min=1e-12)
            for now, old in zip(weights, before, strict=True)
        ]  # fmt: skip
        number = len(self.names)
        rows = torch.stack([column.double() for column in (*rest, *changes)], 1).tolist()
        return [
            {"grad": row[:number], "dead": row[number : 2 * number], "update": row[2 * number :]} for row in rows
        ]  # fmt: skip


def _norms(tensors: Tensor) -> Tensor:
    """Return the norm of each of K tensors [K, ...]: [K]."""
    norms: Tensor = torch.linalg.vector_norm(tensors.flatten(1), dim=1)
    return norms
