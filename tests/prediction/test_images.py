"""Images of one's own: in folders or listed, of any size and kind, with broken ones among them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

import gridstorm
from gridstorm.data.images import Images

COUNT = 30  # of each class


def draw(file: Path, number: int, seed: int, mode: str = "L") -> None:
    """Write an image of some size: a bright bar, upright for class 0 and lying for class 1, and noise."""
    random = np.random.default_rng(seed)
    height, width = random.integers(20, 60, 2)
    pixels = random.integers(0, 80, (height, width))
    if number:
        pixels[height // 3 : height // 2] += 150
    else:
        pixels[:, width // 3 : width // 2] += 150
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(file)


def folders(place: Path, mode: str = "L", suffix: str = "png", count: int = COUNT) -> Path:
    for seed in range(2 * count):
        name = ("upright", "lying")[seed % 2]
        draw(place / name / f"{seed}.{suffix}", seed % 2, seed, mode)
    return place


def made(path: Path, **settings: Any) -> Images:
    data = Images(str(path), **{"size": 16, **settings})
    data.setup()
    return data


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [("L", "png", 1), ("RGB", "jpg", 3), ("RGBA", "png", 3), ("P", "gif", 3), ("1", "bmp", 1)],
)
def test_images_of_every_kind_and_size_become_one_shape(tmp_path: Path, mode: str, suffix: str, channels: int) -> None:
    data = made(folders(tmp_path, mode, suffix))
    assert data.input_shape == (channels, 16, 16)
    assert data.class_names == ("lying", "upright") and data.num_outputs == 2
    assert sum(len(y) for _, y in data.parts.values()) == 2 * COUNT
    x, _ = next(iter(data.train_dataloader()))
    assert x.dtype == torch.float32 and x.shape[1:] == (channels, 16, 16)
    everything = torch.cat([x for x, _ in data.train_dataloader()])
    assert everything.mean().abs() < 1e-3 and (everything.std(correction=0) - 1).abs() < 0.1


def test_sixteen_bits_are_not_cut_off(tmp_path: Path) -> None:
    for number in range(20):
        place = tmp_path / ("dark", "light")[number % 2]
        place.mkdir(exist_ok=True)
        grey = np.full((20, 20), (5_000, 60_000)[number % 2], np.uint16)
        Image.fromarray(grey).save(place / f"{number}.png")
    x, y = made(tmp_path, channels=1).parts["train"]
    assert {(int(label), int(pixel)) for label, pixel in zip(y, x[:, 0, 0, 0], strict=True)} == {(0, 19), (1, 234)}


def test_folders_of_parts_are_the_parts(tmp_path: Path) -> None:
    for part, count in {"train": 10, "val": 4, "test": 6}.items():
        folders(tmp_path / part, count=count)
    data = made(tmp_path)
    assert [len(data.parts[part][1]) for part in ("train", "val", "test")] == [20, 8, 12]


def test_without_a_folder_for_the_test_some_of_training_are_it(tmp_path: Path) -> None:
    for part, count in {"train": 20, "valid": 4}.items():
        folders(tmp_path / part, count=count)
    data = made(tmp_path)
    assert [len(data.parts[part][1]) for part in ("train", "val", "test")] == [32, 8, 8]


def test_a_table_lists_images_with_their_labels_and_parts(tmp_path: Path) -> None:
    files = sorted(folders(tmp_path / "all").rglob("*.png"))
    frame = pl.DataFrame({
        "path": [str(file.relative_to(tmp_path)) for file in files], "label": [file.parent.name for file in files],
        "part": ["train", "train", "val", "test"] * (len(files) // 4),
    })  # fmt: skip
    frame.write_csv(tmp_path / "list.csv")
    data = made(tmp_path / "list.csv")
    assert [len(data.parts[part][1]) for part in ("train", "val", "test")] == [30, 15, 15]


def test_an_image_that_is_listed_twice_counts_twice(tmp_path: Path) -> None:
    folders(tmp_path / "images")
    files = [str(file.relative_to(tmp_path)) for file in sorted((tmp_path / "images").glob("*/*.png"))] * 2
    pl.DataFrame({"path": files, "label": [Path(file).parent.name for file in files]}).write_csv(tmp_path / "a.csv")
    assert sum(len(y) for _, y in made(tmp_path / "a.csv").parts.values()) == 4 * COUNT


def test_broken_images_are_named_and_counted_and_the_others_trained_with(tmp_path: Path) -> None:
    place = folders(tmp_path)
    (place / "lying" / "broken.png").write_bytes(b"no image at all")
    whole = (place / "lying" / "1.png").read_bytes()
    (place / "upright" / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = made(place)
    assert sum(len(y) for _, y in data.parts.values()) == 2 * COUNT
    assert "2 images" in data.notes[0] and "broken.png" in data.notes[0] and "cut.png" in data.notes[0]


def test_pixels_that_are_large_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folders(tmp_path)
    small = made(place).fingerprint()
    monkeypatch.setattr("gridstorm.data._image.IN_MEMORY", 10)
    assert made(place).fingerprint() == small


@pytest.mark.parametrize("name", ["flip", "crop", "jitter"])
def test_training_images_are_changed_by_seed_and_epoch_and_others_are_not(tmp_path: Path, name: str) -> None:
    plain, data = made(folders(tmp_path)), made(tmp_path, augment=[name])

    def batch(one: Images, epoch: int) -> torch.Tensor:
        loader = one.train_dataloader()
        loader.set_epoch(epoch)
        return next(iter(loader))[0]

    assert torch.equal(batch(data, 1), batch(data, 1))
    assert not torch.equal(batch(data, 1), batch(plain, 1)) and batch(data, 1).shape == batch(plain, 1).shape
    assert torch.equal(next(iter(data.val_dataloader()))[0], next(iter(plain.val_dataloader()))[0])
    if name == "flip":
        changed, same = batch(data, 2), batch(plain, 2)
        mirrored = (changed == same.flip(-1)).flatten(1).all(1) | (changed == same).flatten(1).all(1)
        assert mirrored.all()


def broken(place: Path, name: str) -> None:
    """Spoil the images of a class."""
    for file in place.glob(f"{name}/*.png"):
        file.write_bytes(b"no image")


def test_images_that_are_links_or_lie_deeper_are_found(tmp_path: Path) -> None:
    place = folders(tmp_path / "images")
    fingerprint = made(place).fingerprint()
    (tmp_path / "elsewhere").mkdir()
    for folder in [*place.iterdir()]:
        folder.rename(tmp_path / "elsewhere" / folder.name)
        (place / folder.name / "deeper").mkdir(parents=True)
        for file in (tmp_path / "elsewhere" / folder.name).iterdir():
            (place / folder.name / "deeper" / file.name).symlink_to(file)
    assert made(place).fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place: None, "no such folder"),
        (lambda place: place.mkdir(), "No folder in it has images"),
        (lambda place: draw(place / "one" / "a.png", 0, 0), "All images are 'one'"),
        (lambda place: folders(place, count=2), "has fewer than 3 images"),
        (lambda place: broken(folders(place), "*"), "none can be read"),
        (lambda place: broken(folders(place), "lying"), "no image of the class 'lying' that can be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words(tmp_path: Path, spoil: Any, words: str) -> None:
    spoil(tmp_path / "images")
    with pytest.raises(ValueError, match=words):
        made(tmp_path / "images")


def typed(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Type a command of gridstorm in a new process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "gridstorm", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


def test_images_are_trained_evaluated_and_predicted_from_a_folder(tmp_path: Path) -> None:
    place = folders(tmp_path / "images")
    given = [
        "data=images",
        f"data.path={place}",
        "data.size=16",
        "data.augment=[flip,crop]",
        "model=cnn",
        "model.width=4",
    ]
    more = ["trainer.max_epochs=10", "optimizer.lr=0.01", f"output_dir={tmp_path}", "name=run"]
    gridstorm.train(gridstorm.compose(*given, *more))
    place.rename(tmp_path / "moved")
    (tmp_path / "moved" / "lying" / "broken.png").write_bytes(b"no image")
    some = [*(tmp_path / "moved").glob("*/[0-9].png")]
    pl.DataFrame({"path": [str(file.relative_to(tmp_path)) for file in some]}).write_csv(tmp_path / "some.csv")
    done, listed = (typed(tmp_path, "predict", "run", name) for name in ("moved", "some.csv"))
    assert "Left out: 1 images that cannot be read" in done.stderr and "broken.png" in done.stderr
    lines = done.stdout.splitlines()
    assert {*listed.stdout.splitlines()} < {line.replace(f"{tmp_path}/", "") for line in lines} and len(some) > 5
    assert lines[0] == "sample,prediction,probability,probability_lying,probability_upright", done.stderr
    right = [line.split(",")[1] in line.split(",")[0] for line in lines[1:]]
    assert len(right) == 2 * COUNT and sum(right) > 1.5 * COUNT
