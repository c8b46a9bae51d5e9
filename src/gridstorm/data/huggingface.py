"""Data sets of Hugging Face: images, numbers or texts with classes or numbers to predict."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import Batches, InMemory, Part, moments
from gridstorm.data._batches import Scaled
from gridstorm.data._frame import refuse_missing
from gridstorm.data._image import GREY, pixels
from gridstorm.data._split import NAMES, split
from gridstorm.data._text import OfTokens
from gridstorm.data._tokenizer import Bytes, Tokenizer, restored, rows_of, tokenizer_of


class HuggingFace(InMemory):
    """A data set on disk (`save_to_disk`) or of the hub; no code of a stranger is run for it.

    Its own splits are the parts; where there is no validation, or no test, it is taken of the training split.

    Args:
        path: A folder, or a name on the hub.
        x: The column of inputs: images, lists of numbers, or texts.
        y: That of the targets: classes, or numbers.
        name: Which of several configurations of a data set.
        size: Of the sides of images, in pixels.
        context: How many tokens of a text are looked at.
        tokenizer: `byte`, `bpe`, or the file of a tokenizer.
        vocabulary: How many pieces `bpe` learns.
    """

    task: str  # type: ignore[misc]  # told by the column of targets
    inputs: str  # type: ignore[misc]  # told by the column of inputs
    target_mean: float = 0.0
    target_std: float = 1.0

    def __init__(
        self,
        path: str,
        x: str,
        y: str,
        name: str | None = None,
        size: int = 32,
        context: int = 256,
        tokenizer: str = "byte",
        vocabulary: int = 2048,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if find_spec("datasets") is None:
            raise ValueError("data=huggingface needs a package that is not installed. Run: pip install datasets")
        self.path, self.columns, self.name = path, {"x": x, "y": y}, name
        self.size, self.context, self.tokenizer_name, self.vocabulary = size, context, tokenizer, vocabulary
        self.tokenizer: Tokenizer = Bytes()
        self.mode = ""
        self.moments = torch.tensor(0.0), torch.tensor(1.0)

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts: x as they are kept, and y [N] or [N, 1].

        Raises:
            ValueError: The data set cannot be read, has no such column, or holds what cannot be learned from.
        """
        sets = self._sets()
        first = next(iter(sets.values()))
        for key, column in self.columns.items():
            refuse_missing(f"data.{key}", column, first.column_names, self.path)
        self._tell(first)
        targets = {part: self._targets(one) for part, one in sets.items()}
        chosen = self._chosen(targets)
        rows = {part: sets[of].select(index.tolist()) for part, (of, index) in chosen.items()}
        if self.inputs == "texts":
            texts = (str(text).encode() for text in rows["train"][self.columns["x"]])
            self.tokenizer = tokenizer_of(self.tokenizer_name, texts, self.vocabulary)
            self.num_tokens, self.input_shape = self.tokenizer.size + 1, (self.context,)
        made = {part: self._kept(one[self.columns["x"]]) for part, one in rows.items()}
        if self.inputs != "texts":
            self.input_shape = tuple(made["train"].shape[1:])
        return {part: (x, targets[chosen[part][0]][chosen[part][1]]) for part, x in made.items()}

    def _sets(self) -> dict[Part, Any]:
        """Return the data set's own splits, by the parts that they are."""
        import datasets

        folder = Path(self.path).expanduser()
        datasets.disable_progress_bars()
        try:
            on_disk = folder.is_dir() and any((folder / name).exists() for name in ("state.json", "dataset_dict.json"))
            found = datasets.load_from_disk(str(folder)) if on_disk else datasets.load_dataset(self.path, self.name)
        except Exception as error:  # of whatever kind the library raises, the network's among them
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise ValueError(f"data.path={self.path} cannot be read ({reason}). Give another.") from error
        splits = {"train": found} if isinstance(found, datasets.Dataset) else dict(found)
        parts = {NAMES[name.lower()]: one for name, one in splits.items() if name.lower() in NAMES}
        if "train" not in parts:
            raise ValueError(f"data.path={self.path}: It has {', '.join(splits)}, and no split 'train'. Give another.")
        return parts

    def _tell(self, one: Any) -> None:
        """Say what is learned, as the columns show it."""
        import datasets

        x, y = (one.features[self.columns[key]] for key in ("x", "y"))
        is_text = isinstance(x, datasets.Value) and x.dtype in ("string", "large_string")
        self.inputs = "image" if isinstance(x, datasets.Image) else "texts" if is_text else "table"
        if self.inputs == "image":
            grey = all(image.mode in GREY for image in one[: min(16, len(one))][self.columns["x"]])
            self.mode = "L" if grey else "RGB"
        is_number = isinstance(y, datasets.Value) and y.dtype.startswith("float")
        self.task = "regression" if is_number else "classification"
        if self.task == "regression":
            self.num_outputs = 1
        else:
            named = isinstance(y, datasets.ClassLabel)
            values = y.names if named else sorted({*one[self.columns["y"]]}, key=str)
            self.class_names = tuple(map(str, values))
            self.num_outputs = len(values)
            self._numbers = None if named else {value: number for number, value in enumerate(values)}

    def _targets(self, one: Any) -> Tensor:
        values = one[self.columns["y"]]
        if self.task == "regression":
            return torch.tensor(list(values), dtype=torch.float64)[:, None]
        try:
            numbers = list(values) if self._numbers is None else [self._numbers[value] for value in values]
        except KeyError as error:
            raise ValueError(f"data.y={self.columns['y']}: Training has no class {error}. Give another.") from error
        if min(numbers, default=0) < 0:  # what the hub's test splits without labels have
            raise ValueError(f"data.y={self.columns['y']}: A split of {self.path} has no labels (-1). Give another.")
        return torch.tensor(numbers)

    def _chosen(self, targets: dict[Part, Tensor]) -> dict[Part, tuple[Part, Tensor]]:
        """Return the split of each part, and which of its rows."""
        y = targets["train"]
        classes = y if self.task == "classification" else None
        share = {part: 0.0 if part in targets else fraction for part, fraction in
                 (("val", self.val_fraction), ("test", self.test_fraction))}  # fmt: skip
        ours = split(len(y), share["val"], share["test"], self.split_seed, classes)
        whole: dict[Part, tuple[Part, Tensor]] = {
            part: (part, torch.arange(len(values))) for part, values in targets.items() if part != "train"
        }
        return {part: whole.get(part, ("train", index)) for part, index in ours.items()}

    def _kept(self, values: Any) -> Tensor:
        """Return inputs as they are kept: pixels, tokens, or numbers."""
        if self.inputs == "image":
            return torch.from_numpy(np.stack([pixels(image, self.size, self.mode) for image in values]))
        if self.inputs == "texts":
            return rows_of(self.tokenizer, [str(text).encode() for text in values], self.context)
        try:
            return torch.from_numpy(np.asarray(list(values), np.float32)).reshape(len(values), -1)
        except ValueError as error:
            raise ValueError(f"data.x={self.columns['x']}: It holds no numbers of one shape. Give another.") from error

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """The same inputs; means and deviations are taken of training, and targets of a regression standardized."""
        x, y = parts["train"]
        if self.inputs != "texts":
            mean, std = moments(x, [0, 2, 3] if self.inputs == "image" else [0])
            self.moments = mean.float(), std.float()
        if self.task == "classification":
            return parts
        self.target_mean, self.target_std = (moment.item() for moment in moments(y, [0]))
        return {part: (x, ((y - self.target_mean) / self.target_std).float()) for part, (x, y) in parts.items()}

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches as numbers."""
        given = (x, y, self.batch_size, self.seed, shuffle, rank, ranks)
        return OfTokens(*given) if self.inputs == "texts" else Scaled(self.moments, *given)

    def encode(self, samples: Any) -> Tensor:
        """Return the inputs that are made of samples: Pillow's images, rows of numbers, or texts."""
        kept = self._kept(samples)
        return kept.long() if self.inputs == "texts" else (kept - self.moments[0]) / self.moments[1]

    def samples_in(self, path: str, count: int) -> Iterator[Sequence[Any]]:
        """Yield the inputs of a data set on disk, in pieces."""
        import datasets

        try:
            found = datasets.load_from_disk(path)
        except Exception as error:  # of whatever kind the library raises
            raise ValueError(
                f"{path} cannot be read ({' '.join(str(error).split())[:200]}). Give a data set."
            ) from error
        one = next(iter(found.values())) if isinstance(found, datasets.DatasetDict) else found
        if self.columns["x"] not in one.column_names:
            raise ValueError(f"{path} has no column {self.columns['x']!r}. It has {', '.join(one.column_names)}.")
        for start in range(0, len(one), count):
            yield one[start : start + count][self.columns["x"]]

    def fitted(self) -> dict[str, Any]:
        """Return what was fitted to the training part."""
        return {"mean": self.moments[0].tolist(), "std": self.moments[1].tolist(), "mode": self.mode,
                "tokenizer": self.tokenizer.content()}  # fmt: skip

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was fitted, without the data set that it was fitted to."""
        self.moments, self.mode = (torch.tensor(fitted["mean"]), torch.tensor(fitted["std"])), fitted["mode"]
        self.tokenizer = restored(fitted["tokenizer"])
