"""lsml as people run it: `lsml run` in a process of its own, on a loopback port, with its output kept.

    with RunningBackend(recipe, tmp_path / "data") as lsml:
        lsml.get("/api/projects")
        lsml.restart()

Tests that need no process of their own use `Backend` of conftest, which is quicker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import psutil

from tests.support.label_studio import free_port

T = TypeVar("T")
_POLL_S = 0.05


class BackendFailed(Exception):
    """lsml did not start, did not stop, or refused a call; the text holds its answer or the end of its output."""


def until(what: str, probe: Callable[[], T], timeout_s: float = 60) -> T:
    """What `probe` returns once it is true; asked again and again. Raises AssertionError with the last answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}; at last it was {found!r}")
        time.sleep(_POLL_S)


def _hear_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class RunningBackend:
    """`lsml run RECIPE --port --data-dir`, running.

    `port`: without one a free one, the same over restarts. `prefix` and `auth` are the recipe's secret path and
    (username, password), which the calls of this class use. `environment`: beside this process's own, from which a
    developer's Label Studio is taken out. `arguments`: more flags. `output` is all that every start wrote, in order.
    """

    def __init__(
        self,
        recipe: Path,
        data: Path,
        *,
        port: int | None = None,
        prefix: str = "",
        auth: tuple[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.recipe = recipe
        self.data = data
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name(f"{data.name}.log")
        self._prefix = prefix
        self._arguments = list(arguments)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._greeted_from = 0
        self.client = httpx.Client(base_url=self.address, auth=auth, timeout=60, trust_env=False)

    # Starting and stopping

    def start(self, timeout_s: float = 60) -> Self:
        """Start, and wait until /health answers."""
        command = [sys.executable, "-m", "lsml", "run", str(self.recipe), "--port", str(self.port)]
        command += ["--data-dir", str(self.data), *self._arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO")}
        self._greeted_from = len(self.output)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Whoever runs the tests under nohup has SIGHUP ignored, which children inherit.
                preexec_fn=_hear_hangups if os.name == "posix" else None,
                env={**kept, **self._environment},
            )
        try:
            self._wait_until_healthy(timeout_s)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, number: signal.Signals = signal.SIGINT, timeout_s: float = 30) -> int:
        """Send a signal, and wait until it and all that it started are gone; its exit code."""
        process = self._running()
        family = self.family()
        process.send_signal(number)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BackendFailed(
                f"did not stop within {timeout_s:g} s of {number.name}:\n{self.output_tail()}"
            ) from None
        left = psutil.wait_procs(family, timeout=10)[1]
        self._process = None
        if left:
            _kill(left)
            raise BackendFailed(f"stopped with {code}, and left {[_title(one) for one in left]} behind")
        return code

    def kill(self) -> None:
        """SIGKILL for it and everything that it started."""
        if self._process is not None:
            _kill(self.family())
            self._process.wait(10)
            self._process = None

    def restart(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it and start it on the same data and port; the exit code of the stop."""
        code = self.stop(number)
        self.start()
        return code

    def family(self) -> list[psutil.Process]:
        """The supervisor, then the server, the worker and what trains, as far as they live."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._running().pid)
            return [root, *root.children(recursive=True)]
        return []

    def child(self, verb: str, timeout_s: float = 20) -> psutil.Process:
        """The process that `serve`s or `work`s, or the one that trains: `--run`; waits until there is one."""

        def probe() -> psutil.Process | None:
            for process in self.family()[1:]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    arguments = process.cmdline()
                    if verb in arguments and (verb == "--run" or "--run" not in arguments):
                        return process
            return None

        found = until(f"a process of {self.recipe.name} with {verb}", probe, timeout_s)
        assert found is not None
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        try:
            if self._process is not None:
                self.stop()
        finally:
            if error is not None:
                sys.stderr.write(f"\nThe end of lsml's output:\n{self.output_tail()}\n")

    @property
    def output(self) -> str:
        """Everything that it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def output_tail(self, characters: int = 4000) -> str:
        """The end of what it wrote."""
        return self.output[-characters:]

    # Calls

    def get(self, path: str) -> Any:
        """The JSON behind a path, which is given without the secret path."""
        return self._call("GET", path)

    def post(self, path: str, body: Any) -> Any:
        """The answer to JSON, as JSON."""
        return self._call("POST", path, json=body)

    def project(self, project: int | str) -> dict[str, Any]:
        """What `/api/projects` says of a project: its key, or Label Studio's number of it."""
        return dict(self.get(f"/api/projects/{project}"))

    def settled(self, project: int | str, timeout_s: float = 60) -> dict[str, Any]:
        """`project` once it has had a training run and none waits or runs."""

        def probe() -> dict[str, Any] | None:
            found = self.project(project)
            states = {run["job_status"] for run in found["runs"]}
            return found if states and not states & {"queued", "started"} else None

        return until(f"project {project} is trained and none of its runs is open", probe, timeout_s) or {}

    def _call(self, method: str, path: str, **request: Any) -> Any:
        answer = self.client.request(method, self._prefix + path, **request)
        if not answer.is_success:
            raise BackendFailed(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BackendFailed("is not running")
        return self._process

    def _wait_until_healthy(self, timeout_s: float) -> None:
        process = self._running()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise BackendFailed(f"ended with {process.returncode}:\n{self.output_tail()}")
            with contextlib.suppress(httpx.TransportError):
                # Another program may answer on the port: it is ours once `lsml run` has said so.
                greeted = f":{self.port}\n" in self.output[self._greeted_from :]
                if greeted and self.client.get(f"{self._prefix}/health", timeout=2).status_code == 200:
                    return
            time.sleep(_POLL_S)
        raise BackendFailed(f"did not answer on {self.address} within {timeout_s:g} s:\n{self.output_tail()}")


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return f"process {process.pid}"
