"""A trained model as a file that other programs run: torch.export or ONNX."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gridstorm.config import number
from gridstorm.error import Problem, UserError
from gridstorm.objects import prepared, quiet
from gridstorm.prediction.model import Trained
from gridstorm.record import RunRecord

FILES = {"torch": "model.pt2", "onnx": "model.onnx"}
NEEDED = ("onnx", "onnxscript", "onnxruntime")
SAMPLES = 256  # on which the file is compared with the model


class Whole(nn.Module):
    """A network between what its inputs and outputs are outside: raw values in, probabilities or units out."""

    mean: Tensor
    std: Tensor
    unit: Tensor
    shift: Tensor

    def __init__(self, model: Trained) -> None:
        super().__init__()
        self.network, self.task = model.network, model.task
        moments = getattr(model.data, "moments", None) or (torch.tensor(0.0), torch.tensor(1.0))
        units = (getattr(model.data, "target_mean", 0.0), getattr(model.data, "target_std", 1.0))
        named = {"mean": moments[0], "std": moments[1], "shift": units[0], "unit": units[1]}
        for name, value in named.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))
        self.is_scaled = getattr(model.data, "moments", None) is not None

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, or numbers in their own unit; logits of what has neither."""
        scaled = self.is_scaled and x.is_floating_point()  # tokens are not
        logits = self.network((x - self.mean) / self.std if scaled else x)
        if self.task == "classification":
            return logits.softmax(-1)  # type: ignore[no-any-return]
        if self.task == "multilabel":
            return logits.sigmoid()  # type: ignore[no-any-return]
        return logits * self.unit + self.shift if self.task == "regression" else logits  # type: ignore[no-any-return]


def export(record: RunRecord, to: str, out: Path | None = None, samples: str | None = None) -> str:
    """Write a run's best model to a file, and return in words how far its outputs are from the model's.

    Args:
        record: Of the run.
        to: `torch` or `onnx`.
        out: The file; None writes `model.pt2` or `model.onnx` into the run's directory.
        samples: A file of samples to compare on; None takes those of the run's test part.

    Raises:
        UserError: A package is not installed, there are no samples, or the model cannot be exported.
    """
    missing = [name for name in NEEDED if to == "onnx" and find_spec(name) is None]
    if missing:
        fact = f"{', '.join(missing)} is not installed."
        raise UserError([Problem("--to onnx", fact, "Run: pip install 'gridstorm[onnx]'")])
    model = Trained.of(record)
    x = _samples(model, samples)
    whole, file = Whole(model).eval(), out or record.directory / FILES[to]
    try:
        with quiet():
            program = torch.export.export(whole, (x[:2],), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
            theirs = _of_torch(program, file, x) if to == "torch" else _of_onnx(program, file, x)
    except OSError as error:
        raise UserError([Problem(str(file), f"It cannot be written ({error.strerror}).", "Give --out.")]) from error
    except Exception as error:  # of whatever kind torch's exporters raise
        fact = f"It cannot be exported ({' '.join(str(error).split())[:200].rstrip('.')})."
        raise UserError([Problem(str(record.directory), fact, "Use the model in Python.")]) from error
    with torch.inference_mode():
        ours = whole(x)
    difference = float((ours - theirs).abs().max())
    return f"{file}: {_described(model)}\nLargest difference from the model, on {len(x)} samples: {number(difference)}"


def _samples(model: Trained, path: str | None) -> Tensor:
    """Return inputs [N, ...] of real samples, as the exported model takes them: raw where it scales them itself."""
    x = model.encoded(next(iter(model.pieces(path, SAMPLES)))) if path else _of_test(model)
    moments = getattr(model.data, "moments", None)
    if moments is not None and x.is_floating_point():
        x = (x * moments[1] + moments[0]).float()
    return x[:SAMPLES]


def _of_test(model: Trained) -> Tensor:
    """Return the first batch of the run's test part, which has to be there."""
    try:
        with quiet():
            data = prepared(model.config)
    except UserError as error:
        fact = "The run's data are not there to compare on."
        raise UserError(
            [Problem("--samples", fact, "Give a file of samples: --samples FILE."), *error.problems]
        ) from error
    x: Tensor = next(iter(data.test_dataloader()))[0]
    return x


def _of_torch(program: Any, file: Path, x: Tensor) -> Tensor:
    torch.export.save(program, file)
    with torch.inference_mode():
        found: Tensor = torch.export.load(file).module()(x)
    return found


def _of_onnx(program: Any, file: Path, x: Tensor) -> Tensor:
    import onnxruntime

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells which of torchvision's operators are not there
    torch.onnx.export(program, f=file, dynamo=True, input_names=["x"], output_names=["y"], verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(found)


def _described(model: Trained) -> str:
    """Return what goes into the file's model and what comes out."""
    inside = (
        "as the run's columns.skops encodes them" if getattr(model.data, "cardinalities", None) is not None else "raw"
    )
    out = {"classification": f"probabilities of {len(model.classes)} classes", "multilabel": "probabilities",
           "regression": "numbers in their own unit"}.get(model.task, "logits")  # fmt: skip
    return f"x [N, {', '.join(map(str, model.data.input_shape))}] {inside}, {out} out"
