"""Carries out random command lines in one process, and watches what they do: `python tests/watching.py --help`.

Two in five are plans that are accepted (`explain=true`, `sweep.dry_run=true`), two in five have exactly one mistake in
an otherwise valid line, the rest is noise. Some are really trained. The watch is Python's own audit events.
"""

import argparse
import contextlib
import io
import json
import os
import random
import runpy
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from command_lines import ROOT, Line, plan, trained
from mistakes import mistake, noise

PLANTED = "planted"  # the file that no command line may make
WAIT = 5.0  # seconds without a word that are too long
WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.forkpty", "socket.connect", "socket.bind", "pty.spawn")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def lines(count: int, trains: int, seed: int) -> Iterator[Line]:
    """Yield so many command lines, of which so many are trained, the same for the same seed."""
    draw = random.Random(seed)
    every = max(count // trains, 1) if trains else count + 1
    for number in range(1, count + 1):
        if number % every == 0 and number // every <= trains:
            yield trained(draw)
        else:
            yield draw.choices([plan, mistake, noise], [40, 40, 20])[0](draw)


class Watch:
    """What may not happen, by Python's own audit events: processes, sockets, imports, and writes elsewhere."""

    def __init__(self, inside: Path) -> None:
        self.inside, self.on, self.seen = os.path.realpath(inside), False, list[str]()
        self.packages = {*sys.stdlib_module_names, *packages_distributions(), "hydra_plugins", "gridstorm"}
        sys.addaudithook(self.look)

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        self.on = False  # what is done here is not looked at
        try:
            if wrong := self.wrong(event, arguments):
                self.seen.append(f"{event} {wrong}")
        finally:
            self.on = True

    def wrong(self, event: str, arguments: tuple[Any, ...]) -> str:
        """Return what is wrong with an event, nothing if it may be: git is asked for the commit."""
        if event == "subprocess.Popen":
            return "" if Path(str(arguments[0])).name == "git" else str(arguments[:2])
        if event in RUNS:
            return "" if event == "os.posix_spawn" and "git" in str(arguments[0]) else str(arguments)[:200]
        if event == "import":
            top = str(arguments[0]).partition(".")[0]
            return top if top not in self.packages and PathFinder.find_spec(top) else ""
        if event == "open":
            writes = {*str(arguments[1] or "")} & {*"wax+"} or int(arguments[2] or 0) & WRITING
            return self.outside(arguments[0]) if writes else ""
        if event in WRITES and not (event == "os.mkdir" and Path(os.fsdecode(arguments[0])).exists()):
            folder = next((one for one in arguments[1:] if isinstance(one, int) and one >= 0), None)
            relative = event in ("os.remove", "os.rmdir") and folder is not None
            beside = Path(f"/proc/self/fd/{folder}") if relative else Path()
            paths = [beside / os.fsdecode(one) for one in arguments[:2] if isinstance(one, str | bytes | Path)]
            return " ".join(filter(None, map(self.outside, paths)))
        return ""

    def outside(self, path: Any) -> str:
        """Return where a path leads that is not inside, nothing for one that is."""
        if not isinstance(path, str | bytes | Path):
            return ""
        place = os.path.realpath(os.fsdecode(path))
        fine = place.startswith((self.inside + os.sep, "/dev/", "/proc/self")) or place == self.inside
        return "" if fine else place


class Words(io.StringIO):
    """An output that notes the longest time without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.longest = time.monotonic(), 0.0

    def write(self, text: str) -> int:
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        return super().write(text)


@dataclass
class Done:
    """What a line did: its exit status, what it said of errors, the longest wait, and all that was wrong."""

    status: int
    err: str
    waited: float
    wrong: list[str]


def carry_out(line: Line, folder: Path, watch: Watch, train: Callable[[], None]) -> Done:
    """Carry out a line with `train`, in a folder of its own."""
    from hydra.core.global_hydra import GlobalHydra

    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    (work / "outputs" / "tmp").mkdir(parents=True)
    (work / "outside.txt").write_text("before")
    line.prepare(work)
    files = [file for file in work.rglob("*") if file.is_file() and "record" not in file.parts]
    before = {file: file.stat().st_mtime_ns for file in files}
    os.chdir(work)
    os.environ["TMPDIR"] = str(work / "outputs" / "tmp")
    GlobalHydra.instance().clear()
    sys.argv = ["train.py", *(text.replace("{folder}", str(work)) for text in line.arguments)]
    output, errors, status, wrong = Words(), Words(), 0, list[str]()
    watch.seen, watch.inside = [], os.path.realpath(work / ("record" if "resume=record" in sys.argv else "outputs"))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        watch.on = True
        try:
            train()
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException as error:  # a traceback is what is looked for
            wrong.append(f"traceback: {type(error).__name__}: {str(error)[:200]}")
        finally:
            watch.on = False
    output.write("")
    changed = [file for file, when in before.items() if not file.exists() or file.stat().st_mtime_ns != when]
    wrong += [*watch.seen, *(f"changed: {file}" for file in changed)]
    wrong += ["a traceback in words"] if "Traceback" in errors.getvalue() else []
    wrong += ["planted"] if [*work.rglob(PLANTED)] or (ROOT / PLANTED).exists() else []
    if line.kind == "mistake" and (status != 2 or "Nothing was started" not in errors.getvalue()):
        wrong.append(f"a mistake that ended with {status}")
    if line.kind in ("plan", "train") and status != 0:
        wrong.append(f"a good line that ended with {status}")
    return Done(status, errors.getvalue(), output.longest, wrong)


def warm(folder: Path, watch: Watch, train: Callable[[], None]) -> None:
    """Load what training loads, so that the watch sees only what a line does."""
    sweep = ["-m", "seed=0,1", "launcher=in_process", "trainer.max_epochs=1", "trainer.limit_train_batches=2"]
    for line in (["explain=true"], ["trainer.max_epochs=1"], sweep, [*sweep, "sweep.dry_run=true"]):
        done = carry_out(Line("train", "", line), folder, watch, train)
        if done.status:
            raise SystemExit(f"{line}: {done.err}")


def main() -> int:
    """Carry out as many lines as asked, print the shares and what was wrong, and return 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--train", type=int, default=6, help="how many of them are really trained")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    options = parser.parse_args()
    folder = options.folder.resolve()
    (folder / "evil").mkdir(parents=True)
    (folder / "evil" / "__init__.py").write_text(f"open({PLANTED!r}, 'w').close()\n")
    sys.dont_write_bytecode = True
    sys.path += [str(ROOT), str(folder)]
    namespace = runpy.run_path(str(ROOT / "train.py"), run_name="train")
    train, watch = namespace["main"], Watch(folder)
    warm(folder, watch, train)
    count, accepted, waited, bad = Counter[str](), Counter[str](), 0.0, list[str]()
    for number, line in enumerate(lines(options.count, options.train, options.seed)):
        done = carry_out(line, folder, watch, train)
        count[line.kind] += 1
        accepted[line.kind] += done.status == 0
        waited = max(waited, done.waited)
        if done.wrong or done.waited > WAIT:
            bad.append(
                json.dumps([number, line.kind, line.what, line.arguments, done.wrong, done.waited, done.err[:300]])
            )
    for kind, number in count.items():
        print(f"{kind} {number} of {options.count} ({100 * number / options.count:.1f} %), accepted {accepted[kind]}")
    print("\n".join([f"longest wait without a word: {waited:.2f} s", f"{len(bad)} wrong", *bad[:40]]))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
