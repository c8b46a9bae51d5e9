"""Pictures of what a model gets right and wrong: uint8 arrays [height, width, 3], drawn with Pillow alone."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from gridstorm.report.panel import Marks

Pixels = NDArray[np.uint8]
Colour = tuple[int, ...]
INK: Colour = (33, 37, 41)
MUTED: Colour = (108, 117, 125)
LINE: Colour = (222, 226, 230)
WHITE: Colour = (255, 255, 255)
RIGHT: Colour = (29, 91, 168)
WRONG: Colour = (196, 49, 38)
FONT_SIZE = 15
NAME_WIDTH = 150
CAPTION_WIDTH = 200
HEADING = 40
NUMBERED_CLASSES = 20
DRAWN_DOTS = 5000


def confusion_matrix(counts: NDArray[np.integer[Any]], names: Sequence[str]) -> Pixels:
    """Draw `counts` [C, C] (rows: true class, columns: predicted class) as a table coloured by each row's shares.

    The diagonal is blue and mistakes are red, on a square-root scale, so that a few of them show. Up to 20 classes the
    counts are written in. A `counts` that is not square, or not of `names`' length, is a ValueError.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(names), len(names)) or not names:
        raise ValueError(
            f"The confusion matrix has the shape {counts.shape} and there are {len(names)} class names. "
            "Give at least one class, and as many rows and as many columns as there are names."
        )
    cell = max(1, min(110, min(300 + 15 * len(names), 600) // len(names)))
    longest = min(NAME_WIDTH, max(map(_text_width, names)))
    upright = longest > cell - 6
    left, grid = longest + 46, cell * len(names)
    canvas = _Canvas(max(left + grid + 24, 320), HEADING + grid + (longest if upright else FONT_SIZE) + 46)
    canvas.text((left, HEADING / 2), f"{int(counts.trace()):,} of {int(counts.sum()):,} right", anchor="lm")
    canvas.picture((left, HEADING), _share_colours(counts), cell)
    if len(names) <= NUMBERED_CLASSES:
        _write_counts(canvas, counts, left, cell)
    _write_names(canvas, names, left, cell, upright)
    return canvas.pixels()


def gallery(images: NDArray[np.floating[Any]], captions: Sequence[str], columns: int = 8) -> Pixels:
    """Draw `images` [N, C, H, W] in rows of at most `columns`, each over its caption, such as "8 not 3".

    Each picture is stretched from its own smallest to its own largest value. Three channels are colours, any other
    number is averaged to grey; small pictures are enlarged pixel by pixel. No picture at all is one that says "none".
    Another number of captions than of pictures is a ValueError.
    """
    images = np.asarray(images)
    if len(images) != len(captions):
        raise ValueError(f"There are {len(images)} pictures and {len(captions)} captions. Give one for each picture.")
    if not len(images):
        return _notice("none")
    tiles = [_tile(image) for image in images]
    scale = max(1, 72 // max(tiles[0].shape[:2]))
    height, width = (scale * side for side in tiles[0].shape[:2])
    room = max(width, min(CAPTION_WIDTH, max(map(_text_width, captions)))) + 12
    columns = max(1, min(columns, len(tiles), 760 // room))
    canvas = _Canvas(columns * room + 12, math.ceil(len(tiles) / columns) * (height + 34) + 12)
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x, y = 12 + index % columns * room, 12 + index // columns * (height + 34)
        canvas.picture((x + (room - 12 - width) // 2, y), tile, scale)
        canvas.text((x + (room - 12) / 2, y + height + 13), _shortened(caption, room - 6))
    return canvas.pixels()


def scatter(true: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]], unit: str = "") -> Pixels:
    """Draw `predicted` [N] against `true` [N], both in `unit`, with the line on which a perfect model's dots would lie.

    Pairs that are not finite are left out and counted in the heading; of more than 5,000 dots every n-th is drawn.
    Arrays of different lengths are a ValueError.
    """
    pairs = [np.asarray(values, dtype=float).ravel() for values in (true, predicted)]
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError(
            f"There are {len(pairs[0])} true values and {len(pairs[1])} predictions. "
            "Give one prediction for each true value."
        )
    points = np.stack(pairs, axis=1)
    # Larger numbers have no finite square; NaN is not smaller than anything.
    finite = points[(np.abs(points) < 1e100).all(axis=1)]
    lost = len(points) - len(finite)
    if not len(finite):
        return _notice(f"none of {lost} is finite" if lost else "none")
    ticks = _ticks(finite.min(), finite.max())
    side, left = 440, 56 + max(_text_width(f"{tick:.6g}") for tick in ticks)
    canvas = _Canvas(left + side + 36, HEADING + side + 62)
    canvas.text((left, HEADING / 2), _shortened(_scores(finite, unit, lost), side), anchor="lm")
    _draw_axes(canvas, ticks, left, side, unit)
    drawn = finite[:: math.ceil(len(finite) / DRAWN_DOTS)]
    for across, up in side * (drawn - ticks[0]) / (ticks[-1] - ticks[0]):
        canvas.dot((left + across, HEADING + side - up), 4, (*RIGHT, 110))
    return canvas.pixels()


def isolation(marks: Marks) -> Pixels:
    """Draw the scores of settings by a key, with the best at each value over all others, as the report does."""
    (x, across), (y, up) = marks.x, marks.y
    canvas = _Canvas(410, 250)
    canvas.text((10, 12), marks.heading, anchor="lm")
    for value, label in up:
        canvas.line((x.start, y.at(value)), (x.end, y.at(value)), LINE)
        canvas.text((x.start - 6, y.at(value)), label, anchor="rm", colour=MUTED)
    for value, label in across:
        canvas.text((x.at(value), y.start + 14), label, colour=MUTED)
    canvas.line((x.start, y.start), (x.end, y.start), MUTED)
    for one, other in pairwise(marks.best):
        canvas.line(one, other, RIGHT, 2)
    for left, low, high in marks.spans:
        canvas.line((left, low), (left, high), INK)
    for number, ((left, top), good) in reversed([*enumerate(zip(marks.places, marks.good, strict=True))]):
        if good:
            canvas.dot((left, top), 4 if number == 0 else 3, WRONG if number == 0 else (*RIGHT, 110))
        else:
            canvas.line((left - 3, top - 3), (left + 3, top + 3), MUTED)
            canvas.line((left - 3, top + 3), (left + 3, top - 3), MUTED)
    return canvas.pixels()


def line_chart(heading: str, across: Sequence[float], up: Sequence[float]) -> Pixels:
    """Draw values by positive places, whose axis is logarithmic."""
    from gridstorm.report.chart import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Scale
    from gridstorm.report.chart import RIGHT as MARGIN
    from gridstorm.report.panel import Marks

    low, high = min(up), max(up)
    x = Scale(across[0], across[-1], LEFT, WIDTH - MARGIN, is_log=True)
    y = Scale(low, high if high > low else low + 1, HEIGHT - BOTTOM, TOP)
    places = [(x.at(one), y.at(other)) for one, other in zip(across, up, strict=True)]
    return isolation(Marks(heading, (), (), places, (), (x, x.ticks()), (y, y.ticks())))


class _Canvas:
    """A white picture that is drawn at twice its size and halved at the end, which makes lines and dots smooth."""

    def __init__(self, width: int, height: int) -> None:
        self.height = height
        self._image = Image.new("RGB", (2 * width, 2 * height), WHITE)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def text(
        self,
        place: tuple[float, float],
        text: str,
        anchor: str = "mm",
        colour: Colour = INK,
        size: int = FONT_SIZE,
        upright: bool = False,
    ) -> None:
        """Write `text` at `place`; `upright`: from bottom to top, where `anchor` is that of the lying text."""
        x, y = (2 * value for value in place)
        if not upright:
            self._draw.text((x, y), _plain(text), fill=colour, font=_font(2 * size), anchor=anchor)
            return
        length = 2 * _text_width(text, size) + 8
        strip = Image.new("L", (length, 4 * size))
        start = {"l": 4, "m": length / 2, "r": length - 4}[anchor[0]]
        ImageDraw.Draw(strip).text((start, 2 * size), _plain(text), fill=255, font=_font(2 * size), anchor=anchor)
        corner = (round(x - 2 * size), round(y - length + start))
        self._image.paste(colour, corner, strip.transpose(Image.Transpose.ROTATE_90))

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: Colour, width: int = 1) -> None:
        self._draw.line([2 * value for value in (*start, *end)], fill=colour, width=2 * width)

    def dot(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        self._draw.circle([2 * value for value in centre], 2 * radius, fill=colour)

    def picture(self, corner: tuple[int, int], pixels: Pixels, scale: int) -> None:
        """Put `pixels` at `corner`, each of them a square of `scale` pixels."""
        height, width = (2 * scale * side for side in pixels.shape[:2])
        enlarged = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        self._image.paste(enlarged, (2 * corner[0], 2 * corner[1]))

    def pixels(self) -> Pixels:
        return np.array(self._image.reduce(2), dtype=np.uint8)


def _notice(text: str) -> Pixels:
    canvas = _Canvas(320, 80)
    canvas.text((160, 40), text, colour=MUTED)
    return canvas.pixels()


def _share_colours(counts: NDArray[np.integer[Any]]) -> Pixels:
    """A colour [C, C, 3] for each count: the deeper the larger its share of its row."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(counts), dtype=bool)[..., None]
    depth = np.sqrt(shares)[..., None]
    colours: NDArray[np.float64] = depth * np.where(diagonal, RIGHT, WRONG) + (1 - depth) * np.array(WHITE)
    return colours.round().astype(np.uint8)


def _write_counts(canvas: _Canvas, counts: NDArray[np.integer[Any]], left: int, cell: int) -> None:
    """Rule the table and write its counts but the zeros, white on deep colours."""
    for place in range(0, cell * len(counts) + 1, cell):
        canvas.line((left + place, HEADING), (left + place, HEADING + cell * len(counts)), LINE)
        canvas.line((left, HEADING + place), (left + cell * len(counts), HEADING + place), LINE)
    size = next((size for size in range(20, 7, -1) if _text_width(str(counts.max()), size) <= cell - 6), 7)
    brightness = _share_colours(counts).mean(axis=2)
    for row, column in np.argwhere(counts):
        middle = (left + (column + 0.5) * cell, HEADING + (row + 0.5) * cell)
        colour = WHITE if brightness[row, column] < 150 else INK
        canvas.text(middle, str(counts[row, column]), colour=colour, size=size)


def _write_names(canvas: _Canvas, names: Sequence[str], left: int, cell: int, upright: bool) -> None:
    """Name the rows and columns, or every n-th of them where they are too close, and the two axes."""
    grid = cell * len(names)
    for index in range(0, len(names), math.ceil((FONT_SIZE + 2) / cell)):
        name, middle = _shortened(names[index], NAME_WIDTH), (index + 0.5) * cell
        canvas.text((left - 8, HEADING + middle), name, anchor="rm")
        if upright:
            canvas.text((left + middle, HEADING + grid + 6), name, anchor="rm", upright=True)
        else:
            canvas.text((left + middle, HEADING + grid + 14), name)
    canvas.text((left + grid / 2, canvas.height - 14), "predicted", colour=MUTED)
    canvas.text((16, HEADING + grid / 2), "true", colour=MUTED, upright=True)


def _draw_axes(canvas: _Canvas, ticks: NDArray[np.float64], left: int, side: int, unit: str) -> None:
    """Draw a square with the same `ticks` on both sides, their labels, the axes' names and the diagonal."""
    bottom = HEADING + side
    for tick in ticks:
        place, label = side * (tick - ticks[0]) / (ticks[-1] - ticks[0]), f"{tick:.6g}"
        canvas.line((left, bottom - place), (left + side, bottom - place), LINE)
        canvas.line((left + place, HEADING), (left + place, bottom), LINE)
        canvas.text((left - 8, bottom - place), label, anchor="rm", colour=MUTED)
        canvas.text((left + place, bottom + 16), label, colour=MUTED)
    canvas.line((left, bottom), (left + side, HEADING), MUTED)
    canvas.text((left + side / 2, bottom + 42), f"true {unit}".strip())
    canvas.text((18, HEADING + side / 2), f"predicted {unit}".strip(), upright=True)


def _scores(points: NDArray[np.float64], unit: str, lost: int) -> str:
    """The heading: root mean squared error, R2 where the true values differ, and the number of pairs."""
    true, errors = points[:, 0], points[:, 1] - points[:, 0]
    words = [f"RMSE {math.sqrt((errors**2).mean()):.3g} {unit}".strip()]
    if variance := true.var():
        words.append(f"R2 {1 - (errors**2).mean() / variance:.3g}")
    return ", ".join([*words, f"{len(points):,} samples", *([f"{lost:,} not finite"] if lost else [])])


def _ticks(low: float, high: float) -> NDArray[np.float64]:
    """Four to eight round numbers that span `low` to `high`; around a single value where these are the same."""
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        margin = 0.1 * abs(low) or 1.0
        low, high = low - margin, high + margin
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= (high - low) / 5)
    ticks: NDArray[np.float64] = step * np.arange(math.floor(low / step), math.ceil(high / step) + 1, dtype=np.float64)
    return ticks


def _tile(image: NDArray[np.floating[Any]]) -> Pixels:
    """One picture [C, H, W] as pixels [H, W, 3], from its smallest value (black) to its largest (white)."""
    values = np.nan_to_num(np.asarray(image, dtype=float), posinf=0.0, neginf=0.0)
    if len(values) != 3:
        values = np.repeat(values.mean(axis=0, keepdims=True), 3, axis=0)
    span = values.max() - values.min()
    bright = 255 * (values - values.min()) / (span or 1.0)
    return np.ascontiguousarray(bright.transpose(1, 2, 0)).round().astype(np.uint8)


def _plain(text: str) -> str:
    """`text` on one line and in ASCII, which is what Pillow's own font can write on every machine."""
    letters = unicodedata.normalize("NFKD", " ".join(text.split()))
    return "".join(letter if letter.isascii() else "?" for letter in letters if not unicodedata.combining(letter))


def _shortened(text: str, width: int) -> str:
    """`text` cut to `width` pixels, with dots where something is missing."""
    if _text_width(text) <= width:
        return text
    # No letter is narrower than two pixels.
    ends = range(min(len(text), width // 2), -1, -1)
    return next(cut for end in ends if _text_width(cut := f"{text[:end].rstrip()}...") <= width)


def _text_width(text: str, size: int = FONT_SIZE) -> int:
    return math.ceil(_font(2 * size).getlength(_plain(text)) / 2)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
