"""What a run's numbers depend on beside its recipe."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Compose
from gridstorm.record.environment import code
from gridstorm.target import definition, find, refresh


def fresh() -> None:
    """Forget what was read of sources, as another process would."""
    for cached in definition._caches:
        cached.cache_clear()


def test_code_of_another_choice_is_other_code(composed: Compose) -> None:
    mlp, cnn = composed("model=mlp"), composed("model=cnn")
    assert code(mlp.recipe) == code(composed("model=mlp", "optimizer.lr=0.5", "optimizer=sgd").recipe)
    assert code(mlp.recipe) != code(cnn.recipe)


FILES = {
    "__init__.py": "",
    "net.py": "\ufefffrom .layer import WIDTH\n\n\nclass Net:\n    def forward(self):\n        import behind.late\n",
    "folder/inner.py": "HEIGHT = 2\n",
    "listed/__init__.py": '__all__ = ["one"]\n',
    "listed/one.py": "ONE = 1\n",
    "called.py": "X = 1\n",
    "named.py": "X = 1\n",
    "layer.py": "from behind.shared import *\nWIDTH = 3\n",
    "shared.py": "DEPTH = 2\n",
    "late.py": "import beside_behind, statistics\nfrom behind.folder.inner import HEIGHT\nfrom .listed import *\n"
    "from importlib import import_module\nimport_module('behind.called')\nimport_module('.named', __package__)\n",
    "other.py": "WIDTH = 5\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a package `behind`, of whose modules all but one are imported by its model."""
    folder = tmp_path / "behind"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "beside_behind.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    fresh()
    yield folder
    fresh()


def test_a_process_that_lives_on_sees_what_has_changed(package: Path) -> None:
    fresh()
    before = code({"model": {"_target_": "behind.net.Net"}})
    assert refresh() == []
    (package / "layer.py").write_text("WIDTH = 30_000\n")
    assert find("behind.later.Net") is None
    (package / "later.py").write_text("class Net:\n    pass\n")
    assert refresh() == [package / "layer.py"]
    assert find("behind.later.Net") is not None
    assert code({"model": {"_target_": "behind.net.Net"}}) != before


def digest() -> str:
    fresh()
    return code({"model": {"_target_": "behind.net.Net"}})


@pytest.mark.parametrize("name", ["__init__.py", "net.py", "layer.py", "shared.py", "late.py", "../beside_behind.py",
                                  "folder/inner.py", "listed/one.py", "called.py", "named.py"])  # fmt: skip
def test_what_a_users_model_imports_is_code_of_it(package: Path, name: str) -> None:
    before = digest()
    with (package / name).open("a") as file:
        file.write("Y = 2\n")
    assert digest() != before


def test_a_module_that_hands_it_on_is_code_of_it_too(package: Path) -> None:
    (package / "api.py").write_text("from behind.net import Net\n")
    fresh()
    before = code({"model": {"_target_": "behind.api.Net"}})
    (package / "api.py").write_text("from behind.net import Net\nNet.forward = None\n")
    fresh()
    assert code({"model": {"_target_": "behind.api.Net"}}) != before


def test_what_it_does_not_import_is_not_and_no_comment_is(package: Path) -> None:
    before = digest()
    (package / "other.py").write_text("WIDTH = 6\n")
    (package / "new.py").write_text("WIDTH = 7\n")
    (package / "layer.py").write_text("# the width\nfrom behind.shared import *\n\nWIDTH = (\n    3  # of it\n)\n")
    (package / "net.py").write_text(FILES["net.py"].replace("(self)", "(\n        self\n    )"))
    assert digest() == before


def test_a_file_that_is_no_python_is_code_as_it_stands(package: Path) -> None:
    (package / "layer.py").write_text("def (:\n")
    before = digest()
    (package / "layer.py").write_text("def (:  # now\n")
    assert digest() != before


def test_letters_of_a_declared_encoding_are_code(package: Path) -> None:
    (package / "layer.py").write_bytes("# coding: latin-1\nLETTER = 'é'\n".encode("latin-1"))
    before = digest()
    (package / "layer.py").write_bytes("# coding: latin-1\nLETTER = 'à'\n".encode("latin-1"))
    assert digest() != before
