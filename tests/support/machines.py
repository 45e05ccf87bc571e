"""Servers and workers as processes, each in a data directory of its own, as if each were a machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import httpx
import psutil

from tests.conftest import TOPICS
from tests.support.label_studio import free_port


class Machine:
    """A server or a worker in a data directory of its own."""

    def __init__(self, recipe, directory, verb: str, environment: dict[str, str]) -> None:
        self.port = free_port()
        self._command = [sys.executable, "-m", "lsml", verb, str(recipe), "--data-dir", str(directory / "data")]
        if verb == "serve":
            self._command += ["--port", str(self.port)]
        self.data = directory / "data"
        self.log = directory / "log"
        self._environment = environment
        directory.mkdir()
        self.start()

    def start(self) -> None:
        self._logged = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    def is_ready(self) -> bool:
        """True once it said since its start that it is ready."""
        said = self.log.read_bytes()[self._logged :]
        return b"listening on" in said or b"ready to train" in said

    def trains(self) -> bool:
        """True while it has a training."""
        with contextlib.suppress(psutil.Error):
            return any("--run" in child.cmdline() for child in psutil.Process(self.process.pid).children())
        return False

    def post(self, path: str, body: dict) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", json=body, timeout=30, trust_env=False)

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code == 200
        return False

    def serves(self, project: str) -> str:
        """The `model_version` of a prediction."""
        task = {"id": 1, "data": {"text": "refund my invoice"}}
        answer = self.post("/predict", {"tasks": [task], "project": project, "label_config": TOPICS})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"][0]["model_version"]
