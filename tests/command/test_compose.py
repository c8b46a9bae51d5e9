"""What is accepted: the recipe, its signature, and where each value came from."""

from pathlib import Path

import pytest

from composing import CONF, LOADER, Remembering, composed, written
from gridstorm.command.compose import checked, compose, without_hydra
from gridstorm.command.override import Overrides
from gridstorm.config.recipe import ADDED, OUTSIDE, RunConfig
from gridstorm.config.resolve import leaves
from gridstorm.error import UserError

SAME = [
    ["trainer=cpu"],
    ["trainer=gpu"],
    ["trainer.log_every_n_steps=7"],
    ["+trainer.enable_progress_bar=false"],
    ["threads=2"],
    ["name=another"],
    ["output_dir=elsewhere"],
    ["explain=true"],
    ["callbacks=none"],
    ["~callbacks.progress_bar"],
    ["+callbacks.files={_target_:pytorch_lightning.callbacks.ModelCheckpoint}"],
    ["+callbacks.bar={_target_:pytorch_lightning.callbacks.TQDMProgressBar}"],
    ["+logger={_target_:pytorch_lightning.loggers.CSVLogger,save_dir:logs}"],
    ["optimizer=adam", "model=mlp"],
    ["optimizer.weight_decay=0"],
    ["optimizer={lr:0.001}"],
    ["loss.label_smoothing=-0.0"],
    ["data.seed=0"],
]
OTHER = [
    ["trainer.devices=2"],
    ["+trainer.strategy=ddp"],
    ["+trainer.sync_batchnorm=true"],
    ["+callbacks.timer={_target_:pytorch_lightning.callbacks.Timer}"],
    ["+callbacks.average={_target_:pytorch_lightning.callbacks.StochasticWeightAveraging,swa_lrs:0.1}"],
    ["seed=1"],
    ["data=breast_cancer"],
    ["data.batch_size=32"],
    ["data.split_seed=1"],
    ["model=linear"],
    ["model.depth=3"],
    ["loss=focal"],
    ["loss.label_smoothing=0.1"],
    ["optimizer=adamw"],
    ["optimizer.lr=0.002"],
    ["optimizer.betas=[0.9,0.99]"],
    ["+optimizer.amsgrad=true"],
    ["scheduler=cosine"],
    ["regularization.l1=0.1"],
    ["regularization.skip_norm_and_bias=true"],
    ["monitor=train/loss"],
    ["monitor=val/accuracy", "mode=max"],
    ["trainer.max_epochs=5"],
    ["trainer.precision=bf16-mixed"],
    ["trainer.gradient_clip_val=1"],
    ["trainer=debug"],
    ["callbacks=early_stopping"],
    ["callbacks=early_stopping", "callbacks.early_stopping.patience=7"],
]
PRESETS = {
    "experiment/wide.yaml": (
        "# @package _global_\ndefaults:\n  - override /model: cnn\n  - override /optimizer: sgd\n"
        "optimizer:\n  lr: 0.05\ntrainer:\n  max_epochs: 7\nseed: 3\n"
    ),
    "experiment/wider.yaml": "# @package _global_\ndefaults:\n  - wide\nmodel:\n  width: 99\n",
    "experiment/plain.yaml": "# @package _global_\nmodel:\n  width: 99\n",
    "model/mine.yaml": "_target_: gridstorm.model.mlp.MLP\n_partial_: true\nwidth: 9\n",
}


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Remembering:
    return written(tmp_path_factory.mktemp("conf"), PRESETS)


def test_what_is_accepted_is_plain_and_resolved() -> None:
    one = composed("seed=3", "model=cnn")
    assert one.values["data"]["seed"] == 3
    assert one.values["callbacks"]["progress_bar"]["score"] == "val/loss"
    assert one.choices["model"] == "cnn"
    assert "experiment" not in one.choices
    assert one.overrides == ["seed=3", "model=cnn"]


def test_what_is_wrong_is_not_accepted() -> None:
    whole = compose(Overrides(LOADER, "config", [])).whole
    whole.optimizer.lr = -1
    with pytest.raises(UserError, match=r"optimizer\.lr=-1: It must be greater than 0"):
        checked(without_hydra(whole), whole.hydra)


