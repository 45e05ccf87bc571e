"""`lsml serve` and `lsml work` as processes that faults kill, and the invariants that hold whatever died."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from lsml.recipe import load_recipe
from lsml.store import Store
from lsml.versions import card_of, check_files, load_promoted
from lsml.worker.child import binding_of
from tests.conftest import PROJECT, PROJECT_KEY, REPOSITORY, TOPICS, event, tickets, write_recipe
from tests.support.backend import until
from tests.support.disk import Disk
from tests.support.label_studio import free_port

FAULTS = Path(__file__).parent / "faults"
RECIPE = "training: {every: 1000, quiet: 0s, promote: always, keep: 2}\n"


def fault_environment(folder: Path, lease_s: float | None = None) -> dict[str, str]:
    """Environment variables under which lsml's processes obey the faults armed in `folder`."""
    folder.mkdir(exist_ok=True)
    found = {"LSML_TEST_FAULTS": str(folder), "PYTHONPATH": f"{FAULTS}{os.pathsep}{REPOSITORY}"}
    return found | ({"LSML_TEST_LEASE_S": str(lease_s)} if lease_s else {})


def _is_ending(process: subprocess.Popen[bytes]) -> bool:
    """True if a process was killed and some of its threads still live: it answers no more, and cannot be reaped yet."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    return False


class Processes:
    """A server and a worker on one data directory, each started again when it died.

    `acknowledged`: by annotation id, the label that a 2xx answered. `jobs`: the runs whose request was answered.
    """

    def __init__(
        self, directory: Path, recipe: str = RECIPE, lease_s: float | None = 4.0, disk: Disk | None = None
    ) -> None:
        self.recipe_path = write_recipe(directory, recipe)
        self.disk = disk
        self.data = (disk.folder if disk else directory) / "data"
        self.faults = directory / "faults"
        self.port = free_port()
        self.log = directory / "lsml.log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)
        self.acknowledged: dict[int, str] = {}
        self.jobs: list[str] = []
        self.deaths: dict[str, int] = {"server": 0, "worker": 0}
        self._environment = {**os.environ, **fault_environment(self.faults, lease_s)}
        if disk is not None:
            self._environment |= disk.environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._next = 1
        self._texts = tickets(3000)
        self.recipe = load_recipe(self.recipe_path)
        self.store = self._opened()
        if disk is not None:
            disk.sync()

    def _opened(self) -> Store:
        return Store(self.data, self.recipe.storage, self.recipe.name)

    # Processes

    def start(self) -> None:
        """Start whatever does not live, and wait until the server answers."""
        for name, arguments in (("server", ["serve", "--port", str(self.port)]), ("worker", ["work"])):
            process = self._processes.get(name)
            if process is not None and _is_ending(process):
                process.wait(30)
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                assert process.returncode == -signal.SIGKILL, f"the {name} ended by itself:\n{self.tail()}"
                self.deaths[name] += 1
            verb, *flags = arguments
            with self.log.open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "lsml", verb, str(self.recipe_path), "--data-dir", str(self.data), *flags],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment,
                )  # fmt: skip
        until("the server answers", self._healthy, 60)

    def process(self, name: str) -> psutil.Process | None:
        """The `server`, the `worker` or the `training`; None where it does not live."""
        with contextlib.suppress(psutil.Error):
            if name != "training":
                return psutil.Process(self._processes[name].pid)
            for child in psutil.Process(self._processes["worker"].pid).children():
                if "--run" in child.cmdline():
                    return child
        return None

    def kill(self, name: str) -> bool:
        """SIGKILL; whether there was something to kill."""
        process = self.process(name)
        with contextlib.suppress(psutil.Error):
            if process is not None and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                return True
        return False

    def cut_power(self, draw: random.Random | None = None) -> None:
        """End everything at once, and leave on the disk what was synced: `Disk.lose_power`. Starts nothing."""
        assert self.disk is not None
        for name in ("training", "worker", "server"):
            self.kill(name)
        until("nothing uses the disk", lambda: not on(self.data), 10)
        self.disk.lose_power(draw, let_go=self.store.close)
        self.store = self._opened()

    def stop(self) -> None:
        """Stop both as Docker does; nothing stays behind."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(15)
        self.client.close()
        self.store.close()
        self.no_orphans()

    def arm(self, fault: str) -> None:
        """Arm a fault: `<step>@<before|after|full>@<passage>`."""
        (self.faults / fault).touch()

    def disarm(self) -> None:
        """Take back every fault that did not happen."""
        for path in self.faults.glob("*@*"):
            path.unlink(missing_ok=True)

    def struck(self) -> list[str]:
        """The faults that happened, in order."""
        path = self.faults / "struck"
        return path.read_text().splitlines() if path.exists() else []

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    # Calls, each repeated over the server's deaths

    def annotate(self, count: int) -> None:
        """Annotate new tickets; each is sent again until it is acknowledged."""
        for _ in range(count):
            id, (text, label) = self._next, self._texts[self._next % len(self._texts)]
            self._next += 1
            self._send(event(id, text, label))
            self.acknowledged[id] = label

    def start_training(self) -> str:
        """The run that an acknowledged request to train names."""
        job = str(self._send({"action": "START_TRAINING", "project": PROJECT})["job"])
        self.jobs.append(job)
        return job

    def _send(self, body: dict) -> dict:
        for _ in range(20):
            with contextlib.suppress(httpx.TransportError):
                answer = self.client.post("/webhook", json=body)
                assert answer.status_code in (200, 201), f"{answer.status_code} {answer.text}\n{self.tail()}"
                return answer.json()
            self._processes["server"].wait(10)
            self.start()
        raise AssertionError(f"the webhook was never acknowledged:\n{self.tail()}")

    def settle(self, timeout_s: float = 90) -> None:
        """Start again what died, until no run is open."""

        def settled() -> bool:
            self.start()
            states = self.store.runs.counts()
            return not states.get("waiting") and not states.get("running")

        until(f"every run ended; the log: {self.tail()[-1500:]}", settled, timeout_s)
        self.start()

    def _healthy(self) -> bool:
        process = self._processes["server"]
        if process.poll() is not None and process.returncode != -signal.SIGKILL:
            raise AssertionError(f"the server ended with {process.returncode}:\n{self.tail()}")
        if process.poll() is not None:
            return True  # killed while it started: `start` is called again
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/health", timeout=2).status_code == 200
        return False

    # Invariants

    def check(self) -> None:
        """Everything that must hold after any kill, once nothing is open."""
        stored = {task.id: task.annotations[-1].result for task in self.store.annotations.tasks(PROJECT_KEY)}
        for id, label in self.acknowledged.items():
            assert stored[str(id)][0]["value"] == {"choices": [label]}, f"annotation {id}"
        runs = {run.id: run for run in self.store.runs.of_project(PROJECT_KEY, 10_000)}
        for job in self.jobs:
            run = runs[job]  # an acknowledged run is never lost
            assert run.state == "done" or run.message.startswith("covered by run "), f"{run}\n{self.tail()}"
        assert {run.state for run in runs.values()} <= {"done", "cancelled"}, self.tail()
        made = [run.version for run in runs.values() if run.state == "done"]
        assert sorted(made) == list(range(1, len(made) + 1))  # one version for each run that is done, none twice
        versions = self.store.versions.of_project(PROJECT_KEY)
        assert len({row.run for row in versions}) == len(versions)
        for row in versions:
            check_files(self.store.artifacts.open(row.folder), card_of(row))
        promoted = self.store.versions.promoted(PROJECT_KEY)
        assert promoted == max(made, default=None)
        assert len(versions) <= 2
        if promoted is None:
            return
        binding = binding_of(self.recipe, self.store.projects.get(PROJECT_KEY))
        assert load_promoted(self.store, PROJECT_KEY, binding).number == promoted
        self.serves(promoted)

    def serves(self, number: int) -> None:
        """Wait until predictions come from version v`number`."""
        body = {
            "tasks": [{"id": 1, "data": {"text": "refund my invoice"}}],
            "project": PROJECT_KEY,
            "label_config": TOPICS,
        }

        def served() -> bool:
            answer = self.client.post("/predict", json=body)
            assert answer.status_code == 200, answer.text
            ((prediction,),) = [answer.json()["results"]]
            assert prediction["result"][0]["value"] == {"choices": ["Billing"]}
            return prediction["model_version"].startswith(f"triage-v{number}-")

        until(f"v{number} is served", served, 20)

    def no_orphans(self) -> None:
        """Nothing works on the data directory but the server, the worker and what the worker trains."""

        def orphans() -> list[str]:
            ours = set()
            for process in self._processes.values():
                with contextlib.suppress(psutil.Error):
                    ours |= {
                        process.pid,
                        *(child.pid for child in psutil.Process(process.pid).children(recursive=True)),
                    }
            return [title for pid, title in on(self.data) if pid not in ours]

        until("no orphan works on", lambda: not orphans(), 10)


def on(directory: Path) -> list[tuple[int, str]]:
    """(id, command line) of the living processes that were given a data directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            if str(directory) in arguments and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.pid, " ".join(arguments)))
    return found


@contextmanager
def running(directory: Path, **more: object) -> Iterator[Processes]:
    """A server and a worker with 30 annotations, stopped at the end."""
    processes = Processes(directory, **more)  # type: ignore[arg-type]
    try:
        processes.start()
        processes.annotate(30)
        yield processes
        processes.stop()
    finally:
        for name in ("server", "worker"):
            processes.kill(name)
