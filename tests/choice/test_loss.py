"""The losses."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.func import vmap

from conftest import Command, Compose, Sweep, result
from gridstorm.loss.cross_entropy import CrossEntropy
from gridstorm.loss.focal import Focal

CONF = Path(__file__).parents[2] / "conf" / "loss"


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return 3 * torch.randn(20, 5, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def y() -> Tensor:
    return torch.arange(20) % 5


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_torchs(smoothing: float, logits: Tensor, y: Tensor) -> None:
    expected = F.cross_entropy(logits, y, label_smoothing=smoothing)
    torch.testing.assert_close(CrossEntropy(smoothing)(logits, y), expected)


def test_label_smoothing_may_be_a_tensor_and_differ_between_stacked_runs(logits: Tensor, y: Tensor) -> None:
    smoothings = torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
    loss = CrossEntropy()

    def smoothed(smoothing: Tensor) -> Tensor:
        loss.label_smoothing = smoothing
        value: Tensor = loss(logits, y)
        return value

    expected = torch.stack([F.cross_entropy(logits, y, label_smoothing=float(e)) for e in smoothings])
    torch.testing.assert_close(vmap(smoothed)(smoothings), expected)


def test_focal_loss_is_the_papers(logits: Tensor, y: Tensor) -> None:
    p = logits.softmax(-1)[torch.arange(20), y]
    torch.testing.assert_close(Focal(gamma=2.0)(logits, y), (-((1 - p) ** 2) * p.log()).mean())


def test_focal_loss_with_gamma_zero_is_cross_entropy(logits: Tensor, y: Tensor) -> None:
    torch.testing.assert_close(Focal(gamma=0.0)(logits, y), F.cross_entropy(logits, y))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_has_a_gradient_where_the_model_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    Focal(gamma)(logits, torch.tensor([0, 0])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_losses_for_numbers_take_columns() -> None:
    logits, y = torch.zeros(4, 1), torch.tensor([[0.0], [1.0], [-2.0], [3.0]])
    losses = {name: instantiate(OmegaConf.load(CONF / f"{name}.yaml")) for name in ("mse", "l1", "huber")}
    assert {name: float(loss(logits, y)) for name, loss in losses.items()} == {
        "mse": pytest.approx(14 / 4),
        "l1": pytest.approx(6 / 4),
        "huber": pytest.approx((0.5 + 1.5 + 2.5) / 4),
    }


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_configuration_says_what_the_class_defaults_to(file: Path) -> None:
    conf = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(conf, dict)
    parameters = inspect.signature(get_class(conf.pop("_target_"))).parameters
    assert conf == {str(name): parameters[str(name)].default for name in conf}
    assert isinstance(instantiate(OmegaConf.load(file)), nn.Module)


LISTED = "loss.weight=[1,2,1,1,1,1,1,1,1,3]"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weights_of_classes_are_those_of_torch_stacked_too(smoothing: float) -> None:
    draw = torch.Generator().manual_seed(0)
    logits, y = torch.randn(20, 5, generator=draw), torch.randint(5, (20,), generator=draw)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0])
    wanted = torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing)(logits, y)
    for value in (smoothing, torch.tensor(smoothing)):
        ours = CrossEntropy(0.0, weight)
        ours.label_smoothing = value
        assert torch.allclose(ours(logits, y), wanted, rtol=1e-6)


def test_balanced_weights_are_those_of_scikit_learn(composed: Compose) -> None:
    from gridstorm.objects.build import loss_for
    from gridstorm.objects.data import prepared

    config = composed("data=breast_cancer", "model=mlp", "loss.weight=balanced")
    data = prepared(config)
    y = torch.cat([batch[1] for batch in data.train_dataloader()]).numpy()
    theirs = compute_class_weight("balanced", classes=np.unique(y), y=y)
    assert torch.allclose(loss_for(config, data).weight, torch.tensor(theirs, dtype=torch.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["cross_entropy", "torch.nn.CrossEntropyLoss"])
@pytest.mark.parametrize("weight", ["loss.weight=balanced", LISTED])
def test_any_loss_of_torch_takes_weights_and_they_change_the_recipe(
    command: Command, composed: Compose, loss: str, weight: str
) -> None:
    line = (f"loss={loss}", weight, "trainer.max_epochs=1", "output_dir=o", "name=w")
    status, _, err = command(*line)
    assert status == 0, err
    assert composed(*line).signature != composed(f"loss={loss}", "trainer.max_epochs=1").signature


def test_a_recipe_without_weights_is_the_same_as_before_there_were_any(composed: Compose) -> None:
    config = composed()
    values = {**config.values, "loss": {"_target_": config.values["loss"]["_target_"], "label_smoothing": 0.0}}
    assert replace(config, values=values).signature == config.signature


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("loss.weight=[1,2]",), "loss.weight: It has 2 numbers, and there are 10 classes."),
        (("loss.weight=heavy",), "It must be null, balanced, or a list of numbers, and this is text."),
        (("loss.weight=[1,nan]",), "It must be null, balanced, or a list of numbers"),
        (("loss=torch.nn.CrossEntropyLoss", "loss.weight=[1,x]"), "It must be null, balanced, or a list of numbers"),
    ],
)
def test_weights_that_are_none_are_refused_in_words(command: Command, overrides: tuple[str, ...], words: str) -> None:
    status, _, err = command(*overrides)
    assert (status, words in err) == (2, True), err


def test_runs_with_weights_are_trained_together_to_the_same_numbers(sweep: Sweep) -> None:
    grid = (LISTED, "loss.label_smoothing=0,0.1", "optimizer.lr=0.01,0.001", "trainer.precision=64-true")
    short = ("trainer.max_epochs=2", "trainer.limit_train_batches=5", "model.width=16")
    fused, apart = (sweep(*grid, *short, f"sweep.fuse={fuse}", name=f"f{fuse}") for fuse in ("4", "off"))
    for one, two in zip(fused.runs, apart.runs, strict=True):
        assert result(one)["score"] == pytest.approx(result(two)["score"], rel=1e-10)
