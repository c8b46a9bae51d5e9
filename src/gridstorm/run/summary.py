"""What a run is, before it starts: the hyperparameters that were set, and the parameters that training will learn."""

from collections.abc import Iterable, Sequence

from torch import nn

from gridstorm.config import RunConfig, leaves
from gridstorm.report import table
from gridstorm.target import shown

HIDDEN = ("_target_", "_partial_")


def card(config: RunConfig, network: nn.Module, left_out: Sequence[str] = ()) -> str:
    """Return both tables as text.

    Args:
        config: The configuration.
        network: What is trained; it may be on the meta device.
        left_out: The hyperparameters that no checkpoint will hold, since they are no plain values.
    """
    set_by_you = "Hyperparameters: what you set\n" + table(hyperparameters(config))
    rows = list(parameters(network))
    total = sum(parameter.numel() for parameter in network.parameters())
    learned = "Parameters: what training learns\n" + table([*rows, ("total", "", "", f"{total:,}")], right=(3,))
    if left_out:
        learned += f"\nNot in its checkpoints, since they are built anew from config.yaml: {', '.join(left_out)}"
    return f"{set_by_you}\n\n{learned}"


def hyperparameters(config: RunConfig) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) for each choice and for each value of the recipe."""
    rows = []
    for section, node in config.recipe.items():
        if section in config.choices:
            origin = config.origins.get(f"{section}._target_", "default")
            rows.append((section, config.choices[section], origin))
        for key, value in leaves(node, section):
            if key.rpartition(".")[2] not in HIDDEN:
                rows.append((key, shown(value), config.origins.get(key, "default")))
    return rows


def parameters(network: nn.Module) -> Iterable[tuple[str, str, str, str]]:
    """Yield (layer, W and its shape, b and its shape, count) for every layer that has parameters of its own."""
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if own:
            weights = [
                f"{_letter(key)} {'x'.join(map(str, p.shape))}" for key, p in own.items() if not key.endswith("bias")
            ]
            biases = [f"b {'x'.join(map(str, p.shape))}" for key, p in own.items() if key.endswith("bias")]
            count = sum(parameter.numel() for parameter in own.values())
            yield f"{name or 'network'} ({type(module).__name__})", " ".join(weights), " ".join(biases), f"{count:,}"


def _letter(name: str) -> str:
    return "W" if name.endswith("weight") else name
