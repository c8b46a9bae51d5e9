"""What a trained model does, as TensorBoard shows it: pictures of its mistakes, or text that it writes."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import StochasticWeightAveraging
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix

from gridstorm.module import Module
from gridstorm.objects import loaded
from gridstorm.record import EventFile, RunRecord, markdown
from gridstorm.report import confusion_matrix, gallery, scatter

MISTAKES = 32
SAMPLES, SAMPLE_BYTES, PROMPT_BYTES, TEMPERATURE = 3, 200, 32, 0.8


def review(events: EventFile, step: int, module: Module, data: Any) -> None:
    """Show what the module predicted in its test, as fits the task."""
    if module.task == "language_modelling" and hasattr(data, "decode"):
        events.text("samples", samples(module, data), step)
        return
    if not module.predictions:
        return
    logits, y = (torch.cat(parts) for parts in zip(*module.predictions, strict=True))
    if module.task == "regression":
        predicted, true = (values.flatten() for values in module.in_own_unit(logits, y))
        events.image("test/predicted against true", scatter(true.numpy(), predicted.numpy()), step)
        return
    names = getattr(data, "class_names", ()) or tuple(str(number) for number in range(data.num_outputs))
    predicted = logits.argmax(-1)
    counts = multiclass_confusion_matrix(predicted, y, len(names))
    events.image("test/confusion matrix", confusion_matrix(counts.numpy(), names), step)
    if data.inputs == "image" and "test" in getattr(data, "parts", ()):
        wrong = (predicted != y).nonzero().flatten()[:MISTAKES]
        captions = [f"{names[int(predicted[index])]} not {names[int(y[index])]}" for index in wrong]
        events.image("test/mistakes", gallery(data.parts["test"][0][wrong].cpu().numpy(), captions), step)


def samples(module: Module, data: Any) -> str:
    """Return text that the model writes, each piece after the start of a piece of the test part."""
    prompts = data.parts["test"][0][:SAMPLES, :PROMPT_BYTES].long().to(module.device)
    generator = torch.Generator(device=module.device).manual_seed(module.seed)
    module.eval()
    context = module.trainer.datamodule.input_shape[0]  # type: ignore[attr-defined]
    written = write(module, prompts, context, generator, SAMPLE_BYTES, TEMPERATURE)
    blocks = [
        markdown(f"{data.decode(prompt)}>>>{data.decode(text)}") for prompt, text in zip(prompts, written, strict=True)
    ]
    return "\n\n".join(["After `>>>` the model wrote:", *blocks])


@torch.no_grad()
def write(
    network: nn.Module, prompts: Tensor, context: int, generator: torch.Generator, count: int, temperature: float
) -> Tensor:
    """Return `count` tokens [N, count], drawn one after another after `prompts` [N, T].

    Args:
        network: A language model, in eval mode.
        prompts: The tokens that it goes on from.
        context: How many tokens it looks back on.
        generator: Of the draws.
        count: How many tokens it writes.
        temperature: By which logits are divided; 0 takes the likeliest token.
    """
    tokens = prompts
    for _ in range(count):
        logits = network(tokens[:, -context:])[:, -1]
        if temperature > 0:
            new = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
        else:
            new = logits.argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, new], 1)
    return tokens[:, prompts.shape[1] :]


def is_averaged(trainer: pl.Trainer) -> bool:
    """Tell whether the weights at the end are the average that Lightning's StochasticWeightAveraging put there."""
    return any(isinstance(callback, StochasticWeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def test(record: RunRecord, trainer: pl.Trainer, module: pl.LightningModule, data: Any) -> dict[str, float]:
    """Load the best weights and return their test metrics; none where the module or its data have no test.

    Those of stochastic weight averaging are no state of any epoch, and are tested as they are.
    """
    if not (is_overridden("test_step", module) and is_overridden("test_dataloader", data)):
        return {}
    if record.best_checkpoint and not is_averaged(trainer):
        module.load_state_dict(loaded(record.best_checkpoint)["state_dict"])
    trainer.test(module, datamodule=data, verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
