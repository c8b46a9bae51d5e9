"""A real TensorBoard server over a directory, for tests that look at a run as a browser would."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

SECONDS_TO_START = 60
EVERY_STATUS = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
# No proxy of the machine's between a test and its own server.
_open = build_opener(ProxyHandler({})).open


@dataclass(frozen=True)
class Server:
    """A running TensorBoard; paths are below its root, for example `data/runs`."""

    url: str

    def content(self, path: str, **query: Any) -> bytes:
        with _open(f"{self.url}{path}?{urlencode(query)}", timeout=30) as answer:
            return bytes(answer.read())

    def get(self, path: str, **query: Any) -> Any:
        return json.loads(self.content(path, **query))

    def post(self, path: str, body: Any) -> Any:
        request = Request(f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with _open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def scalars(self, run: str, tag: str) -> list[tuple[int, Any]]:
        """Steps and values of one curve; NaN and infinity come as text."""
        return [(step, value) for _, step, value in self.get("data/plugin/scalars/scalars", run=run, tag=tag)]

    def text(self, run: str, tag: str) -> str:
        """The HTML of the last text under `tag`."""
        return str(self.get("data/plugin/text/text", run=run, tag=tag)[-1]["text"])

    def experiment(self) -> Any:
        """The columns of the HParams page: `hparamInfos` and `metricInfos`."""
        return self.post("data/plugin/hparams/experiment", {"includeMetrics": True})

    def session_groups(self) -> dict[str, Any]:
        """The rows of the HParams page by name, whatever their status."""
        request = {"allowedStatuses": EVERY_STATUS, "sliceSize": 10_000, "includeMetrics": True}
        groups = self.post("data/plugin/hparams/session_groups", request).get("sessionGroups", [])
        return {group["name"]: group for group in groups}


@contextmanager
def tensorboard(logdir: Path, load_fast: Literal["auto", "false"] = "auto") -> Iterator[Server]:
    """Serve `logdir` as it is now (it is read once); `load_fast` chooses TensorBoard's Rust or its Python reader."""
    options = [f"--logdir={logdir}", f"--load_fast={load_fast}", "--port=0", "--reload_interval=0"]
    blocking = ["--reload_task=blocking"] if load_fast == "false" else []
    with TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "tensorboard.main", *options, *blocking]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            server = Server(_wait_for_url(process, output))
            _wait_for_runs(server, logdir)
            yield server
        finally:
            process.terminate()
            process.wait()


def _wait_for_url(process: "subprocess.Popen[bytes]", output: Any) -> str:
    for _ in range(SECONDS_TO_START * 20):
        output.seek(0)
        said = output.read()
        if found := re.search(r"http://\S+/", said):
            return found[0]
        assert process.poll() is None, f"TensorBoard ended with {process.returncode}:\n{said}"
        time.sleep(0.05)
    raise AssertionError(f"TensorBoard did not start in {SECONDS_TO_START} seconds:\n{said}")


def _wait_for_runs(server: Server, logdir: Path) -> None:
    expected = {str(file.parent.relative_to(logdir)) for file in logdir.rglob("*tfevents*")}
    for _ in range(SECONDS_TO_START * 20):
        if expected <= set(found := server.get("data/runs")):
            return
        time.sleep(0.05)
    raise AssertionError(f"TensorBoard shows the runs {found}, not {sorted(expected)}.")
