"""The memory of a group: what its runs need is known before, and where there is none for all, the halves go on."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import STAND_IN
from gridstorm.fusion.group import Group
from gridstorm.fusion.training import train_together
from gridstorm.objects.warning import quiet
from groups import DOUBLE, OTHERS, RESUMED_ALONE, SHORT, TEXT, alone, cells, mine, off, record
from house import telling


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """Do what a worker does around a job."""
    with quiet():
        yield


PEAK = """
import re, sys
from pathlib import Path
from composing import composed
from groups import together
from gridstorm.fusion import needs
from gridstorm.objects import quiet

with quiet():
    all_cells = [composed(*sys.argv[2:], "trainer.max_epochs=1", f"optimizer.lr=0.001{n}") for n in range(34)]
    peaks = []
    for number in (2, 34):
        together(Path(sys.argv[1], f"{number}"), all_cells[:number])
        # Not of getrusage, which knows the process that started this one too.
        peaks.append(int(re.findall(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[0]) * 1024)
    print((peaks[1] - peaks[0]) / 32, needs(all_cells[0])["bytes"])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    telling([("model=cnn", "model.width=8"), ("model.width=256",), (*TEXT, "model.width=32")], ("model.width=256",)),
)
def test_a_run_takes_as_much_memory_in_a_group_as_it_is_thought_to_need(tmp_path: Path, network: Sequence[str]) -> None:
    command = [sys.executable, "-c", PEAK, str(tmp_path), *network]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (STAND_IN, STAND_IN.parent)))}
    done = subprocess.run(command, env=path, capture_output=True, text=True)
    taken, thought = map(float, done.stdout.split())
    assert taken / 2 < thought < taken * 2, done.stderr


def test_where_the_machine_has_no_memory_for_all_the_halves_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    eight = [mine(monkeypatch, "Hungry", *SHORT, f"optimizer.lr={0.001 * number}") for number in range(1, 9)]
    records = [record(tmp_path, f"{number}", one) for number, one in enumerate(eight)]
    before = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + 1200 * 2**20, before[1]))  # enough for five
    try:
        train_together(records)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    for one, two in zip(alone(tmp_path, eight), records, strict=True):
        assert off(one, two.directory) < 1e-4
    assert re.findall(r"(\d) runs could not go on.*memory", capsys.readouterr().out) == ["8"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory")])  # fmt: skip
def test_where_memory_runs_out_the_halves_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    three = cells([DOUBLE, *SHORT], *OTHERS)
    before = Group.training_step

    def step(group: Group, batch: Any, batch_idx: int) -> Tensor:
        if len(group.members) > 2 and group.current_epoch == 1:
            raise error
        return before(group, batch, batch_idx)

    monkeypatch.setattr(Group, "training_step", step)
    records = [record(tmp_path, f"{number}", one) for number, one in enumerate(three)]
    train_together(records)
    for one, two in zip(alone(tmp_path, three), records, strict=True):
        assert off(one, two.directory, ("",)) < RESUMED_ALONE
    assert "3 runs could not go on together; their halves do." in capsys.readouterr().out
