"""A command line's overrides, looked at one by one."""

from pathlib import Path

import pytest

from composing import composed, names, problems, written

WRONG = {
    # groups and choices
    "modle=cnn": "There is no key 'modle'. Did you mean 'model=cnn'?",
    "modle=mine": "There is no key 'modle'. Did you mean 'mode' or 'model'?",
    "network=cnn": "There is no key 'network'. Did you mean 'model=cnn'?",
    "model=cn": "There is no model called 'cn'. Did you mean 'cnn'?",
    "model=": "There is no model called ''. Choose one of: cnn, linear, mlp, resnet, tabular, text_cnn, transformer.",
    "model=3": "There is no model called '3'. Choose one of: cnn, linear, mlp, resnet, tabular, text_cnn, transformer.",
    "model=../model/mlp": (
        "There is no model called '../model/mlp'. "
        "Choose one of: cnn, linear, mlp, resnet, tabular, text_cnn, transformer."
    ),
    "optimizer=null": (
        "There is no optimizer called 'null'. Choose one of: adagrad, adam, adamw, nadam, rmsprop, sgd."
    ),
    "callbacks=[early_stopping,nope]": "There is no callbacks called 'nope'. Did you mean 'none'?",
    "data=[digits,diabetes]": "A run has one data. Write -m data=digits,diabetes for a run with each.",
    "model@teacher=cnn": "A run has one model. Write model=cnn.",
    "+model=cnn": "model is chosen already. Write model=cnn.",
    "++model=cnn": "model is chosen already. Write model=cnn.",
    # keys
    "lr=3": "There is no key 'lr'. Did you mean 'optimizer.lr'?",
    "model.lr=3": "There is no key 'model.lr'. Did you mean 'optimizer.lr'?",
    "epochs=3": "There is no key 'epochs'. Did you mean 'trainer.max_epochs' or 'optimizer.eps'?",
    "optimizer.weight_dekay=1": "There is no key 'optimizer.weight_dekay'. Did you mean 'optimizer.weight_decay'?",
    "modle.depth=3": "There is no key 'modle.depth'. Did you mean 'model.depth'?",
    "optimizer.max_epoch=3": "There is no key 'optimizer.max_epoch'. Did you mean 'trainer.max_epochs'?",
    "optimizer.amsgrad=true": "Adam takes it, but its section does not list it. Write +optimizer.amsgrad=true.",
    "optimizer.momentum=0.9": (
        "There is no key 'optimizer.momentum'. Choose optimizer=rmsprop or optimizer=sgd, which have it."
    ),
    "model.heads=8": "There is no key 'model.heads'. Choose model=transformer, which has it.",
    "callbacks.early_stopping.patience=3": (
        "There is no key 'callbacks.early_stopping.patience'. Choose callbacks=early_stopping, which has it."
    ),
    "model.xyz=3": (
        "There is no key 'model.xyz'. "
        "Choose one of: model.depth, model.width, model.activation, model.dropout, model.norm."
    ),
    "xyz=3": "There is no key 'xyz'. See gridstorm train --help.",
    "~optimizer.lrr": "There is no key 'optimizer.lrr'. Did you mean 'optimizer.lr'?",
    "+seed=3": "seed is there already. Write seed=3.",
    "data.batch_size.foo=1": "data.batch_size is one value, and has no 'foo' in it. Write data.batch_size=VALUE.",
    "optimizer.betas.5=2": "optimizer.betas is one value, and has no '5' in it. Write optimizer.betas=VALUE.",
    # several values
    "model=mlp,cnn": "It holds several values, and one run has one. Add -m to train every combination.",
    "optimizer.lr=0.1,0.2": (
        "It holds several values, and one run has one. "
        "Add -m to train every combination, or write a list: optimizer.lr=[0.1,0.2]."
    ),
    "optimizer.lr=interval(1e-4,1)": (
        "It holds several values, and one run has one. Add -m to train every combination."
    ),
    # nothing that can be read
    "=": "It does not begin with a key. Write KEY=VALUE, such as optimizer.lr=0.01.",
    ".model=3": "It does not begin with a key. Write KEY=VALUE, such as optimizer.lr=0.01.",
    "a=[": "Its value cannot be read. Close every bracket.",
    "model.activation=größe": "Its value cannot be read. Quote it, if it is a text: 'model.activation=\"größe\"'.",
    "optimizer.lr=nope(3)": "Its value cannot be read. Quote it, if it is a text: 'optimizer.lr=\"nope(3)\"'.",
    "cnn": "It is not KEY=VALUE. Did you mean 'model=cnn'?",
    "digits": "It is not KEY=VALUE. Did you mean 'data=digits'?",
    "optimizer.lr": "It is not KEY=VALUE. Write KEY=VALUE, such as model=cnn.",
    # Hydra's own
    "hydra.run.dir=x": "A run makes its own directory. Write output_dir=DIRECTORY name=NAME.",
    "hydra/launcher=joblib": "Gridstorm launches its runs itself. Choose launcher=processes or launcher=in_process.",
    "hydra.rn.dir=x": "Could not override 'hydra.rn.dir'. To append to your config use +hydra.rn.dir=x.",
    "hydra/help=nope": "There is no hydra/help called 'nope'. Choose one of: default.",
}  # fmt: skip


