"""Images in files: found in folders or listed in a table, and read at one size."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from gridstorm.data._frame import read, refuse_missing
from gridstorm.data._memory import PARTS, Part
from gridstorm.data._split import NAMES

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
LARGE, SOME = 2**15, 100  # bytes of a file whose decoding outweighs what threads cost; files that are looked at
IN_MEMORY = 2**30  # bytes, above which pixels lie in a file that the system reads by need
GREY = ("1", "L", "I", "F", "I;16", "LA")  # modes of Pillow without colors
Labelled = list[tuple[Path, str]]


def images_in(path: str) -> dict[Part | None, Labelled]:
    """Return the images of each part with their classes, under None where nothing tells the parts.

    Args:
        path: A folder of class folders, one of `train`, `val` and `test` with such in each, or a table with columns
            `path` (from the table's folder) and `label`, and where there is one `part`.

    Raises:
        ValueError: There is nothing, or no image, or a part is empty.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return _listed(place)
    if not place.is_dir():
        raise ValueError(f"data.path={path}: There is no such folder. Give one of class folders, or a table of paths.")
    parts = {NAMES[folder.name.lower()]: folder for folder in _folders(place) if folder.name.lower() in NAMES}
    if "train" in parts and "val" in parts:
        found: dict[Part | None, Labelled] = {part: _of_classes(parts[part]) for part in PARTS if part in parts}
    else:
        found = {None: _of_classes(place)}
    if not any(found.values()):
        names = ", ".join(sorted(SUFFIXES))
        raise ValueError(f"data.path={path}: No folder in it has images ({names}). Give a folder of class folders.")
    return found


def _folders(place: Path) -> list[Path]:
    return sorted(folder for folder in place.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _of_classes(place: Path) -> Labelled:
    """Return the images in class folders, by name, so that their order is the same on every machine."""
    return [(file, folder.name) for folder in _folders(place) for file in sorted(folder.rglob("*")) if is_image(file)]


def is_image(file: Path) -> bool:
    """Tell whether a file's name is that of an image."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def images_at(path: str) -> list[Path]:
    """Return the images that a path means: one, those of a folder, or those that a table lists as `path`.

    Raises:
        ValueError: There is none.
    """
    place = Path(path).expanduser()
    if place.is_file() and not is_image(place):
        frame = read(path, "FILE")
        refuse_missing("FILE", "path", frame.columns, path)
        return [place.parent / str(name) for name in frame["path"].to_list()]
    files = [place] if place.is_file() else sorted(file for file in place.rglob("*") if is_image(file))
    if not files:
        raise ValueError(f"{path}: There is no image in it. Give an image, a folder of images, or a table of paths.")
    return files


def _listed(file: Path) -> dict[Part | None, Labelled]:
    frame = read(str(file))
    if lacking := [name for name in ("path", "label") if name not in frame.columns]:
        listed = ", ".join(frame.columns)
        raise ValueError(
            f"data.path={file}: It has no column {lacking[0]!r}. Let it have path and label, not {listed}."
        )
    rows = zip(frame["path"].to_list(), frame["label"].cast(pl.String).to_list(), strict=True)
    whole = [(file.parent / str(name), str(label)) for name, label in rows]
    if "part" not in frame.columns:
        return {None: whole}
    parts = [NAMES.get(str(part).strip().lower()) for part in frame["part"].to_list()]
    if None in parts:
        raise ValueError(f"data.path={file}: Row {parts.index(None) + 2} has no part. Let it say train, val or test.")
    return {part: [one for one, of in zip(whole, parts, strict=True) if of == part] for part in PARTS}


@dataclass
class Pictures:
    """Images that were read.

    Args:
        files: Their files.
        pixels: [N, C, size, size] uint8.
    """

    files: list[Path]
    pixels: Tensor

    def __len__(self) -> int:
        return len(self.files)


def opened(file: Path, size: int, mode: str) -> NDArray[np.uint8]:
    """Return an image [C, size, size]: scaled until its shorter side fits, and cut at the middle.

    Raises:
        ValueError: It is no image, or a damaged one, or larger than Pillow's limit against bombs.
    """
    try:
        with Image.open(file) as image:
            image.draft(mode, (size, size))  # of a JPEG no more is decoded than is needed
            return pixels(image, size, mode)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file}: {' '.join(str(error).split())}") from error


def pixels(image: Image.Image, size: int, mode: str) -> NDArray[np.uint8]:
    """Return an image [C, size, size]."""
    deep = image.mode.startswith("I;16")  # of which Pillow would cut off what is above 255
    plain = Image.fromarray((np.asarray(image) // 256).astype(np.uint8)) if deep else image
    fitted = np.asarray(ImageOps.fit(plain.convert(mode), (size, size), Image.Resampling.BILINEAR), np.uint8)
    return fitted[None] if mode == "L" else fitted.transpose(2, 0, 1)


def mode_of(files: Sequence[Path]) -> str:
    """Return `L` where the first images that can be read are all grey, else `RGB`."""
    modes = []
    for file in files[:: max(1, len(files) // 64)]:
        try:
            with Image.open(file) as image:
                modes.append(image.mode)
        except (UnidentifiedImageError, OSError):
            continue
    return "L" if modes and all(mode in GREY for mode in modes) else "RGB"


def pixels_of(files: Sequence[Path], size: int, mode: str) -> tuple[Tensor, list[int], list[str]]:
    """Read images by as many threads as there are cores.

    Returns:
        The pixels [N, C, size, size] of those that could be read, uint8; the places of these among the files; and why
        the others could not be.
    """
    channels = 1 if mode == "L" else 3
    shape = (len(files), channels, size, size)
    whole = _place_for(shape)
    errors: dict[int, str] = {}

    def fill(number: int) -> None:
        try:
            whole[number] = opened(files[number], size, mode)
        except ValueError as error:
            errors[number] = str(error)

    _for_each(fill, len(files), sum(file.stat().st_size for file in files[:SOME] if file.is_file()))
    good = [number for number in range(len(files)) if number not in errors]
    for place, number in enumerate(good if errors else ()):  # close the gaps, in place
        whole[place] = whole[number]
    return torch.from_numpy(whole[: len(good)]), good, [errors[number] for number in sorted(errors)]


def _for_each(fill: Callable[[int], None], count: int, size: int) -> None:
    """Carry out what reads a file for each of them: large ones by several threads, small ones are read sooner by one.

    Args:
        fill: What reads.
        count: How many there are.
        size: Bytes of the first SOME of them.
    """
    if size < LARGE * min(count, SOME):
        for number in range(count):
            fill(number)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(fill, range(count)):
            pass


def _place_for(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return an array in memory, or where it is large in a file without a name, that goes when nobody has it."""
    if np.prod(shape) <= IN_MEMORY:
        return np.empty(shape, np.uint8)
    with TemporaryFile() as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


Change = Callable[[Tensor, torch.Generator], Tensor]


def flip(x: Tensor, draw: torch.Generator) -> Tensor:
    """Mirror half of the images x [N, C, H, W] from left to right."""
    mirrored = torch.rand(len(x), generator=draw) < 0.5
    return torch.where(mirrored.to(x.device)[:, None, None, None], x.flip(-1), x)


def crop(x: Tensor, draw: torch.Generator) -> Tensor:
    """Shift each image by up to an eighth of its size, what comes in being the mirrored edge."""
    size = x.shape[-1]
    reach = max(1, size // 8)
    padded = torch.nn.functional.pad(x, (reach,) * 4, "reflect")
    starts = torch.randint(0, 2 * reach + 1, (2, len(x)), generator=draw).to(x.device)
    span = torch.arange(size, device=x.device)
    rows, columns = ((start[:, None] + span)[:, None] for start in starts)  # [N, 1, size]
    across = padded.gather(2, rows.movedim(1, 2)[:, None].expand(-1, x.shape[1], -1, padded.shape[-1]))
    shifted: Tensor = across.gather(3, columns[:, None].expand(-1, x.shape[1], size, -1))
    return shifted


def jitter(x: Tensor, draw: torch.Generator) -> Tensor:
    """Change brightness and contrast of each image by up to a fifth."""
    light, contrast = (torch.rand(2, len(x), generator=draw) * 0.4 + 0.8).to(x.device)[..., None, None, None]
    mean = x.mean((1, 2, 3), keepdim=True)
    other: Tensor = (x - mean) * contrast + mean * light
    return other


CHANGES: dict[str, Change] = {"flip": flip, "crop": crop, "jitter": jitter}


def changed(
    batches: Iterator[tuple[Tensor, Tensor]], names: Sequence[str], draw: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches whose images are changed at random, on their device."""
    for x, y in batches:
        for name in names:
            x = CHANGES[name](x, draw)
        yield x, y