def test_leaves_are_the_values_of_a_configuration() -> None:
    assert dict(leaves({"a": {"b": 1, "c": [1, 2]}, "d": None})) == {"a.b": 1, "a.c": [1, 2], "d": None}


@pytest.mark.parametrize("overrides", SAME, ids=" ".join)
def test_what_decides_no_number_leaves_the_signature_as_it_is(overrides: list[str]) -> None:
    assert composed(*overrides).signature == composed().signature


def test_what_decides_a_number_changes_the_signature() -> None:
    signatures = [composed(*overrides).signature for overrides in [[], *OTHER]]
    assert len(set(signatures)) == len(signatures)


def test_a_signature_is_twelve_hexadecimal_digits_and_does_not_depend_on_the_order_of_keys() -> None:
    one = composed("optimizer.lr=1", "model.width=64")
    upside_down = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(composed("model.width=64", "optimizer.lr=1.0").values.items())
    }
    assert RunConfig(upside_down).signature == one.signature
    assert len(one.signature) == 12
    assert int(one.signature, 16) >= 0


def test_one_batch_and_the_whole_share_are_two_recipes() -> None:
    one_batch, all_batches = (composed(f"trainer.limit_train_batches={value}") for value in ("1", "1.0"))
    assert one_batch.signature != all_batches.signature


def test_a_choice_by_a_preset_is_the_same_recipe_as_by_the_command_line(presets: Remembering) -> None:
    by_preset = composed("experiment=wide", loader=presets)
    by_hand = composed("model=cnn", "optimizer=sgd", "optimizer.lr=0.05", "trainer.max_epochs=7", "seed=3")
    assert by_preset.signature == by_hand.signature


def test_a_default_that_changes_in_conf_changes_the_signature(tmp_path: Path) -> None:
    adam = (CONF / "optimizer" / "adam.yaml").read_text()
    changed = written(tmp_path, {"optimizer/other.yaml": adam.replace("lr: 0.001", "lr: 0.002")})
    assert composed("optimizer=other", loader=changed).signature == composed("optimizer.lr=0.002").signature
    assert composed("optimizer=other", loader=changed).signature != composed().signature


def test_early_stopping_counts_under_any_name() -> None:
    node = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:val/loss,mode:min,patience:5,min_delta:0.0}"
    assert composed(f"+callbacks.stop={node}").signature == composed("callbacks=early_stopping").signature


def test_the_recipe_leaves_out_only_what_cannot_change_a_number() -> None:
    config = composed().values
    recipe = composed().recipe
    assert config.keys() - recipe.keys() == {*OUTSIDE, *dict(ADDED)} - {"parent"}  # of which there are none by default
    assert config["trainer"].keys() - recipe["trainer"].keys() == {"accelerator", "log_every_n_steps"}
    assert config["data"] == recipe["data"]
    assert recipe["callbacks"] == {}


def test_a_value_is_a_default_unless_something_says_otherwise() -> None:
    assert set(composed().origins.values()) == {"default"}
    assert set(composed().origins) == {key for key, _ in leaves(composed().values)}


def test_a_value_of_the_command_line_says_so() -> None:
    origins = composed("optimizer.lr=0.1", "+optimizer.amsgrad=true", "++seed=3", "model={width:8}").origins
    given = {key for key, origin in origins.items() if origin == "command line"}
    assert given == {"optimizer.lr", "optimizer.amsgrad", "seed", "data.seed", "model.width"}
    assert {origin for key, origin in origins.items() if key not in given} == {"default"}


def test_a_value_of_a_choice_says_which() -> None:
    origins = composed("model=cnn", "model.width=8").origins
    assert origins["model.width"] == "command line"
    assert origins["model.depth"] == "choice model=cnn"
    assert origins["optimizer.lr"] == "default"


