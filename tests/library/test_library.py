"""Gridstorm from Python: one call after another, errors, threads, objects, and a process that is left as it was."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose as hydras
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gridstorm
from gridstorm import Run, RunConfig, Sweep, UserError, compose, runs, sweep, train
from gridstorm.target import project
from house import ROOT

SHORT = ("trainer.max_epochs=2",)


class Net(nn.Module):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(x.flatten(1))
        return logits


class Noise(pl.LightningDataModule):
    """Noise in two classes."""

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(64, 64, generator=generator)
        self.part = TensorDataset(x, (x[:, 0] > 0).long())

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(self.part, 16)

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(self.part, 16)


class Whole(pl.LightningModule):
    """A network with its own training step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a run and a sweep."""
    folder = tmp_path_factory.mktemp("library") / "outputs"
    train(compose(*SHORT, f"output_dir={folder}", "name=first"))
    sweep("optimizer.lr=1e-3,1e-2", *SHORT, f"output_dir={folder}", "sweep.name=grid", "launcher=in_process")
    return folder


def test_a_configuration_is_composed_as_a_command_composes_it(composed: object) -> None:
    config = compose("model=cnn", "optimizer.lr=0.01")
    assert isinstance(config, RunConfig)
    assert config == composed("model=cnn", "optimizer.lr=0.01")  # type: ignore[operator]  # the fixture is a function


def test_what_is_wrong_is_raised_with_every_problem_in_two_sentences() -> None:
    with pytest.raises(UserError) as raised:
        compose("modle=cnn", "optimizer.lr=fast")
    first, second = raised.value.problems
    assert str(first) == "modle=cnn: There is no key 'modle'. Did you mean 'model=cnn'?"
    assert second.key == "optimizer.lr=fast"


def test_a_run_is_trained_tested_and_read_back(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = Run(trained / "first")
    assert run.status == "done"
    assert run.config.values["trainer"]["max_epochs"] == 2
    assert run.result
    assert run.metrics["val/loss"] == pytest.approx(run.result.score)
    assert "test/accuracy" in run.metrics
    assert len([point for point in run.record.rows() if "val/loss" in point]) == 2
    assert len(run.curves()) == len([*run.record.rows()])
    assert repr(run).startswith(f"Run({str(trained / 'first')!r}, done, val/loss ")
    assert "<td>model</td><td>mlp</td>" in run._repr_html_()
    assert "<td>trainer.max_epochs</td><td>2</td>" in run._repr_html_()
    assert capfd.readouterr() == ("", "")


def test_its_model_has_the_weights_of_the_best_epoch(trained: Path) -> None:
    run = Run(trained / "first")
    before = torch.random.get_rng_state()
    model = run.model()
    saved = torch.load(trained / "first" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert not model.training
    assert all(torch.equal(saved[f"network.{name}"], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_sweep_is_read_back_best_first(trained: Path) -> None:
    grid = Sweep(trained / "grid")
    assert [trial.values for trial in grid.trials] == [{"optimizer.lr": 0.01}, {"optimizer.lr": 0.001}]
    assert grid.best and grid.best.config.values["optimizer"]["lr"] == 0.01
    table = grid.table()
    table = table if isinstance(table, list) else table.to_dict("records")  # where pandas is installed
    assert [row["optimizer.lr"] for row in table] == [0.01, 0.001]
    assert {"trial", "run", "seed", "status", "score", "val/loss"} <= table[0].keys()
    assert repr(grid) == f"Sweep({str(trained / 'grid')!r}, 2 trials)"
    assert "<th>optimizer.lr</th><th>val/loss</th>" in grid._repr_html_()
    assert [run.directory.name for run in runs(trained)] == ["first", "01-lr=0.001", "02-lr=0.01"]


def test_the_same_call_goes_on_with_a_sweep(trained: Path) -> None:
    before = [trial.runs[0].record.directory.stat().st_mtime_ns for trial in Sweep(trained / "grid").trials]  # type: ignore[union-attr]
    call = "optimizer.lr=1e-3,1e-2", *SHORT, f"output_dir={trained}", "sweep.name=grid", "launcher=in_process"
    again = sweep(*call)
    assert [trial.runs[0].record.directory.stat().st_mtime_ns for trial in again.trials] == before  # type: ignore[union-attr]


def test_a_list_of_one_value_is_a_sweep_of_one_trial_and_a_failing_trial_is_among_them() -> None:
    one = sweep("optimizer.lr=1e-3", *SHORT, "sweep.name=one", "launcher=in_process")
    assert len(one.trials) == 1
    bad = sweep("optimizer=sgd", "optimizer.lr=0.1,1e30", *SHORT, "sweep.name=bad", "launcher=in_process")
    assert [str(trial.status) for trial in bad.trials] == ["done", "diverged"]


def test_nothing_is_there_is_said(tmp_path: Path) -> None:
    calls: dict[Callable[[], object], str] = {
        lambda: Run("outputs/none"): "There is no run in this directory.",
        lambda: Sweep("outputs/none"): "There is no sweep in this directory.",
        lambda: runs("none"): "There is no such directory.",
        lambda: train(compose("explain=true")): "It trains nothing",
        lambda: sweep("optimizer.lr=1,2", "sweep.dry_run=true"): "It trains nothing",
        lambda: train(compose(), model=Net): "It is no object of a torch.nn.Module",  # type: ignore[arg-type]
    }
    for call, words in calls.items():
        with pytest.raises(UserError, match=words):
            call()


def test_objects_are_trained_and_the_record_says_that_it_cannot_do_so_alone(capfd: pytest.CaptureFixture[str]) -> None:
    net, data = Net(), Noise()
    before = net.layer.weight.clone()
    asked = compose(*SHORT, "name=objects", "+data.batch.num_outputs=10")
    run = train(asked, model=net, data=data, verbose=True)
    assert torch.equal(net.layer.weight, before)
    trained = run.model()
    assert isinstance(trained, Net) and not torch.equal(trained.layer.weight, before)
    assert "the record alone cannot train it again: model (Net), data (Noise)" in capfd.readouterr().out
    assert run.record.origin["command"].startswith("gridstorm.train(gridstorm.compose('trainer.max_epochs=2'")
    for call in (lambda: Run(run.directory).model(), lambda: train(compose(f"resume={run.directory}"))):
        with pytest.raises(UserError, match=r"Python gave it as an object of .*Net"):
            call()
    assert torch.equal(
        Run(run.directory, model=net, data=data).model().state_dict()["layer.weight"], trained.layer.weight
    )


@pytest.mark.parametrize("override", ["data.batch_size=32", "data=breast_cancer", "model=cnn", "model.width=3"])
def test_what_an_object_would_make_ignored_is_refused(override: str) -> None:
    with pytest.raises(UserError, match="is given as an object, and this would be ignored"):
        train(compose(override), model=Net(), data=Noise())


def test_a_model_that_cannot_be_copied_is_refused_in_words() -> None:
    class Open(Net):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(UserError, match=r"It cannot be copied .*and a run trains a copy"):
        train(compose(*SHORT), model=Open())


def test_a_configuration_that_was_changed_by_hand_is_checked_again() -> None:
    config = compose(*SHORT)
    config.values["optimizer"]["lr"] = "fast"
    with pytest.raises(UserError, match=r"optimizer\.lr=fast: It must be a number"):
        train(config)


def test_a_lightning_module_is_trained_by_its_own_step() -> None:
    run = train(compose(*SHORT, "name=whole"), model=Whole())
    assert run.status == "done"
    assert "optimizer" not in run.config.values
    assert isinstance(run.model(), Whole)


class Unusual(Whole):
    """One that logs a metric by a name of its own, and optimizes nothing."""

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        self.log("hits", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> None:  # type: ignore[override]  # which Lightning accepts
        return None


@pytest.mark.filterwarnings("ignore:.*configure_optimizers.*returned.*None")
def test_a_metric_that_an_object_logs_can_be_monitored() -> None:
    run = train(compose("monitor=hits", "mode=max", *SHORT, model=Unusual()))
    assert (run.status, run.result and run.result.monitor) == ("done", "hits")


@pytest.mark.parametrize("override", ["loss=focal", "optimizer.lr=0.1", "metric=f1"])
def test_what_a_lightning_module_does_not_take_is_refused(override: str) -> None:
    with pytest.raises(UserError, match="Whole is a LightningModule that takes no"):
        compose(override, model=Whole())
    with pytest.raises(UserError, match="Whole is a LightningModule that takes no"):
        train(compose(override), model=Whole())


@pytest.mark.parametrize("call", [compose, sweep])
def test_an_override_that_is_no_text_is_refused_in_words(call: Callable[[list[str]], object]) -> None:
    with pytest.raises(UserError, match=rf"An override is a text, and this is list. Write gridstorm\.{call.__name__}"):
        call(["model=cnn"])


def test_a_run_that_raises_raises_its_cause_and_the_next_one_trains() -> None:
    class Broken(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training and torch.is_grad_enabled() and x.shape[0] != 64:
                raise RuntimeError("too small")
            return super().forward(x)

    with pytest.raises(gridstorm.RunFailed, match="too small") as raised:
        train(compose(*SHORT, "name=broken"), model=Broken())
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert Run("outputs/broken").status == "failed"
    assert train(compose(*SHORT, "name=next")).status == "done"


def test_the_process_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "1")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        before = state()
        train(compose(*SHORT, "threads=1", "+trainer.deterministic=true"))
        sweep("seed=0,1", *SHORT, "launcher=in_process")
        with pytest.raises(UserError):
            compose("model=none")
        assert state() == before
        assert hydras("config").seed == 0  # Hydra's own interface goes on
    assert project().file is None


def state() -> tuple[object, ...]:
    """What a call could leave behind."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    torch_state = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.random.get_rng_state().sum(),
    )
    loggers = [logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")]
    hydra = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    return {**os.environ}, handlers, torch_state, random.getstate(), loggers, hydra, sys.stdout, sys.argv


def test_a_second_training_at_the_same_time_is_refused_and_a_thread_may_train() -> None:
    ended: list[Run] = []
    begun = threading.Event()

    class Slow(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            begun.set()
            time.sleep(0.01)
            return super().forward(x)

    thread = threading.Thread(target=lambda: ended.append(train(compose(*SHORT, "name=slow"), model=Slow())))
    slow = Slow()
    Slow.__deepcopy__ = lambda self, memo: slow  # type: ignore[attr-defined]  # an Event cannot be copied
    thread.start()
    assert begun.wait(60)
    with pytest.raises(UserError, match=r"Another training is at work.*gridstorm\.sweep"):
        train(compose(*SHORT))
    thread.join()
    assert [run.status for run in ended] == ["done"]


SCRIPT = """
import os, signal, threading, time
import gridstorm
config = gridstorm.compose("trainer.max_epochs=100000", "name=long")
def stop():
    while not os.path.exists("outputs/long/metrics.jsonl") or not os.path.getsize("outputs/long/metrics.jsonl"):
        time.sleep(0.05)
    during.append(str(gridstorm.Run("outputs/long").status))
    os.kill(os.getpid(), signal.SIGINT)
during = []
threading.Thread(target=stop, daemon=True).start()
try:
    gridstorm.train(config)
except KeyboardInterrupt:
    print("stopped", during, gridstorm.Run("outputs/long").status)
"""


def test_ctrl_c_is_a_keyboard_interrupt_and_the_run_can_go_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("stopped ['running'] interrupted\n", 0), done.stderr


def test_importing_it_loads_nothing_and_composing_no_torch() -> None:
    words = "import sys, gridstorm; print({'torch', 'hydra', 'omegaconf', 'numpy', 'yaml'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", words], text=True) == "set()\n"
    words = "import sys, gridstorm; gridstorm.compose('model=cnn'); print({'torch', 'optuna'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", words], text=True) == "set()\n"