@pytest.mark.parametrize("override", WRONG)
def test_what_is_wrong_is_said_in_a_sentence_of_fact_and_one_of_remedy(override: str) -> None:
    assert problems(override) == [f"{override}: {WRONG[override]}"]


def test_everything_is_said_at_once() -> None:
    said = problems("modle=cnn", "model=cn", "optimizer.lrr=1", "a=[", "data.batch_size=0", "seed=1,2", "loss=mse")
    assert sorted(names(said)) == [
        "a=[", "data.batch_size=0", "loss=mse", "model=cn", "modle=cnn", "optimizer.lrr=1", "seed=1,2",
    ]  # fmt: skip


def test_nothing_is_said_of_the_section_of_an_unknown_choice() -> None:
    assert names(problems("model=transfomer", "data=python_text", "model.heads=8")) == ["model=transfomer"]
    assert names(problems("data=diabetis", "loss=mse", "monitor=val/r2")) == ["data=diabetis"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["+optimizer.amsgrad=true"],
        ["++optimizer.lr=0.1"],
        ["~optimizer.eps"],
        ["~callbacks.progress_bar"],
        ["callbacks=[early_stopping,none]"],
        ["optimizer={lr:0.1,eps:1e-7}"],
        ["+optimizer={amsgrad:true}"],
        ["name='my run'"],
        ["name=${hydra:job.name}"],
        ["model.width=${data.batch_size}"],
    ],
)
def test_hydras_own_syntax_keeps_its_meaning(overrides: list[str]) -> None:
    assert problems(*overrides) == []


def test_a_section_that_is_given_as_one_value_is_looked_at_key_by_key() -> None:
    assert names(problems("model={depth:3,foo:1,width:-1}")) == ["model.foo=1", "model.width=-1"]


def test_what_is_composed_knows_the_whole_command_line() -> None:
    given = (
        "optimizer.lr=0.1",
        "model=cnn",
        "+optimizer.amsgrad=true",
        "hydra.job.name=x",
        "data.batch_size=${model.width}",
    )
    assert composed(*given).overrides == [text for text in given if not text.startswith("hydra.")]


