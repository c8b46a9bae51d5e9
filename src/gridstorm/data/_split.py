"""Which samples are for training, validation and test."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gridstorm.data._memory import PARTS, Part

NAMES: Mapping[str, Part] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def split(
    num_samples: int, val_fraction: float, test_fraction: float, seed: int, classes: Tensor | None = None
) -> dict[Part, Tensor]:
    """Sample numbers of each part, shuffled; stratified where `classes` [num_samples] are given."""
    shuffled = torch.randperm(num_samples, generator=torch.Generator().manual_seed(seed))
    ranked = shuffled if classes is None else shuffled[classes[shuffled].argsort(stable=True)]
    test = _every(num_samples, test_fraction)
    val = _every(num_samples - int(test.sum()), val_fraction / (1 - test_fraction))
    owner = torch.zeros(num_samples, dtype=torch.int64)
    owner[ranked[~test][val]] = PARTS.index("val")
    owner[ranked[test]] = PARTS.index("test")
    return {part: shuffled[owner[shuffled] == number] for number, part in enumerate(PARTS)}


def split_groups(groups: Tensor, val_fraction: float, test_fraction: float, seed: int) -> dict[Part, Tensor]:
    """Sample numbers of each part, in which all samples of a group [N] are in the same one, as near to the shares."""
    sizes = torch.bincount(groups)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    begins = (sizes[order].cumsum(0) - sizes[order] / 2) / len(groups)  # where the middle of each group comes
    owner = torch.empty(len(sizes), dtype=torch.int64)
    owner[order] = torch.where(begins < test_fraction, 2, torch.where(begins < test_fraction + val_fraction, 1, 0))
    return {part: (owner[groups] == number).nonzero().flatten() for number, part in enumerate(PARTS)}


def split_times(ranks: Tensor, val_fraction: float, test_fraction: float) -> dict[Part, Tensor]:
    """Sample numbers of each part by time [N]: the last ones for the test, those before them for validation."""
    order, count = ranks.argsort(stable=True), len(ranks)
    test, val = round(count * test_fraction), round(count * val_fraction)
    return {"train": order[: count - test - val], "val": order[count - test - val : count - test],
            "test": order[count - test :]}  # fmt: skip


def split_names(names: list[str | None]) -> dict[Part, Tensor]:
    """Sample numbers of each part, as a column names it. Raises ValueError for a name of none."""
    parts = [NAMES.get(str(name).strip().lower()) for name in names]
    if wrong := sorted({str(name) for name, part in zip(names, parts, strict=True) if part is None}):
        raise ValueError(f"It says {', '.join(wrong[:5])}. Let it say train, val or test in each row.")
    return {part: torch.tensor([number for number, name in enumerate(parts) if name == part]) for part in PARTS}


def _every(num: int, fraction: float) -> Tensor:
    """A mask [num] that picks this share of the positions, spread evenly, so that each class gets its own."""
    return (torch.arange(num + 1, dtype=torch.float64) * fraction).round().diff() > 0
