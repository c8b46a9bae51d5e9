"""The data sets and their parts."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor

from gridstorm.data import TensorData, TextData, split
from gridstorm.data.breast_cancer import BreastCancer
from gridstorm.data.diabetes import Diabetes
from gridstorm.data.digits import Digits
from gridstorm.data.python_text import PythonText
from gridstorm.data.text import Text

CONF = Path(__file__).parents[2] / "conf" / "data"
TABLES = [Digits, BreastCancer, Diabetes]


class Constant(TensorData):
    """Two columns, one of them always 0.1, and two classes."""

    task = "classification"
    inputs = "table"
    input_shape = (2,)
    num_outputs = 2

    def load(self) -> tuple[Tensor, Tensor]:
        numbers = torch.arange(50.0)
        return torch.stack([numbers, torch.full((50,), 0.1)], 1), (numbers % 2).long()


# The split


@pytest.mark.parametrize("data_class", [Digits, BreastCancer])
def test_the_split_is_stratified(data_class: type[TensorData]) -> None:
    data = data_class()
    data.setup()
    counts = {part: torch.bincount(y) for part, (_, y) in data.parts.items()}
    total = sum(counts.values())
    for part, share in {"train": 0.7, "val": 0.1, "test": 0.2}.items():
        assert (counts[part] - share * total).abs().max() <= 1.5  # type: ignore[index]


@pytest.mark.parametrize("classes", [None, torch.arange(103) % 3])
def test_the_parts_hold_every_sample_once(classes: Tensor | None) -> None:
    parts = split(103, 0.1, 0.2, seed=0, classes=classes)
    assert sorted(torch.cat(list(parts.values())).tolist()) == list(range(103))
    assert (len(parts["val"]), len(parts["test"])) == (10, 21)


def test_the_split_depends_on_its_seed_alone() -> None:
    def test_part(split_seed: int, seed: int) -> list[int]:
        torch.manual_seed(seed)
        return split(100, 0.1, 0.2, split_seed)["test"].tolist()

    assert test_part(0, seed=1) == test_part(0, seed=2)
    assert test_part(0, seed=1) != test_part(1, seed=1)


def test_a_part_is_not_sorted_by_class() -> None:
    train = split(100, 0.1, 0.2, seed=0, classes=torch.arange(100) // 50)["train"]
    assert set((train[:10] // 50).tolist()) == {0, 1}


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValueError, match=r"val_fraction=0.5 and data.test_fraction=0.5 leave .* Give two numbers"):
        Digits(val_fraction=0.5, test_fraction=0.5)


def test_a_part_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The val part has none of the 50 samples. Use more data"):
        Constant(val_fraction=0.001).setup()


# Standardisation


def test_standardisation_looks_at_the_training_part_alone() -> None:
    data = BreastCancer()
    data.setup()
    train, test = data.parts["train"][0], data.parts["test"][0]
    torch.testing.assert_close(train.mean(0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.std(0, correction=0), torch.ones(30))
    assert test.mean(0).abs().max() > 0.01


def test_a_constant_column_is_not_divided_by_zero() -> None:
    data = Constant()
    data.setup()
    assert data.parts["train"][0][:, 1].abs().max() < 1e-6
    assert data.parts["train"][0][:, 0].std() > 0.9


def test_an_images_pixels_share_one_mean() -> None:
    data, raw = Digits(), Digits(standardize=False)
    data.setup()
    raw.setup()
    x, pixels = data.parts["test"][0], raw.parts["test"][0]
    scale = raw.parts["train"][0].std(correction=0)
    torch.testing.assert_close(x, (pixels - raw.parts["train"][0].mean()) / scale)


def test_a_regression_target_is_standardised_and_can_be_turned_back() -> None:
    data, raw = Diabetes(), Diabetes(standardize=False)
    data.setup()
    raw.setup()
    y = data.parts["val"][1]
    torch.testing.assert_close(y * torch.tensor(data.target_std) + torch.tensor(data.target_mean), raw.parts["val"][1])
    assert abs(float(data.parts["train"][1].mean())) < 1e-6
    assert (raw.target_mean, raw.target_std) == (0.0, 1.0)


# What a data module says of itself


@pytest.mark.parametrize("data_class", TABLES)
def test_the_shapes_are_known_before_anything_is_loaded(data_class: type[TensorData]) -> None:
    data = data_class()
    assert not data.parts
    x, y = data.load()
    assert x.shape[1:] == data.input_shape
    if data.task == "classification":
        assert len(set(y.tolist())) == data.num_outputs == len(data.class_names)
        assert y.dtype == torch.int64
    else:
        assert y.shape == (len(x), data.num_outputs)


@pytest.mark.parametrize("data_class", TABLES)
def test_training_sees_single_precision(data_class: type[TensorData]) -> None:
    data = data_class()
    data.setup()
    x, y = data.parts["train"]
    assert x.dtype == torch.float32
    assert y.dtype == (torch.float32 if data.task == "regression" else torch.int64)


def test_the_fingerprint_names_the_data_and_its_split() -> None:
    first = Digits().fingerprint()
    assert len(first) == 64
    assert first == Digits(seed=3, batch_size=7, standardize=False).fingerprint()
    assert first != Digits(split_seed=1).fingerprint()


def test_a_second_setup_costs_nothing() -> None:
    data = Digits()
    data.setup("fit")
    parts = data.parts
    data.setup("test")
    assert data.parts is parts


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data.batch_size=0 is less than one sample. Give"):
        Digits(batch_size=0)


# Text


def test_each_target_is_the_byte_that_follows() -> None:
    data = PythonText(context=16)
    data.setup()
    x, y = data.parts["train"]
    assert all(part.dtype == torch.int64 for part in next(iter(data.train_dataloader())))
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert torch.equal(x[1:, 0], y[:-1, -1])
    assert data.input_shape == x.shape[1:] == (16,)


def test_no_document_is_in_two_parts() -> None:
    class Letters(TextData):
        def documents(self) -> list[bytes]:
            return [bytes([letter]) * 40 for letter in b"abcdefghijklmnopqrst"]

    data = Letters(context=8)
    data.setup()
    letters = [set(data.decode(x.flatten())) - {"\n"} for x, _ in data.parts.values()]
    assert [len(part) for part in letters] == [16, 2, 2]
    assert len(set.union(*letters)) == 20


def test_topics_are_split_as_the_seed_says() -> None:
    assert PythonText().fingerprint() == PythonText(seed=9).fingerprint() != PythonText(split_seed=1).fingerprint()


def test_the_standard_library_is_the_larger_corpus() -> None:
    assert sum(map(len, PythonText("stdlib").documents())) > 3 * sum(map(len, PythonText("topics").documents()))


def test_a_file_is_cut_in_order(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("a" * 800 + "b" * 100 + "c" * 100)
    data = Text(str(file), context=10)
    data.setup()
    assert [set(data.decode(x.flatten())) for x, _ in data.parts.values()] == [{"a"}, {"b"}, {"c"}]


def test_text_survives_its_bytes() -> None:
    data = PythonText()
    assert data.decode(data.encode("naïve → 42\n")) == "naïve → 42\n"
    assert data.decode(torch.tensor([255, 65])) == "\N{REPLACEMENT CHARACTER}A"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"data.path=.* cannot be read \(No such file or directory\). Give the path"),
        ("", r"data.path=.* is empty. Give the path"),
        ("short", r"part of this text has 4 bytes, too few .* data.context=64 .*. Give a longer text or a smaller"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "text.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=message):
        Text(str(file)).setup()


# The configuration


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_configuration_says_what_the_class_defaults_to(file: Path) -> None:
    conf = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(conf, dict)
    parameters = [*inspect.signature(get_class(conf.pop("_target_"))).parameters.values()]
    if file.stem == "loaders":  # whose sets are sections of their own
        assert conf.pop("train") == conf.pop("val") == {"_target_": "???"}
        assert [*conf.pop("batch")] == ["x", "y", "num_outputs"]  # which the run reads
        parameters = [parameter for parameter in parameters if parameter.name not in ("train", "val")]
    required = {parameter.name: "???" for parameter in parameters if parameter.default is parameter.empty}
    defaults = {parameter.name: parameter.default for parameter in parameters}
    defaults = {name: [*value] if isinstance(value, tuple) else value for name, value in defaults.items()}
    follows = {"task": "${task}"} if "task" in defaults else {}
    assert conf == defaults | required | {"seed": "${seed}"} | follows
