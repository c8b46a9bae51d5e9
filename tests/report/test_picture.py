import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gridstorm.report import picture
from gridstorm.report.picture import confusion_matrix, gallery, scatter

rng = np.random.default_rng(0)


def is_picture(pixels: NDArray[np.uint8]) -> bool:
    """A uint8 array [H, W, 3] of a size for the screen with something drawn on it."""
    height, width, colours = pixels.shape
    return (
        pixels.dtype == np.uint8 and colours == 3 and 70 < height < 1200 and 300 < width < 1200 and pixels.min() < 150
    )


def blue(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Rows and columns [2, K] of the clearly blue pixels: right answers and dots."""
    return np.stack(np.nonzero(pixels[..., 2] > pixels[..., 0].astype(int) + 30))


def red(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Rows and columns [2, K] of the clearly red pixels: mistakes."""
    return np.stack(np.nonzero(pixels[..., 0] > pixels[..., 2].astype(int) + 30))


@pytest.mark.parametrize("num_classes", [1, 2, 10, 20, 21, 100, 1000])
def test_a_confusion_matrix_is_drawn_for_few_and_for_many_classes(num_classes: int) -> None:
    counts = rng.integers(0, 50, (num_classes, num_classes))
    assert is_picture(confusion_matrix(counts, [f"class {index}" for index in range(num_classes)]))


def test_right_answers_are_blue_and_mistakes_are_red() -> None:
    right = confusion_matrix(np.array([[9, 0], [0, 9]]), ["a", "b"])
    wrong = confusion_matrix(np.array([[0, 9], [9, 0]]), ["a", "b"])
    assert blue(right).size > 10_000 and not red(right).size
    assert red(wrong).size > 10_000 and not blue(wrong).size


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    low, left = red(confusion_matrix(np.array([[0, 0], [9, 0]]), ["a", "b"])).mean(axis=1)
    high, right = red(confusion_matrix(np.array([[0, 9], [0, 0]]), ["a", "b"])).mean(axis=1)
    assert high < low - 100
    assert left < right - 100


def test_a_row_is_coloured_by_its_own_shares() -> None:
    assert blue(confusion_matrix(np.array([[10, 0], [1000, 0]]), ["a", "b"])).shape[1] > 10_000


def test_a_class_without_samples_is_an_empty_row() -> None:
    assert is_picture(confusion_matrix(np.array([[5, 0], [0, 0]]), ["a", "b"]))
    assert is_picture(confusion_matrix(np.zeros((2, 2), int), ["a", "b"]))


def test_counts_are_written_into_the_cells() -> None:
    one, other = (confusion_matrix(np.array([[count, 0], [0, count]]), ["a", "b"]) for count in (3, 8))
    below_the_heading = slice(40, None)
    assert not np.array_equal(one[below_the_heading], other[below_the_heading])


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (2,), (0, 0)])
def test_counts_that_do_not_fit_the_names_are_refused(shape: tuple[int, ...]) -> None:
    names = ["a", "b"] if shape != (0, 0) else []
    with pytest.raises(ValueError, match=r"has the shape \(.*\) and there are \d class names\. Give "):
        confusion_matrix(np.zeros(shape, int), names)


@pytest.mark.parametrize("name", ["", "two\nlines", "Größe 日本", "x" * 500, "\0"])
def test_any_name_can_be_written(name: str) -> None:
    assert is_picture(confusion_matrix(np.eye(2, dtype=int), [name, "other"]))
    assert is_picture(gallery(rng.random((4, 1, 8, 8)), [name] * 4))
    assert is_picture(scatter(np.arange(5.0), np.arange(5.0), unit=name))


def test_a_tiny_picture_is_enlarged_pixel_by_pixel() -> None:
    pixels = gallery(np.array([[[[0.0, 1.0], [1.0, 0.0]]]] * 4), [""] * 4)
    tile = pixels[12:84, 12:84]
    assert np.array_equal(tile, np.kron([[0, 255], [255, 0]], np.ones((36, 36)))[..., None].repeat(3, axis=2))


def test_three_channels_are_colours_and_others_are_grey() -> None:
    image = np.zeros((1, 3, 8, 8))
    image[:, 2] = 1.0
    image[:, :, 0, 0] = 0.0
    assert blue(gallery(image, ["blue"])).shape[1] == 63 * 9 * 9
    assert not blue(gallery(np.concatenate([image, image], axis=1), ["grey"])).size


def test_a_gallery_has_at_most_its_columns() -> None:
    images, captions = np.zeros((9, 1, 8, 8)), ["8 not 3"] * 9
    wide, narrow = gallery(images, captions, columns=8), gallery(images, captions, columns=3)
    assert wide.shape[1] > narrow.shape[1]
    assert wide.shape[0] < narrow.shape[0]


def test_a_gallery_of_long_captions_is_no_wider_than_one_of_short_ones() -> None:
    images = rng.random((20, 3, 32, 32))
    assert gallery(images, ["airplane not automobile"] * 20).shape[1] < 800


def test_a_gallery_of_nothing_says_so() -> None:
    assert is_picture(gallery(np.zeros((0, 1, 8, 8)), []))


@pytest.mark.parametrize("value", [0.0, 3.5, np.nan, np.inf])
def test_a_picture_of_one_value_is_drawn(value: float) -> None:
    assert gallery(np.full((1, 1, 8, 8), value), ["x"])[12:84, 12:84].max() == 0


def test_captions_that_do_not_fit_the_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"There are 2 pictures and 1 captions\. Give one for each"):
        gallery(np.zeros((2, 1, 8, 8)), ["a"])


def test_perfect_predictions_lie_on_the_diagonal() -> None:
    values = np.linspace(0, 10, 50)
    rows, columns = blue(scatter(values, values))
    assert np.ptp(rows + columns) <= 16
    assert np.ptp(columns) > 400


def test_a_prediction_that_is_too_large_lies_above_the_diagonal() -> None:
    true = np.linspace(0, 10, 50)
    above, on = (blue(scatter(true, predicted))[0].mean() for predicted in (np.full(50, 9.0), true))
    assert above < on - 100


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (np.ones(5), np.ones(5)),
        (np.zeros(5), np.zeros(5)),
        (np.full(5, 2020.0), np.full(5, 2020.0 + 1e-10)),
        (np.arange(5.0), np.full(5, 1e30)),
        (np.arange(5.0), np.array([1.0, np.nan, np.inf, -np.inf, 1e300])),
        (np.arange(5.0), np.full(5, np.nan)),
        (np.arange(5.0) * 1e-30, np.arange(5.0) * 1e-30),
        (np.array([1.0]), np.array([[2.0]])),
        (np.zeros(0), np.zeros(0)),
        (rng.normal(size=20_000), rng.normal(size=20_000)),
    ],
)
def test_any_predictions_can_be_drawn(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
    assert is_picture(scatter(true, predicted, unit="mg/dl"))


def test_predictions_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"There are 3 true values and 2 predictions\. Give one"):
        scatter(np.zeros(3), np.zeros(2))


def test_drawing_needs_numpy_and_pillow_alone() -> None:
    file = Path(picture.__file__)
    tree = ast.parse(file.read_text())
    names = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names} == {"numpy", "PIL"}
