"""The first weights of a run: those of another one, and which of them are not trained."""

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gridstorm.config import RunConfig, weights_file
from gridstorm.error import MANY, Problem, UserError
from gridstorm.module import unmatched
from gridstorm.objects.checkpoint import tensors


@dataclass(frozen=True)
class Match:
    """What of another run's weights fits a network.

    Args:
        taken: The tensors, by their names in the network.
        left: Of the others, why: those of the network, and those of the file.
    """

    taken: dict[str, Tensor]
    left: list[str]

    def __str__(self) -> str:
        """Return it in a sentence."""
        names = ", ".join(self.left[:MANY]) + (", ..." if len(self.left) > MANY else "")
        return f"{len(self.taken)} tensors are taken" + (f"; not taken: {names}" if names else ", all there are")


def num_parameters(network: nn.Module) -> int:
    """Return how many numbers training learns; those of layers that no batch has passed yet are not known."""
    return sum(parameter.numel() for parameter in network.parameters() if not is_lazy(parameter))


def digest_of_weights(network: nn.Module) -> str:
    """Return twelve hexadecimal digits that name the weights of a network, as far as they are there yet."""
    sha = hashlib.sha256()
    for name, tensor in network.state_dict(keep_vars=True).items():
        sha.update(f"{name}\n".encode())
        if isinstance(tensor, Tensor) and not is_lazy(tensor):
            held = tensor.detach().cpu().contiguous()
            sha.update(
                f"{held.dtype} {tuple(held.shape)}\n".encode() + held.flatten().view(torch.uint8).numpy().tobytes()
            )
    return sha.hexdigest()[:12]


def with_shapes(network: nn.Module, data: Any) -> nn.Module:
    """Return a network whose lazy layers have their shapes, those of samples of the data's shape."""
    device = next((parameter.device for parameter in network.parameters()), None)
    if any(map(is_lazy, network.parameters())):
        dtype = torch.int64 if data.inputs == "tokens" else torch.float32
        with torch.no_grad():
            network.eval()(torch.zeros(2, *data.input_shape, dtype=dtype, device=device))
        network.train()
    return network


def begun(config: RunConfig, network: nn.Module) -> nn.Module:
    """Return a network with the first weights that were asked for, and without gradients where they are frozen.

    Raises:
        UserError: No weight fits, a pattern fits no parameter, or nothing is left to be trained.
    """
    source, patterns = config.values.get("init_from"), config.values.get("freeze") or []
    if source:
        _take_up(source, network)
    for pattern in patterns:
        chosen = [parameter for name, parameter in network.named_parameters() if fnmatchcase(name, pattern)]
        if not chosen:
            raise UserError([unmatched("freeze", pattern, network)])
        for parameter in chosen:
            parameter.requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in network.parameters()):
        fact = "Every parameter is frozen, and nothing is left to be trained."
        raise UserError([Problem(f"freeze=[{','.join(patterns)}]", fact, "Leave some out.")])
    return network


def _take_up(source: str, network: nn.Module) -> None:
    found = match(source, network)
    if not found.taken:
        fact = f"None of its weights has a name and a shape of this model's ({', '.join(found.left[:3])}, ...)."
        raise UserError([Problem(f"init_from={source}", fact, "Name a run of a model that is alike.")])
    own = network.state_dict()
    if not any(tensor.is_meta for tensor in own.values()):  # a sketch has no weights
        network.load_state_dict(own | found.taken)


def match(source: str, network: nn.Module) -> Match:
    """Return which tensors of a file or a run fit a network, by name and shape.

    Names may begin otherwise there: `network.hidden.weight` is `hidden.weight`, and so is `net.hidden.weight`.

    Raises:
        UserError: The file cannot be read.
    """
    own, file = network.state_dict(), weights_file(source)
    assert file is not None, "it was checked"
    saved = tensors(file)
    begins = {"", *(f"{name.partition('.')[0]}." for name in saved)}
    named = max(
        ({name.removeprefix(begin): tensor for name, tensor in saved.items()} for begin in sorted(begins)),
        key=lambda names: len(names.keys() & own.keys()),
    )
    taken = {name: tensor for name, tensor in named.items() if name in own and tensor.shape == own[name].shape}
    unequal = [
        f"{name} ({_shape(named[name])} there, {_shape(own[name])} here)"
        for name in own
        if name in named and name not in taken
    ]
    absent = [f"{name} (not there)" for name in own if name not in named]
    others = [f"{name} (not here)" for name in named if name not in own]
    return Match(taken, [*unequal, *absent, *others])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
