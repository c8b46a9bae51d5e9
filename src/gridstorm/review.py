"""What a trained model does, as TensorBoard shows it: pictures of its mistakes, or text that it writes."""

import pickle
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gridstorm import picture
from gridstorm.module import Module
from gridstorm.record import COUNTERS, Record
from gridstorm.refusal import unreadable
from gridstorm.tensorboard import EventFile, markdown

MISTAKES = 32
SAMPLES, SAMPLE_BYTES, PROMPT_BYTES, TEMPERATURE = 3, 200, 32, 0.8


def review(events: EventFile, module: Module, data: Any) -> None:
    """Show what the module predicted in its test, as fits the task."""
    step = module.progress["samples"]
    if module.task == "language_modelling":
        events.text("samples", samples(module, data), step)
        return
    logits, y = (torch.cat(parts) for parts in zip(*module.predictions, strict=True))
    if module.task == "regression":
        true, predicted = (
            values.flatten() * getattr(data, "target_std", 1.0) + getattr(data, "target_mean", 0.0)
            for values in (y, logits)
        )
        events.image("test/predicted against true", picture.scatter(true.numpy(), predicted.numpy()), step)
        return
    names = getattr(data, "class_names", ()) or tuple(str(number) for number in range(data.num_outputs))
    predicted = logits.argmax(-1)
    counts = torch.bincount(y * len(names) + predicted, minlength=len(names) ** 2).view(len(names), len(names))
    events.image("test/confusion matrix", picture.confusion_matrix(counts.numpy(), names), step)
    if data.inputs == "image":
        wrong = (predicted != y).nonzero().flatten()[:MISTAKES]
        captions = [f"{names[int(predicted[index])]} not {names[int(y[index])]}" for index in wrong]
        events.image("test/mistakes", picture.gallery(data.parts["test"][0][wrong].cpu().numpy(), captions), step)


def samples(module: Module, data: Any) -> str:
    """Return text that the model writes, each piece after the start of a piece of the test part."""
    prompts = data.parts["test"][0][:SAMPLES, :PROMPT_BYTES].to(module.device)
    generator = torch.Generator(device=module.device).manual_seed(module.seed)
    written = write(module, prompts, generator)
    blocks = [
        markdown(f"{data.decode(prompt)}>>>{data.decode(text)}") for prompt, text in zip(prompts, written, strict=True)
    ]
    return "\n\n".join(["After `>>>` the model wrote:", *blocks])


@torch.no_grad()
def write(module: Module, prompts: Tensor, generator: torch.Generator) -> Tensor:
    """Return SAMPLE_BYTES tokens [N, SAMPLE_BYTES] drawn one after another after `prompts` [N, T]."""
    module.eval()
    context = module.trainer.datamodule.input_shape[0]  # type: ignore[attr-defined]
    tokens = prompts
    for _ in range(SAMPLE_BYTES):
        logits = module(tokens[:, -context:])[:, -1] / TEMPERATURE
        tokens = torch.cat([tokens, torch.multinomial(logits.softmax(-1), 1, generator=generator)], 1)
    return tokens[:, prompts.shape[1] :]


def loaded(file: Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and plain values, never code.

    Raises:
        Refusal: It is damaged, or holds something else.
    """
    try:
        content = torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:  # whose text advises to load it all the same
        raise unreadable(file, "it is damaged, or holds more than tensors and plain values") from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise unreadable(file, f"{error}".partition("\n")[0]) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise unreadable(file, "it holds no weights")
    return content


def test(record: Record, trainer: pl.Trainer, module: Module, data: Any) -> dict[str, float]:
    """Load the best weights and return their test metrics."""
    if record.best_checkpoint:
        module.load_state_dict(loaded(record.best_checkpoint)["state_dict"])
    trainer.test(module, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def at_best(record: Record, best_epoch: int | None, monitor: str, mode: str) -> dict[str, float]:
    """Return what the curves show where the score of the best epoch is best, of the last point where there is none."""
    rows = record.rows()
    scored = [row for row in rows if row["epoch"] == best_epoch and row.get(monitor) is not None]
    best = (min if mode == "min" else max)(scored, key=lambda row: row[monitor]) if scored else (rows or [{}])[-1]
    beside = [row for row in rows if row.get("step") == best.get("step") and row is not best]  # what others logged
    values = {name: value for row in (*beside, best) for name, value in row.items()}
    return {name: value for name, value in values.items() if name not in COUNTERS and not name.startswith("best/")}


def closing(record: Record, outcome: dict[str, Any]) -> str:
    """Return the last lines of a run: the best score and when, where the record is, how to look at it."""
    score = "no score"
    if outcome["score"] is not None:
        score = f"best {outcome['monitor']} {outcome['score']:.4g} in epoch {outcome['best_epoch']}"
    metrics = outcome.get("metrics", {})
    tested = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name.startswith("test/"))
    lines = [f"{score} of {outcome['epochs']}, after {outcome['seconds']:.1f} s ({tested})"]
    if outcome["status"] == "diverged":
        lines.insert(
            0, "The training loss became NaN or infinite: try a smaller optimizer.lr, or trainer.gradient_clip_val=1."
        )
    return "\n".join([*lines, f"record  {record.directory}", f"look    tensorboard --logdir {record.directory.parent}"])
