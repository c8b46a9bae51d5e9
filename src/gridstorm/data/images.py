"""Images of the user's own, in folders or listed in a table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import Batches, InMemory, Part
from gridstorm.data._batches import Scaled
from gridstorm.data._image import CHANGES, Labelled, Pictures, changed, images_at, images_in, mode_of, opened, pixels_of
from gridstorm.data._split import split

Augment = Literal["flip", "crop", "jitter"]
SHOWN = 3
PARTS_OF_ALL = 3  # images of a class, so that each part can have one


class Images(InMemory):
    """Images in class folders, or in a table of paths and labels; each is scaled to one size and cut at the middle.

    They are read once, by all cores, and kept as bytes: in memory, or where they are large in a temporary file that the
    system reads by need. Numbers are made of them batch by batch, standardized by each channel's mean and deviation in
    training, on the device that trains; so are the changes of `augment`, which the seed and the epoch draw.

    Args:
        path: A folder of class folders, or of `train`, `val` and `test`; or a table with `path`, `label`, and `part`.
        size: Of the sides, in pixels.
        channels: 1 for grey, 3 for colors; `auto` looks at the images.
        augment: What is done to training images: mirrored, shifted, or changed in brightness and contrast.
    """

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "image"

    def __init__(
        self,
        path: str,
        size: int = 32,
        channels: Literal["auto", 1, 3] = "auto",
        augment: Sequence[Augment] = (),
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if size < 1:
            raise ValueError(f"data.size={size} is less than one pixel. Give a number of at least 1.")
        if unknown := [name for name in augment if name not in CHANGES]:
            raise ValueError(f"data.augment={unknown[0]}: There is no such change. Choose of {', '.join(CHANGES)}.")
        self.path, self.size, self.channels, self.augment = path, size, channels, [*augment]
        self.moments = torch.tensor(0.0), torch.tensor(1.0)
        self.broken: list[str] = []

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts: x [N, C, size, size] uint8, and y [N], the number of the class by name.

        Raises:
            ValueError: There are no images, no two classes, or a class that training does not have.
        """
        found = images_in(self.path)
        listed = [one for part in found.values() for one in part]
        self.mode = {1: "L", 3: "RGB"}.get(self.channels if isinstance(self.channels, int) else 0) or mode_of(
            [file for file, _ in listed]
        )
        self.class_names = tuple(sorted({label for _, label in listed}))
        if len(self.class_names) < 2:
            raise ValueError(
                f"data.path={self.path}: All images are {self.class_names[0]!r}. Give two classes or more."
            )
        self.num_outputs, self.input_shape = len(self.class_names), (1 if self.mode == "L" else 3, self.size, self.size)
        parts = {part: self._tensors(some) for part, some in self._parts(found).items()}
        counts = torch.bincount(parts["train"][1], minlength=self.num_outputs).tolist()
        if 0 in counts:
            fact = f"Training has no image of the class {self.class_names[counts.index(0)]!r} that can be read."
            raise ValueError(f"data.path={self.path}: {fact} Add some, or drop the class.")
        return parts

    def _parts(self, found: Mapping[Part | None, Labelled]) -> dict[Part, Labelled]:
        """Return the images of each part: as the folders say, else as the seed and the fractions do.

        Where there is no test, some of training are.
        """
        if None not in found and "test" in found:
            return {part: some for part, some in found.items() if part}
        whole = found[None if None in found else "train"]
        labels = [self.class_names.index(label) for _, label in whole]
        if few := [name for name, count in Counter(label for _, label in whole).items() if count < PARTS_OF_ALL]:
            fact = f"The class {few[0]!r} has fewer than {PARTS_OF_ALL} images, and there are three parts."
            raise ValueError(f"data.path={self.path}: {fact} Add some, or drop it.")
        chosen = split(len(whole), self.val_fraction, self.test_fraction, self.split_seed, torch.tensor(labels))
        parts = {part: [whole[number] for number in sorted(index.tolist())] for part, index in chosen.items()}
        if "val" in found:
            parts = {"train": parts["train"] + parts["val"], "val": found["val"], "test": parts["test"]}
        return parts

    def _tensors(self, some: Sequence[tuple[Path, str]]) -> tuple[Tensor, Tensor]:
        numbers = {name: number for number, name in enumerate(self.class_names)}
        if unknown := sorted({label for _, label in some} - {*numbers}):
            raise ValueError(
                f"data.path={self.path}: Training has no class {unknown[0]!r}. Add images of it, or drop it."
            )
        x, good, broken = pixels_of([file for file, _ in some], self.size, self.mode)
        self.broken += broken
        if not len(x):
            fact = f"Of a part's images none can be read ({broken[0]})." if broken else "A part has no image."
            raise ValueError(f"data.path={self.path}: {fact} Give more.")
        return x, torch.tensor([numbers[some[place][1]] for place in good])

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """The same parts; each channel's mean and deviation are taken of training."""
        x = parts["train"][0]
        counts = torch.stack([torch.bincount(x[:, channel].flatten(), minlength=256) for channel in range(x.shape[1])])
        shares, values = counts.double() / counts.sum(1, keepdim=True), torch.arange(256).double()
        mean = (shares * values).sum(1)
        std = (shares * values**2).sum(1).sub(mean**2).clamp(min=0).sqrt()
        shaped = (moment.float().view(1, -1, 1, 1) for moment in (mean, std.where(std > 1e-6, 1.0)))
        self.moments = (*shaped,)  # type: ignore[assignment]  # two
        return parts

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches as numbers, those of training changed at random where that was asked for."""
        augment = self.augment if shuffle else []
        return OfImages(augment, self.moments, x, y, self.batch_size, self.seed, shuffle, rank, ranks)

    @property
    def notes(self) -> list[str]:
        """What is to be known before the training."""
        count = len(self.broken)
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        named = f"{'; '.join(self.broken[:SHOWN])}{more}"
        return [f"Left out: {count} images that cannot be read: {named}"] if count else []

    def samples_in(self, path: str, count: int) -> Iterator[Pictures]:
        """Yield the images that a path means in pieces; what cannot be read is left out, and stands in the notes."""
        files = images_at(path)
        for start in range(0, len(files), count):
            yield self._pictures(files[start : start + count])
        if len(self.broken) == len(files):
            raise ValueError(f"{path}: No image in it can be read ({self.broken[0]}). Give others.")

    def _pictures(self, files: Sequence[Path]) -> Pictures:
        pixels, good, broken = pixels_of(files, self.size, self.mode)
        self.broken += broken
        return Pictures([files[place] for place in good], pixels)

    def labelled_in(self, path: str) -> tuple[Tensor, Tensor]:
        """Return the inputs and the classes of a folder of class folders, or of a table."""
        listed = [one for part in images_in(path).values() for one in part]
        x, y = self._tensors(listed)
        return self._numbers(x), y

    def encode(self, samples: Any) -> Tensor:
        """Return the inputs that are made of images: paths, or pixels [N, C, size, size] from 0 to 255."""
        if isinstance(samples, Sequence):
            samples = np.stack([opened(Path(file), self.size, self.mode) for file in samples])
        return self._numbers(samples.pixels if isinstance(samples, Pictures) else torch.as_tensor(samples))

    def _numbers(self, x: Tensor) -> Tensor:
        mean, std = self.moments
        return (x.float() - mean) / std

    def fitted(self) -> dict[str, Any]:
        """Return what was fitted to the training part."""
        return {"mean": self.moments[0].tolist(), "std": self.moments[1].tolist(), "mode": self.mode}

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was fitted, without the images that it was fitted to."""
        self.moments = torch.tensor(fitted["mean"]), torch.tensor(fitted["std"])
        self.mode = fitted["mode"]


class OfImages(Scaled):
    """Batches of images, of whose bytes numbers are made, and which are then changed at random."""

    def __init__(self, augment: Sequence[str], *given: Any) -> None:
        super().__init__(*given)
        self.augment = augment

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # torch's CPU generator reads the low 32 bits of its seed only.
        draw = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch + 7) % 2**32)
        return changed(super().__iter__(), self.augment, draw)
