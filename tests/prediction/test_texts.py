"""Texts of one's own: to go on with, and to tell apart."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gridstorm
from gridstorm.data.text import Text
from gridstorm.data.text_classification import TextClassification

GOOD, BAD = ["lovely", "great", "pleasant"], ["awful", "poor", "dull"]
OTHERS = ["the", "a", "room", "was", "is", "and", "we", "they", "with", "it", "came", "very"]


def reviews(count: int = 200) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    rows = []
    for number in range(count):
        words = [*draw.choice(OTHERS, 8), *draw.choice(BAD if number % 2 else GOOD, 2)]
        rows.append((" ".join(map(str, draw.permutation(words))), "bad" if number % 2 else "good"))
    return pl.DataFrame(rows, schema=["text", "label"], orient="row")


def made(path: Path, **settings: Any) -> Text:
    data = Text(str(path), **{"context": 16, **settings})
    data.setup()
    return data


def test_a_folder_of_texts_is_split_by_its_files_and_what_is_no_text_is_left_out(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"{number:02d} is my number. " * 20)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0\0" * 50)
    data = made(tmp_path)
    texts = {part: data.decode(x.flatten()) for part, (x, _) in data.parts.items()}
    assert sum("PNG" in text for text in texts.values()) == 0
    assert data.notes == ["Left out: 1 files that are no texts in UTF-8: picture.png"]
    numbers = {part: {text[place : place + 2] for place in range(0, 1)} for part, text in texts.items()}
    assert not numbers["train"] & numbers["test"]


def test_a_folder_without_a_text_is_refused_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text of another alphabet's width.", encoding="utf-16")
    with pytest.raises(ValueError, match=r"It is empty\. Left out: 1 files that are no texts in UTF-8: a\.txt"):
        made(tmp_path)


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    reviews(40).write_ndjson(tmp_path / "a.jsonl")
    data = made(tmp_path / "a.jsonl")
    assert "lovely" in data.decode(data.parts["train"][0].flatten()) and data.num_outputs == 256
    with pytest.raises(ValueError, match=r"data\.field=body: .* has text, label"):
        made(tmp_path / "a.jsonl", field="body")


def test_a_large_file_is_mapped_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("It is a long story. " * 500)
    whole = made(tmp_path / "a.txt")
    monkeypatch.setattr("gridstorm.data.text.MAPPED", 10)
    mapped = made(tmp_path / "a.txt")
    assert mapped.fingerprint() == whole.fingerprint()
    x, y = next(iter(mapped.train_dataloader()))
    assert x.dtype == y.dtype == torch.int64 and torch.equal(x[:, 1:], y[:, :-1])


def test_texts_are_trained_on_and_new_ones_told_apart(tmp_path: Path) -> None:
    reviews().write_csv(tmp_path / "a.csv")
    given = ["data=text_classification", f"data.path={tmp_path / 'a.csv'}", "data.context=80", "model=text_cnn"]
    more = ["model.width=16", "optimizer.lr=0.01", "trainer.max_epochs=8", f"output_dir={tmp_path}", "name=run"]
    gridstorm.train(gridstorm.compose(*given, *more))
    (tmp_path / "a.csv").unlink()
    model: Any = gridstorm.Run(tmp_path / "run").model()
    assert model.predict(["the room was lovely", "we came and it was awful"])["prediction"].to_list() == ["good", "bad"]


def test_a_text_is_its_first_tokens_and_zeros(tmp_path: Path) -> None:
    reviews(60).write_csv(tmp_path / "a.csv")
    data = TextClassification(str(tmp_path / "a.csv"), context=50)
    data.setup()
    assert data.encode(["ab"])[0].tolist() == [98, 99] + [0] * 48 and data.num_tokens == 257


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text": "body"}, "data.text=body: .* has no such column. It has text, label"),
        ({"target": "kind"}, "data.target=kind"),
        ({"context": 0}, "data.context=0"),
        ({"tokenizer": "nowhere.json"}, "data.tokenizer=nowhere.json"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    reviews(60).write_csv(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=words):
        TextClassification(str(tmp_path / "a.csv"), **settings).setup()


@pytest.mark.extra
def test_pieces_of_words_are_learned_from_training_and_kept(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    reviews().write_csv(tmp_path / "a.csv")
    data = TextClassification(str(tmp_path / "a.csv"), tokenizer="bpe", vocabulary=300)
    data.setup()
    assert data.num_tokens == 301
    restored = TextClassification(str(tmp_path / "a.csv"), tokenizer="bpe")
    restored.restore(data.fitted(), tmp_path)
    assert torch.equal(restored.encode(["a lovely room"]), data.encode(["a lovely room"]))
    (tmp_path / "t.txt").write_text("It is a long story. " * 500)
    text = made(tmp_path / "t.txt", tokenizer="bpe", vocabulary=280)
    assert text.num_outputs <= 280 and 2 < text.bytes_per_token < 21
    assert text.decode(text.encode("It is a story.")) == "It is a story."


@pytest.mark.extra
@pytest.mark.parametrize("kind", ["images", "numbers", "texts"])
def test_data_sets_of_hugging_face_keep_their_splits(tmp_path: Path, kind: str) -> None:
    datasets = pytest.importorskip("datasets")
    draw = np.random.default_rng(0)

    def rows(count: int) -> Any:
        labels = [number % 2 for number in range(count)]
        x: list[Any]
        if kind == "images":
            from PIL import Image

            x = [Image.fromarray(draw.integers(0, 255, (20, 30, 3), np.uint8)) for _ in labels]
        else:
            named = [(float(one), float(number)) for number, one in enumerate(labels)]
            x = [f"{'bad' if one else 'good'} {n}" for one, n in named] if kind == "texts" else [*map(list, named)]
        types = {"images": datasets.Image(), "texts": datasets.Value("string")}
        features = {"x": types.get(kind, datasets.Sequence(datasets.Value("float32"))),
                    "y": datasets.ClassLabel(names=["no", "yes"])}  # fmt: skip
        return datasets.Dataset.from_dict({"x": x, "y": labels}, features=datasets.Features(features))

    datasets.DatasetDict({"train": rows(60), "test": rows(10)}).save_to_disk(tmp_path / "set")
    from gridstorm.data.huggingface import HuggingFace

    data = HuggingFace(str(tmp_path / "set"), "x", "y", size=8, context=10)
    data.setup()
    assert len(data.parts["test"][1]) == 10 and len(data.parts["train"][1]) == 54
    shapes = {"images": (3, 8, 8), "numbers": (2,), "texts": (10,)}
    assert data.input_shape == shapes[kind] and data.class_names == ("no", "yes")
    model = {"images": "cnn", "numbers": "mlp", "texts": "text_cnn"}[kind]
    given = [
        "data=huggingface",
        f"data.path={tmp_path / 'set'}",
        "data.x=x",
        "data.y=y",
        "data.size=8",
        f"model={model}",
    ]
    gridstorm.train(
        gridstorm.compose(*given, "data.context=10", "trainer.max_epochs=2", f"output_dir={tmp_path}", "name=run")
    )
    assert [*data.samples_in(str(tmp_path / "set"), 100)]
    with pytest.raises(ValueError, match=r"no such column\. It has x, y"):
        HuggingFace(str(tmp_path / "set"), "image", "y").setup()


@pytest.mark.extra
def test_a_model_is_the_same_in_onnx(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from gridstorm.prediction import export
    from gridstorm.record import RunRecord

    gridstorm.train(gridstorm.compose("trainer.max_epochs=1", f"output_dir={tmp_path}", "name=run"))
    said = export(RunRecord(tmp_path / "run"), "onnx", tmp_path / "model.onnx")
    assert "Largest difference" in said
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    [shares] = session.run(None, {"x": np.zeros((3, 1, 8, 8), np.float32)})  # raw pixels, any number of samples
    assert shares.shape == (3, 10) and shares.sum(1) == pytest.approx(1, abs=1e-5)
