"""Private names of libraries: they stand in one file for each library, and are still there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.core.override_parser.types import Override
from pytorch_lightning.trainer import call

from gridstorm.objects import quiet
from house import SOURCE

# Where private names of a library may stand; each file says what they gain.
ALLOWED = {"command/hydra.py", "module/lightning.py", "fusion/functorch.py", "sampler/cmaes.py", "run/heal.py"}


def own_names(tree: ast.Module) -> set[str]:
    """Return the names that a file gives to something itself."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def private_names(file: Path) -> Iterator[str]:
    """Yield what a file takes of a library that begins with an underscore."""
    tree = ast.parse(file.read_text())
    own = own_names(tree) | {"_exit"}  # os._exit is public
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("gridstorm"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if not alias.name.startswith("gridstorm")]
        elif isinstance(node, ast.Attribute) and node.attr not in own:
            names = [node.attr]
        else:
            continue
        yield from (name for name in names if any(is_private(part) for part in name.split(".")))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_private_names_of_a_library_stand_in_one_file_of_that_name(file: Path) -> None:
    if str(file.relative_to(SOURCE)) not in ALLOWED:
        assert [*private_names(file)] == []


def test_the_files_that_may_have_some_do() -> None:
    for name in ALLOWED:
        assert [*private_names(SOURCE / name)], name


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (pl.LightningModule, "_on_before_batch_transfer"),
        (pl.LightningModule, "_apply_batch_transfer_handler"),
        (call, "_call_callback_hooks"),
        (call, "_call_callbacks_on_load_checkpoint"),
        (call, "_call_callbacks_load_state_dict"),
        (Override, "_convert_value"),
        (Override, "_get_value_element_as_str"),
    ],
)
def test_a_name_that_is_overridden_or_called_is_there(owner: object, name: str) -> None:
    assert hasattr(owner, name)


def test_lightning_sets_the_name_of_the_hook_that_is_set_without_torchs_checks() -> None:
    class Module(pl.LightningModule):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            names.append(str(self._current_fx_name))
            return torch.zeros(1, requires_grad=True).sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD([torch.zeros(1, requires_grad=True)])

    names: list[str] = []
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(fast_dev_run=True, accelerator="cpu", **off)  # type: ignore[arg-type]
    with quiet():
        trainer.fit(Module(), [torch.zeros(1)])
    assert names == ["training_step"]
    assert isinstance(trainer.fit_loop._can_stop_early, bool)
    assert isinstance(trainer._checkpoint_connector._get_loops_state_dict(), dict)
