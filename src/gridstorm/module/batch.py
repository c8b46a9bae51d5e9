"""What of a batch is the input and what the target."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

Batch = tuple[Tensor, Tensor]
PLACES = ("x", "y")


def picked(batch: Any, names: Mapping[str, Any] | None, task: str) -> Batch | None:
    """Return the input and the target of a batch; None where they are not two tensors of as many samples each.

    Args:
        batch: A pair, or what `names` finds them in: a mapping, a tuple, or an object with such attributes.
        names: `x` and `y`, each a name or a number in the batch; None where the batch is the pair.
        task: A reconstruction has its input for a target, unless the batch has one of the same shape.
    """
    if names:
        pair = [_item(batch, names[place]) if place in names else None for place in PLACES]
    elif isinstance(batch, Tensor):
        pair = [batch, None]
    else:
        pair = [*batch, None][:2] if isinstance(batch, list | tuple) and len(batch) in (1, 2) else [None, None]
    x, y = pair
    if task == "reconstruction" and isinstance(x, Tensor) and not (isinstance(y, Tensor) and y.shape == x.shape):
        y = x
    if not (isinstance(x, Tensor) and isinstance(y, Tensor) and x.dim() and y.dim() and len(x) == len(y)):
        return None
    return x, y


def _item(batch: Any, name: Any) -> Any:
    try:
        return batch[name] if isinstance(batch, Mapping) or isinstance(name, int) else getattr(batch, str(name), None)
    except (LookupError, TypeError):
        return None
