"""What a run's numbers depend on beside its recipe."""

from pathlib import Path

import pytest

from conftest import Compose
from gridstorm.record.environment import _digest, code
from gridstorm.target import definition, target


def fresh() -> None:
    """Forget what was read of sources, as another process would."""
    for cached in (_digest, definition.source_file, definition._tree, target.find, target._signature):
        cached.cache_clear()


def test_code_of_another_choice_is_other_code(composed: Compose) -> None:
    mlp, cnn = composed("model=mlp"), composed("model=cnn")
    assert code(mlp.recipe) == code(composed("model=mlp", "optimizer.lr=0.5", "optimizer=sgd").recipe)
    assert code(mlp.recipe) != code(cnn.recipe)


def test_any_file_of_a_users_package_is_code_of_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "layers.py").write_text("WIDTH = 3\n")
    (package / "net.py").write_text("class Net:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    recipe = {"model": {"_target_": "mine.net.Net"}}
    fresh()
    before = code(recipe)
    (package / "layers.py").write_text("WIDTH = 4\n")
    fresh()
    assert code(recipe) != before
    fresh()
