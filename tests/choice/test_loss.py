"""The losses."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.func import vmap

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
