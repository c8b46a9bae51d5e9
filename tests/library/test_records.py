"""Records and sources as a process that lives on meets them: changed, damaged, or written by a stranger."""

import contextlib
import importlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from gridstorm import Run, Sweep, UserError, compose, sweep, train

SHORT = ("trainer.max_epochs=2",)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a run and a sweep."""
    folder = tmp_path_factory.mktemp("records") / "outputs"
    train(compose(*SHORT, f"output_dir={folder}", "name=first"))
    sweep("optimizer.lr=1e-3,1e-2", *SHORT, f"output_dir={folder}", "sweep.name=grid", "launcher=in_process")
    return folder


@pytest.mark.parametrize(("name", "key", "value"), [
    ("origin.json", "origins", []), ("origin.json", "choices", 3), ("result.json", "metrics", {"a": "<b>"}),
    ("config.yaml", "data", None), ("config.yaml", "trainer", "<script>"),
])  # fmt: skip
def test_a_record_of_anything_is_shown_or_refused_in_words(
    trained: Path, tmp_path: Path, name: str, key: str, value: object
) -> None:
    run = shutil.copytree(trained / "first", tmp_path / "copy")
    content = yaml.safe_load((run / name).read_text())
    (run / name).write_text(json.dumps({**content, key: value}))
    with contextlib.suppress(UserError):
        shown = Run(run)._repr_html_() + repr(Run(run))
        assert "<script>" not in shown and "<b>" not in shown
    with contextlib.suppress(UserError):
        Run(run).model()


@pytest.mark.parametrize(("key", "value"), [("values", [1]), ("seed", "x"), ("number", None)])
def test_a_sweep_of_anything_is_refused_in_words(trained: Path, tmp_path: Path, key: str, value: object) -> None:
    grid = shutil.copytree(trained / "grid", tmp_path / "copy")
    file = next(grid.glob("01*")) / "origin.json"
    origin = json.loads(file.read_text())
    file.write_text(json.dumps({**origin, "trial": {**origin["trial"], key: value}}))
    with pytest.raises(UserError, match="A record is damaged"):
        Sweep(grid)


def test_a_damaged_record_of_the_same_command_costs_no_run() -> None:
    train(compose(*SHORT, "name=old"))
    file = Path("outputs/old/origin.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "overrides": [1]}))
    train(compose(*SHORT, "name=new"), verbose=True)
    nine = ((number, ", ".join([f"*a{number - 1}"] * 9)) for number in range(1, 10))
    bomb = "a0: &a0 [x]\n" + "".join(f"a{number}: &a{number} [{others}]\n" for number, others in nine)
    for text in ("a: " + "[" * 100_000, "a: " + "- " * 100_000, bomb):
        Path("outputs/new/config.yaml").write_text(text)
        with pytest.raises(UserError):
            Run("outputs/new").config  # noqa: B018


def test_a_module_that_was_edited_after_its_import_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "edited_here"
    package.mkdir()
    (package / "__init__.py").write_text("")
    net = "from torch import nn\n\n\nclass Net(nn.Module):\n    pass\n"
    (package / "net.py").write_text(net)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GRIDSTORM_ALLOW", "edited_here")
    with pytest.raises(UserError, match=r"edited_here\.later has no class Later|edited_here has no module later"):
        compose("model=edited_here.later.Later")
    (package / "later.py").write_text(net.replace("Net", "Later"))
    compose("model=edited_here.later.Later", "model=edited_here.net.Net")
    importlib.import_module("edited_here.net")
    (package / "net.py").write_text(f"{net}    # changed\n")
    with pytest.warns(RuntimeWarning, match=r"net\.py has changed since it was imported here"):
        compose("model=edited_here.net.Net")


def test_a_package_that_the_project_allows_is_trained_swept_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDSTORM_ALLOW", raising=False)
    package = tmp_path / "allowed_here"
    package.mkdir()
    (package / "__init__.py").write_text("")
    text = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    text += (
        "        self.layer = nn.Linear(64, 10)\n\n    def forward(self, x):\n        return self.layer(x.flatten(1))\n"
    )
    (package / "net.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    texts = ("model=allowed_here.net.Net", *SHORT)
    with pytest.raises(UserError, match="If you trust allowed_here"):
        compose(*texts)
    (tmp_path / "pyproject.toml").write_text('[tool.gridstorm]\nallow = ["allowed_here"]\n')
    run = train(compose(*texts, "name=own"))
    assert type(run.model()).__name__ == "Net"
    assert len(sweep(*texts, "seed=0,1", "launcher=in_process").trials[0].runs) == 2
    assert train(compose("resume=outputs/own")).status == "done"