def test_weights_that_are_given_decide_the_signature_and_a_changed_configuration_has_one_of_its_own() -> None:
    config, first, second = compose(*SHORT), Net(), Net()
    signatures = [train(config, model=net).result.signature for net in (first, first, second)]  # type: ignore[union-attr]
    assert signatures[0] == signatures[1] != signatures[2]
    before = train(config)
    config.values["optimizer"]["lr"] = 0.5
    after = train(config)
    assert before.result and after.result and before.result.signature != after.result.signature
    assert after.record.origin["signature"] == after.config.signature == after.result.signature


class StopsTests(pl.Callback):
    """Is what Ctrl-C in the test part is."""

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_in_the_test_part_and_an_error_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "test_library")
    before = state()
    with pytest.raises(KeyboardInterrupt) as kept:
        train(compose(*SHORT, "name=stopped", "+callbacks.stop._target_=test_library.StopsTests"))
    assert state() == before
    assert Run("outputs/stopped").status == "interrupted"  # no lock is left, though the exception is kept
    assert kept.value is not None


def test_an_interrupted_run_with_an_object_goes_on_with_it() -> None:
    net = Net()
    run = train(compose("trainer.max_epochs=3", "name=whole-object"), model=net)
    (run.directory / "result.json").unlink()
    again = train(compose("resume=outputs/whole-object"), model=net)
    assert again.status == "done"
    with pytest.raises(UserError, match="Its weights do not fit"):
        Run(run.directory, model=nn.Linear(64, 10)).model()


def test_threads_may_compose_and_hydras_own_sources_are_left() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from hydra._internal.sources_registry import SourcesRegistry

    before = dict(SourcesRegistry.instance().types)
    with ThreadPoolExecutor(4) as pool:
        assert len([*pool.map(lambda lr: compose(f"optimizer.lr={lr}"), (0.1, 0.2, 0.3, 0.4))]) == 4
    assert dict(SourcesRegistry.instance().types) == before
    assert GlobalHydra.instance().hydra is None