def test_a_copied_value_comes_from_where_its_source_does() -> None:
    origins = composed("seed=3", "scheduler=one_cycle", "optimizer.lr=0.1", "monitor=train/loss").origins
    assert origins["data.seed"] == "command line"
    assert origins["scheduler.max_lr"] == "command line"
    assert origins["scheduler.pct_start"] == "choice scheduler=one_cycle"
    assert origins["callbacks.progress_bar.score"] == "command line"
    assert composed("data=breast_cancer").origins["data.seed"] == "default"
    assert composed("data=breast_cancer", "data.seed=1").origins["data.seed"] == "command line"


def test_a_value_of_a_preset_says_which(presets: Remembering) -> None:
    origins = composed("experiment=wide", "trainer.max_epochs=9", loader=presets).origins
    assert origins["optimizer.lr"] == "preset wide"
    assert origins["optimizer.momentum"] == "preset wide: optimizer=sgd"
    assert origins["model.width"] == "preset wide: model=cnn"
    assert origins["data.seed"] == "preset wide"
    assert origins["trainer.max_epochs"] == "command line"
    assert origins["trainer.devices"] == "default"


def test_the_command_line_wins_over_a_preset_key_by_key(presets: Remembering) -> None:
    one = composed("experiment=wide", "model=mlp", "trainer=cpu", loader=presets)
    assert (one.values["model"]["_target_"], one.origins["model.width"]) == (
        "gridstorm.model.mlp.MLP",
        "choice model=mlp",
    )
    assert (one.values["trainer"]["max_epochs"], one.origins["trainer.max_epochs"]) == (7, "preset wide")
    assert one.origins["trainer.accelerator"] == "choice trainer=cpu"


def test_a_preset_brings_along_the_preset_that_it_stands_on(presets: Remembering) -> None:
    one = composed("experiment=wider", loader=presets)
    assert (one.values["optimizer"]["lr"], one.origins["optimizer.lr"]) == (0.05, "preset wider")
    assert (one.values["model"]["width"], one.origins["model.width"]) == (99, "preset wider")
    assert one.origins["model.depth"] == "preset wider: model=cnn"


def test_a_choice_of_your_own_folder_says_so(presets: Remembering) -> None:
    assert composed("model=mine", loader=presets).origins["model.width"] == "choice model=mine"
    assert composed("model=mine", "experiment=plain", loader=presets).origins["model.width"] == "preset plain"


def test_a_preset_wins_over_what_a_projects_own_configuration_chooses_and_sets(tmp_path: Path) -> None:
    own = "defaults:\n  - gridstorm\n  - override model: mine\n  - _self_\noptimizer:\n  lr: 0.7\nseed: 5\n"
    loader = written(tmp_path, {**PRESETS, "own.yaml": own})

    def in_project(*overrides: str) -> RunConfig:
        return compose(Overrides(loader, "own", overrides)).run

    assert in_project().values["model"]["width"] == 9
    one = in_project("experiment=wide")
    assert (one.choices["model"], one.origins["model.width"]) == ("cnn", "preset wide: model=cnn")
    assert (one.values["optimizer"]["lr"], one.origins["optimizer.lr"]) == (0.05, "preset wide")
    assert (one.values["seed"], one.choices["experiment"]) == (3, "wide")
    by_hand = in_project("experiment=wide", "model=mine", "optimizer.lr=0.1")
    assert (by_hand.choices["model"], by_hand.values["optimizer"]["lr"]) == ("mine", 0.1)
    two = in_project("experiment=[wide,plain]")
    assert (two.choices["model"], two.values["model"]["width"]) == ("cnn", 99)


def test_a_configuration_without_the_base_and_a_choice_without_a_class_are_named(tmp_path: Path) -> None:
    files = {"bare.yaml": "trainer:\n  max_epochs: 3\n", "model/odd.yaml": "width: 9\n"}
    loader = written(tmp_path, files)
    with pytest.raises(UserError, match=r"bare\.yaml has nothing of what every run needs.*Begin its list of defaults"):
        compose(Overrides(loader, "bare", []))
    with pytest.raises(UserError, match="model: It has width, and no _target_ that says which class takes it"):
        compose(Overrides(loader, "config", ["model=odd"]))
