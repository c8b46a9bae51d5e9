"""The models."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from gridstorm.model.cnn import CNN
from gridstorm.model.linear import Linear
from gridstorm.model.mlp import MLP
from gridstorm.model.transformer import Transformer


class Shape(TypedDict):
    """What the run tells a model of its data."""

    input_shape: tuple[int, ...]
    num_outputs: int


CONF = Path(__file__).parents[2] / "conf" / "model"
IMAGE: Shape = {"input_shape": (1, 8, 8), "num_outputs": 10}
TEXT: Shape = {"input_shape": (16,), "num_outputs": 256}

BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: Linear(**IMAGE),
    "mlp": lambda: MLP(dropout=0.1, norm="layer", **IMAGE),
    "mlp-batch": lambda: MLP(depth=1, norm="batch", **IMAGE),
    "cnn": lambda: CNN(dropout=0.1, **IMAGE),
    "transformer": lambda: Transformer(depth=2, width=32, dropout=0.1, **TEXT),
}
every_model = pytest.mark.parametrize("name", BUILDERS)


def sample(name: str, num: int = 6) -> tuple[Tensor, Tensor]:
    """A batch that such a model can learn from."""
    if name == "transformer":
        tokens = torch.randint(256, (num, 17))
        return tokens[:, :-1], tokens[:, 1:]
    return torch.randn(num, 1, 8, 8), torch.randint(10, (num,))


def loss(logits: Tensor, y: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten())


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# All of them


@every_model
def test_a_model_builds_without_memory(name: str) -> None:
    with torch.device("meta"):
        model = BUILDERS[name]()
    assert all(parameter.is_meta for parameter in model.parameters())
    assert num_parameters(model) == num_parameters(BUILDERS[name]())


@every_model
def test_there_is_a_logit_for_each_output(name: str) -> None:
    x, _ = sample(name)
    expected = (6, 16, 256) if name == "transformer" else (6, 10)
    assert BUILDERS[name]()(x).shape == expected


@every_model
def test_a_new_model_guesses_evenly(name: str) -> None:
    torch.manual_seed(0)
    model, (x, y) = BUILDERS[name](), sample(name, 64)
    num = 256 if name == "transformer" else 10
    assert loss(model(x), y).item() == pytest.approx(math.log(num), rel=0.25)


@every_model
def test_a_model_learns_a_batch_by_heart(name: str) -> None:
    torch.manual_seed(0)
    model, (x, y) = BUILDERS[name](), sample(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss(model.eval()(x), y).item() < 0.05


@every_model
@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented:UserWarning")
def test_models_can_be_stacked_and_trained_as_one(name: str) -> None:
    torch.manual_seed(0)
    models = [BUILDERS[name]().double() for _ in range(3)]
    for model in models:
        drop_nothing(model)
    x, y = sample(name)
    x = x if name == "transformer" else x.double()
    parameters, buffers = stack_module_state(models)

    def objective(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return loss(functional_call(models[0], (parameters, buffers), (x,)), y)

    stacked = vmap(grad(objective), randomness="different")(parameters, buffers)
    for number, model in enumerate(models):
        loss(model(x), y).backward()  # type: ignore[no-untyped-call]
        for key, parameter in model.named_parameters():
            torch.testing.assert_close(stacked[key][number], parameter.grad, rtol=1e-9, atol=1e-12)
        for key, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[key][number], buffer)


def drop_nothing(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


# Each of them


def test_an_mlp_is_as_deep_and_wide_as_asked() -> None:
    model = MLP(depth=3, width=20, **IMAGE)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")}
    assert shapes == {
        "hidden1.linear.weight": (20, 64),
        "hidden2.linear.weight": (20, 20),
        "hidden3.linear.weight": (20, 20),
        "output.weight": (10, 20),
    }


def test_an_mlp_without_hidden_layers_is_linear() -> None:
    assert num_parameters(MLP(depth=0, **IMAGE)) == num_parameters(Linear(**IMAGE)) == 650


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid", "leaky_relu", "silu"])
def test_every_activation_keeps_the_signal_alive(activation: Any) -> None:
    torch.manual_seed(0)
    model = MLP(depth=3, width=256, activation=activation, **IMAGE)
    assert 0.05 < model(torch.randn(200, 1, 8, 8)).std(0).mean().item() < 3


def test_dropout_is_off_in_evaluation() -> None:
    model, x = MLP(dropout=0.5, **IMAGE), torch.randn(4, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 8, 8), (3, 9, 17), (3, 32, 32)])
def test_a_cnn_fits_every_small_image(shape: tuple[int, ...]) -> None:
    model = CNN(input_shape=shape, num_outputs=5)
    assert model(torch.randn(2, *shape)).shape == (2, 5)
    assert 2_000 < num_parameters(model) < 100_000


def test_a_cnn_refuses_what_is_no_image() -> None:
    with pytest.raises(ValueError, match=r"model=cnn needs images .* shape is \[30\]. Choose image data, or .*mlp"):
        CNN(input_shape=(30,), num_outputs=2)


def test_a_transformer_does_not_look_ahead() -> None:
    model = Transformer(depth=2, width=32, **TEXT).eval()
    tokens = torch.randint(256, (1, 16))
    changed = tokens.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 256
    same = (model(tokens) == model(changed)).all(-1)[0]
    assert same[:10].all()
    assert not same[10:].any()


def test_a_transformer_reads_less_than_its_context() -> None:
    model = Transformer(depth=1, width=32, **TEXT).eval()
    tokens = torch.randint(256, (2, 16))
    torch.testing.assert_close(model(tokens[:, :5]), model(tokens)[:, :5])


def test_a_transformer_has_as_many_parameters_as_its_formula() -> None:
    depth, width = 2, 32
    block = 12 * width**2 + 13 * width
    assert num_parameters(Transformer(depth, width, **TEXT)) == (256 + 16) * width + depth * block + 2 * width


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heads=5 does not divide model.width=32. Choose heads among 1, 2, 4, 8, or"):
        Transformer(width=32, heads=5, **TEXT)


# The configuration


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_configuration_says_what_the_class_defaults_to(file: Path) -> None:
    conf = OmegaConf.to_container(OmegaConf.load(file))
    assert isinstance(conf, dict)
    parameters = inspect.signature(get_class(conf.pop("_target_"))).parameters.values()
    assert conf.pop("_partial_") is True
    ours = [parameter for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    defaults = {parameter.name: parameter.default for parameter in ours}
    assert conf == {name: [*value] if isinstance(value, tuple) else value for name, value in defaults.items()}
    from_the_run = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    assert from_the_run <= {"input_shape", "num_outputs", "num_tokens", "cardinalities"}
