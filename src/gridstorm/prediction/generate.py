"""Text that a language model writes."""

import torch

from gridstorm.error import Problem, UserError
from gridstorm.prediction.model import Trained
from gridstorm.record import RunRecord
from gridstorm.run import write


def generate(record: RunRecord, text: str, count: int = 200, temperature: float = 0.8, seed: int = 0) -> str:
    """Return what a language model writes after a text.

    Args:
        record: Of the run.
        text: What it goes on from.
        count: How many tokens it writes.
        temperature: By which the logits are divided; 0 takes the likeliest token always.
        seed: Of the draws.

    Raises:
        UserError: The run is of another task, or there is no text to go on from.
    """
    model = Trained.of(record)
    if model.task != "language_modelling" or not hasattr(model.data, "decode"):
        words = model.task.replace("_", " ")
        fact = (
            f"It has learned {words}, and no language." if words != "language modelling" else "Its data decode no text."
        )
        raise UserError([Problem(str(record.directory), fact, "Give a run of data=text, or use gridstorm predict.")])
    tokens = model.data.encode(text)[None].to(model.device)
    if not tokens.shape[1]:
        raise UserError([Problem("TEXT", "It is empty.", "Give a few letters to go on from.")])
    generator, context = torch.Generator(device=model.device).manual_seed(seed), model.data.input_shape[0]
    written = write(model.network, tokens, context, generator, count, temperature)
    return str(model.data.decode(written[0].cpu()))
