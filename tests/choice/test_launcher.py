"""Launchers: no place idle, a dead worker costs its job alone, and no process outlives the sweep."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import jobs
from conftest import STAND_IN
from gridstorm.launcher import Died, cores
from gridstorm.launcher.in_process import InProcess
from gridstorm.launcher.processes import ALONE, Processes

PARENT = """
import sys, time
print("the script is run", flush=True)
if __name__ == "__main__":
    sys.path.insert(0, {tests!r})
    import jobs
    from pathlib import Path
    from gridstorm.launcher.processes import Processes
    with Processes(places=2) as launcher:
        launcher.prepare({preload!r})
        {body}
"""


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    """Return two places, whose workers the tests of this module share."""
    with Processes(places=2) as launcher:
        launcher.prepare(["jobs"])
        yield launcher


def parent(folder: Path, body: str, *preload: str) -> "subprocess.Popen[str]":
    """Start a script that does `body` with two places called `launcher`."""
    script = folder / "parent.py"
    script.write_text(PARENT.format(tests=str(STAND_IN), body=body, preload=preload))
    return subprocess.Popen([sys.executable, script], cwd=folder, stdout=subprocess.PIPE, text=True)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def noted(note: Path) -> list[int]:
    """Return the processes that `jobs.hang` noted."""
    assert within(30, note.exists)
    return [int(pid) for pid in note.read_text().split()]


def test_results_and_exceptions_come_back(two: Processes) -> None:
    assert list(two.map(jobs.add, range(20), range(20))) == [2 * i for i in range(20)]
    with pytest.raises(KeyError, match="lr") as caught:
        two.submit(jobs.fail, "plain").result()
    assert "jobs.py" in caught.value.__notes__[0]


@pytest.mark.parametrize("kind", ["unpicklable", "unpicklable argument"])
def test_an_exception_that_cannot_be_pickled_comes_back_as_text(two: Processes, kind: str) -> None:
    with pytest.raises(RuntimeError, match=r"TwoArguments: one and two|ValueError: <unlocked"):
        two.submit(jobs.fail, kind).result()
    assert two.submit(jobs.add, 1, 2).result() == 3


def test_a_call_that_cannot_be_pickled_is_refused_where_it_is_submitted(two: Processes) -> None:
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        two.submit(lambda: None)


def test_workers_stay_warm_and_share_one_server(two: Processes) -> None:
    pids, servers = zip(*two.map(jobs.process, range(50)), strict=True)
    assert len(set(pids)) <= 2
    assert len(set(servers)) == 1
    assert os.getpid() not in servers


def test_a_free_place_gets_the_next_job_while_the_other_is_busy(two: Processes, tmp_path: Path) -> None:
    long = two.submit(jobs.wait_for, str(tmp_path / "enough"))
    assert [*two.map(jobs.add, range(5), range(5))] == [0, 2, 4, 6, 8]
    assert not long.done()
    (tmp_path / "enough").touch()
    assert long.result()


def test_a_trivial_job_costs_a_fraction_of_a_new_worker(two: Processes) -> None:
    def seconds(job: Callable[..., Any], *arguments: Any) -> float:
        began = time.perf_counter()
        two.submit(job, *arguments).exception()
        return time.perf_counter() - began

    warm, fresh = [], []
    for _ in range(10):
        fresh.append(seconds(jobs.leave, 1) + seconds(jobs.add, 1, 1))  # the second one needs a new process
        warm.append(min(seconds(jobs.add, 1, 1) for _ in range(5)))
    assert sorted(warm)[5] < sorted(fresh)[5] / 3


@pytest.mark.parametrize(
    ("job", "argument", "exitcode", "words"),
    [
        (jobs.die_of, signal.SIGKILL, -9, "killed by SIGKILL, often for lack of memory"),
        (jobs.die_of, signal.SIGSEGV, -11, "segmentation fault (SIGSEGV)"),
        (jobs.die_of, signal.SIGTERM, -15, "killed by SIGTERM"),
        (jobs.leave, 3, 3, "exit status 3"),
        (jobs.leave, 0, 0, "exit status 0"),
    ],
)
def test_a_dead_worker_costs_its_job_alone(
    two: Processes, job: Callable[[int], None], argument: int, exitcode: int, words: str
) -> None:
    beside = two.submit(jobs.nap, 0.2)
    dying = two.submit(job, argument)
    after = [two.submit(jobs.add, i, i) for i in range(4)]
    with pytest.raises(Died) as caught:
        dying.result(10)
    assert caught.value.exitcode == exitcode
    assert str(caught.value) == words
    assert [future.result(10) for future in after] == [0, 2, 4, 6]
    beside.result(10)


def test_a_death_between_two_jobs_costs_none() -> None:
    with Processes(places=1) as one:
        pid, _ = one.submit(jobs.process).result()
        os.kill(pid, signal.SIGKILL)
        assert within(5, lambda: not Path(f"/proc/{pid}").exists())
        assert one.submit(jobs.process).result()[0] != pid


def test_what_a_dead_worker_started_ends_with_it(two: Processes, tmp_path: Path) -> None:
    orphaning = two.submit(jobs.hang, tmp_path / "note")
    worker, _, child = noted(tmp_path / "note")
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(Died):
        orphaning.result(5)
    assert within(1, lambda: not alive(child))


def test_the_death_of_the_server_is_survived_and_leaves_no_second_worker_at_a_job(tmp_path: Path) -> None:
    with Processes(places=1) as one:
        hanging = one.submit(jobs.hang, tmp_path / "note")
        worker, server, child = noted(tmp_path / "note")
        os.kill(server, signal.SIGKILL)
        with pytest.raises(Died):
            hanging.result(10)
        assert within(5, lambda: not (alive(worker) or alive(child)))
        assert one.submit(jobs.add, 1, 2).result(10) == 3


def test_a_server_that_cannot_start_is_a_sentence_and_no_hanging_job(tmp_path: Path) -> None:
    (tmp_path / "broken_library.py").write_text("import os; os._exit(1)")
    with parent(tmp_path, "print(launcher.submit(jobs.add, 1, 2).exception())", "broken_library") as ended:
        assert ended.stdout
        assert "ended while it imported gridstorm.launcher.processes, broken_library." in ended.stdout.read()


@pytest.mark.parametrize("busy", [False, True])
def test_kill_ends_a_hanging_job_and_what_it_started(two: Processes, tmp_path: Path, busy: bool) -> None:
    hanging, beside = two.submit(jobs.hang, tmp_path / "note", busy), two.submit(jobs.nap, 0.2)
    worker, _, child = noted(tmp_path / "note")
    two.kill(hanging)
    with pytest.raises(Died):
        hanging.result(5)
    assert within(1, lambda: not (alive(worker) or alive(child)))
    beside.result(5)
    two.kill(beside)  # over: nothing happens
    assert two.submit(jobs.add, 1, 2).result(5) == 3


def test_kill_reaches_a_job_whose_worker_is_still_starting(tmp_path: Path) -> None:
    with Processes(places=1) as one:
        with ALONE:  # as if the server were still importing
            starting = one.submit(jobs.hang, tmp_path / "note")
            assert within(5, starting.running)
            one.kill(starting)
        with pytest.raises(Died):
            starting.result(10)


def test_kill_cancels_what_has_not_begun() -> None:
    with Processes(places=1) as one:
        first, queued = one.submit(jobs.nap, 0.2), one.submit(jobs.nap, 60)
        one.kill(queued)
        with pytest.raises(CancelledError):
            queued.result()
        first.result()


@pytest.mark.parametrize("busy", [False, True])
def test_no_process_outlives_a_parent_that_is_killed(tmp_path: Path, busy: bool) -> None:
    body = f"launcher.submit(jobs.add, 1, 1).result(); launcher.submit(jobs.hang, Path({str(tmp_path / 'note')!r}),"
    with parent(tmp_path, f"{body} {busy}).result()") as killed:
        pids = noted(tmp_path / "note")
        assert all(map(alive, pids))
        killed.kill()
    assert within(1, lambda: not any(map(alive, pids)))


def test_the_parents_script_is_not_run_again_in_the_workers(tmp_path: Path) -> None:
    with parent(tmp_path, "print(launcher.submit(jobs.add, 1, 2).result(), 'torch' in sys.modules)") as ended:
        assert ended.stdout
        assert ended.stdout.read().splitlines() == ["the script is run", "3 False"]
    assert ended.returncode == 0


def test_a_script_that_forgets_to_shut_down_ends_all_the_same(tmp_path: Path) -> None:
    body = "pass\n    launcher = Processes(places=1); print(launcher.submit(jobs.add, 1, 2).result())"
    with parent(tmp_path, body) as ended:
        assert ended.wait(30) == 0


def test_an_interrupt_of_the_terminal_does_not_reach_the_workers(two: Processes) -> None:
    assert two.submit(jobs.interrupt).result() == "still here"
    assert os.getpgid(two.submit(jobs.process).result()[0]) != os.getpgrp()


def test_no_open_file_of_the_parent_is_open_in_a_worker(two: Processes, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        with Processes(places=1) as one:
            assert str(tmp_path / "lock") not in one.submit(jobs.open_files).result()


def test_shutdown_cancels_what_is_queued_and_leaves_nothing_behind() -> None:
    before = jobs.open_files(), threading.active_count()
    launcher = Processes(places=2)
    pids = {pid for pid, _ in launcher.map(jobs.process, range(20))}
    futures = [launcher.submit(jobs.nap, 0.2) for _ in range(8)]
    assert within(5, futures[1].running)
    launcher.shutdown(cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False] * 2 + [True] * 6
    assert (jobs.open_files(), threading.active_count()) == before
    assert not any(map(alive, pids))
    with pytest.raises(RuntimeError, match="shutdown"):
        launcher.submit(jobs.add, 1, 1)


def test_shutdown_without_waiting_lets_the_running_job_end() -> None:
    launcher = Processes(places=1)
    pid, _ = launcher.submit(jobs.process).result()
    last: Future[tuple[float, float]] = launcher.submit(jobs.nap, 0.2)
    launcher.shutdown(wait=False)
    assert not last.done()
    assert last.result(5)
    assert within(5, lambda: not alive(pid))


def test_the_cores_are_divided_among_the_places() -> None:
    assert (Processes().places, Processes().threads) == (cores(), 1)
    assert Processes(places=1).threads == cores()
    assert Processes(places=10 * cores()).threads == 1
    assert Processes(threads=10 * cores()).places == 1
    assert Processes(threads=cores()).places == 1
    with pytest.raises(ValueError, match=r"launcher\.places is 0"):
        Processes(places=0)


def test_a_worker_computes_with_its_share_of_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with Processes(places=1, threads=1) as one:
        assert one.submit(jobs.environment, "OMP_NUM_THREADS").result() == "1"
        assert one.submit(jobs.threads_of_torch).result() == 1
    assert "OMP_NUM_THREADS" not in os.environ


def test_each_worker_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5")
    with Processes(per_device=2) as shared:
        shared.prepare([], gpu=True)
        assert (shared.places, shared.threads) == (4, max(1, cores() // 4))
        seen = shared.map(jobs.environment, ["CUDA_VISIBLE_DEVICES"] * 4)
        assert sorted(map(str, seen)) == ["2", "2", "GPU-5", "GPU-5"]


def test_jobs_in_this_process_run_one_after_another() -> None:
    with InProcess() as here:
        assert here.places == 1
        naps = list(here.map(jobs.nap, [0.02] * 3))
        assert all(ended <= began for (_, ended), (began, _) in pairwise(naps))
        assert here.submit(jobs.process).result()[0] == os.getpid()
        with pytest.raises(KeyError):
            here.submit(jobs.fail, "plain").result()


def test_a_job_in_this_process_can_be_cancelled_and_not_killed() -> None:
    with InProcess() as here:
        running, queued = here.submit(jobs.nap, 0.2), here.submit(jobs.nap, 60)
        here.kill(queued)
        assert queued.cancelled()
        assert not here.can_kill
        with pytest.raises(RuntimeError, match="launcher=processes"):
            here.kill(running)


@pytest.mark.slow
def test_torch_is_imported_once_for_all_workers_and_never_in_the_parent(tmp_path: Path) -> None:
    body = """for _ in range(4):
            began = time.monotonic()
            assert "torch" in launcher.submit(jobs.modules).result() and "torch" not in sys.modules
            print(time.monotonic() - began)
            launcher.submit(jobs.leave, 1).exception()
        print(launcher.submit(jobs.fail, "of torch's").exception(), "torch" in sys.modules)"""
    with parent(tmp_path, body, "torch") as ended:
        assert ended.stdout
        _, first, *others, last = ended.stdout.read().splitlines()
    assert min(map(float, others)) < float(first) / 5  # of three: any of them may be disturbed
    assert last == "torch.OutOfMemoryError: too large False"


@pytest.mark.slow
def test_training_in_workers_gives_what_it_gives_in_a_fresh_process_bit_by_bit(tmp_path: Path) -> None:
    body = """digests = []
        for _ in range(4):
            digests += [launcher.submit(jobs.train).result() for _ in range(2)]
            launcher.submit(jobs.leave, 1).exception()
        print(*digests)"""
    with parent(tmp_path, body, "torch._dynamo") as ended:
        assert ended.stdout
        weights = ended.stdout.read().splitlines()[1].split()
    fresh = subprocess.run(
        [sys.executable, "-c", "import jobs; print(jobs.train())"],
        cwd=STAND_IN,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(weights) == 8
    assert set(weights) == {fresh.stdout.strip()}