def test_every_value_of_a_sweep_is_looked_at() -> None:
    said = problems("optimizer.lr=0.1,abc,-1", "model=mlp,cnm", "data.batch_size=choice(8,0)", "modle=a,b", sweep=True)
    assert sorted(names(said)) == [
        "data.batch_size=0", "model=mlp,cnm", "modle=a,b", "optimizer.lr=-1", "optimizer.lr=abc",
    ]  # fmt: skip
    assert names(problems("optimizer.lr=interval(-1,1)", sweep=True)) == ["optimizer.lr=-1.0"]
    assert names(problems("optimizer.lr=range(1,-1,-0.5)", sweep=True)) == ["optimizer.lr=-0.5"]
    assert problems("seed=range(0,0)", sweep=True) == [
        "seed=range(0,0): It lists no values. List some: seed=VALUE,VALUE."
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.lr=0.1,0.2", "model=mlp,cnn"],
        ["seed=range(0,5)", "optimizer.lr=tag(log,interval(1e-4,1))"],
        ["model=glob(m*)", "optimizer.betas=[0.9,0.9],[0.9,0.99]"],
        ["optimizer.lr=range(1,1e4)"],
        ["+optimizer.amsgrad=true,false"],
    ],
)
def test_a_sweep_may_hold_several_values(overrides: list[str]) -> None:
    assert problems(*overrides, sweep=True) == []


FILES = {
    "experiment/typo.yaml": "# @package _global_\noptimzer:\n  lr: 0.1\noptimizer:\n  lrr: 0.1\n  lr: -1\n",
    "experiment/forgot.yaml": "optimizer:\n  lr: 0.1\n",
    "experiment/nowhere.yaml": "# @package _global_\ndefaults:\n  - override /model: cn\n",
    "experiment/broken.yaml": "# @package _global_\nseed: [1\nmode: }\n",
    "experiment/twice.yaml": "# @package _global_\nseed: 1\nseed: 2\n",
    "experiment/odd.yaml": "# @package _global_\ndefaults: 3\n",
    "experiment/flat.yaml": "# @package _global_\nmodel: 3\n",
    "experiment/text.yaml": "just words\n",
    "experiment/good.yaml": "# @package _global_\nseed: 7\n",
    "model/mine.yaml": "_target_: gridstorm.model.mlp.MLP\n_partial_: true\ndepth: two\n",
    "model/whole.yaml": "_target_: gridstorm.model.mlp.MLP\n",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf")
    written(folder, FILES)
    return folder


def test_what_is_wrong_in_a_file_is_said_with_the_file(files: Path) -> None:
    loader = written(files, {})
    assert names(problems("experiment=typo", loader=loader)) == [
        "optimzer (preset typo)", "optimizer.lr=-1 (preset typo)", "optimizer.lrr=0.1 (preset typo)",
    ]  # fmt: skip
    assert problems("model=mine", loader=loader) == [
        "model.depth=two (choice model=mine): It must be a whole number, and this is text. Try model.depth=2."
    ]
    assert problems("experiment=forgot", loader=loader) == []  # a preset found by its name sets the run's keys
    assert problems("model=whole", loader=loader) == [
        "model._partial_: It must be true: the run completes it. Write ++model._partial_=true."
    ]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("experiment=nowhere", "Could not find 'model/cn'. Did you mean 'cnn'?"),
        ("experiment=broken", "experiment/broken.yaml, line 3: It is not YAML"),
        ("experiment=twice", "experiment/twice.yaml, line 3: It is not YAML (found duplicate key seed)."),
        ("experiment=odd", "experiment=odd: Invalid defaults list in 'experiment/odd', defaults must be a list"),
        ("experiment=flat", "model (preset flat): A run needs one, and there is none."),
        ("experiment=text", "experiment/text.yaml, line 1: It is one value, and no section. Write KEY: VALUE."),
        ("experiment=godo", "experiment=godo: There is no experiment called 'godo'. Did you mean 'good'?"),
    ],
)
def test_a_file_that_composes_to_nothing_useful_is_refused_in_words(files: Path, override: str, words: str) -> None:
    (said,) = problems(override, loader=written(files, {}))
    assert words in said
    assert "Traceback" not in said


def test_one_file_that_does_not_compose_does_not_hide_what_else_is_wrong(files: Path) -> None:
    said = problems("experiment=odd", "model=cn", "optimizer.lr=-1", loader=written(files, {}))
    assert names(said) == ["model=cn", "experiment=odd", "optimizer.lr=-1"]
