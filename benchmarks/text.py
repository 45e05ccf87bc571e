"""What does a prediction cost? `python benchmarks/text.py [--quick] [--data CSV] [--incumbent FOLDER]`; needs psutil.

Side by side in one run, over loopback: lsml, the incumbent's scikit-learn example served as its Dockerfile serves it,
and the bare call of the same scikit-learn pipeline, fitted on the same texts. All take turns, so that whatever else the
machine does hits all alike. Prints medians, and ratios to the bare call and to the incumbent. Some five minutes with
--quick; without it, up to 100,000 texts and 1,000 classes are learnt, which takes an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import psutil
from text_fit import ALIKE, fit_bare

SIZES, CLIENTS = (1, 16, 250), 8
LOAD_S = 2.0  # of requests from 8 clients
PACE_S = 0.01  # between requests beside a training
LONGEST_S = 1800  # for one fit; a slower one is left out with a sentence
PROJECT = "1.1"
PARTS = ("predictions", "webhooks", "texts", "classes", "projects")
FIT = Path(__file__).with_name("text_fit.py")
PYTHON = [sys.executable, "-X", "utf8"]
Texts = list[tuple[str, str]]  # (text, label)


# --- texts -----------------------------------------------------------------------------------------------------------


def generate(number: int, classes: int, seed: int = 0) -> Texts:
    """Texts of 6 to 18 words: common words, and some that a class favours."""
    draw = random.Random(seed)
    syllables = [c + v for c in "bdfghklmnprstvz" for v in "aeiou"]
    of_classes = random.Random(1)  # the same words whatever the seed: training and test texts share them
    words = ["".join(of_classes.choices(syllables, k=of_classes.randint(1, 4))) for _ in range(4000)]
    favoured = [of_classes.sample(words, 12) for _ in range(classes)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    texts = []
    for index in range(number):
        label = index % classes
        chosen = draw.choices(words, weights, k=draw.randint(4, 12)) + draw.choices(
            favoured[label], k=draw.randint(2, 6)
        )
        draw.shuffle(chosen)
        texts.append((" ".join(chosen).capitalize() + ".", f"class {label:04d}"))
    return texts


def read_csv(path: Path) -> tuple[Texts, Texts]:
    """Training and test texts of a CSV with the columns text, label, split (train or test)."""
    split: dict[str, Texts] = {"train": [], "test": []}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            split[row["split"]].append((row["text"], row["label"]))
    return split["train"], split["test"]


def labeling_config(texts: Texts) -> str:
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in sorted({label for _, label in texts}))
    return f'<View><Text name="text" value="$text"/><Choices name="c" toName="text">{choices}</Choices></View>'


def regions(label: str) -> list[dict[str, Any]]:
    return [{"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]


def export(texts: Texts, path: Path) -> Path:
    tasks = [
        {"id": id, "data": {"text": text}, "annotations": [{"id": id, "result": regions(label)}]}
        for id, (text, label) in enumerate(texts)
    ]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def write_recipe(directory: Path, texts: Texts, max_features: int) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "recipe.yaml"
    recipe = {
        "lsml": 1, "name": "bench", "labeling_config": labeling_config(texts),
        "tags": {"Choices": {"adapter": "text-classifier", "options": {"max_features": max_features, **ALIKE}}},
        # Every text is learnt, as the bare fit does, and no run begins before it is asked for.
        "training": {"holdout": 0, "promote": "always", "every": 1_000_000},
    }  # fmt: skip
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


# --- processes ---------------------------------------------------------------------------------------------------------


def run(command: list[str | Path], **kwargs: Any) -> tuple[str, float, float]:
    """Run to the end: what it printed, seconds, peak MiB. Raises RuntimeError with what it said."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, **kwargs
        )
        watched, peak = psutil.Process(process.pid), 0
        try:
            while process.poll() is None:
                with contextlib.suppress(psutil.Error):
                    memory = watched.memory_info()
                    peak = max(peak, getattr(memory, "peak_wset", memory.rss))
                if time.perf_counter() - began > LONGEST_S:
                    raise RuntimeError(f"took longer than {LONGEST_S} s")
                time.sleep(0.02)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"`{' '.join(map(str, command))}` failed:\n{err.read()[-2000:]}")
        return out.read(), seconds, peak / 2**20


def train(recipe: Path, source: Path) -> tuple[float, float]:
    """`lsml train`: seconds of the whole command, peak MiB."""
    return run([*PYTHON, "-m", "lsml", "train", recipe, source, "--data-dir", recipe.parent / "data"])[1:]


# --- a client that costs little --------------------------------------------------------------------------------------


class Client:
    """One kept connection. The answer is read whole; anything but 2xx is an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, path: str, content: Any = None) -> bytes:
        return self.send(request_bytes(path, content))

    def send(self, request: bytes) -> bytes:
        for attempt in (0, 1):
            fresh = self._socket is None
            try:
                if self._socket is None:
                    self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
                    self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.sendall(request)
                return self._answer()
            except (BrokenPipeError, ConnectionResetError, EOFError):
                self.close()
                if fresh or attempt:  # a kept connection may have been closed by the server meanwhile
                    raise
        raise AssertionError("unreachable")

    def _answer(self) -> bytes:
        assert self._socket is not None
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head = received[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = [received[end + 4 :]]
        missing = length - len(body[0])
        while missing > 0:
            body.append(self._more())
            missing -= len(body[-1])
        if b"connection: close" in head:
            self.close()
        content = b"".join(body)
        if not head.split(b" ", 2)[1].startswith(b"2"):
            raise RuntimeError(f"{head.splitlines()[0]!r}: {content[:300]!r}")
        return content

    def _more(self) -> bytes:
        assert self._socket is not None
        received = self._socket.recv(1 << 18)
        if not received:
            raise EOFError
        return received

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def request_bytes(path: str, content: Any = None) -> bytes:
    body = b"" if content is None else json.dumps(content).encode()
    method = "GET" if content is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def predict_request(texts: Sequence[str], config: str, project: str = PROJECT) -> bytes:
    """As Label Studio sends it."""
    tasks = [{"id": id, "data": {"text": text}, "annotations": [], "predictions": []} for id, text in enumerate(texts)]
    params = {"login": None, "password": None, "context": None}
    return request_bytes("/predict", {"tasks": tasks, "project": project, "label_config": config, "params": params})


def timed(action: Callable[[], Any]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def load(
    ports: Sequence[int], requests: Callable[[int, int], bytes], seconds: float = LOAD_S
) -> tuple[float, list[float]]:
    """8 clients, shared out among the ports, for so long: requests/s, and milliseconds of each.

    `requests(client, number)` is what a client sends next.
    """
    end = time.perf_counter() + seconds

    def client(index: int) -> list[float]:
        connection, times = Client(ports[index % len(ports)]), []
        try:
            while time.perf_counter() < end:
                body = requests(index, len(times))
                times.append(timed(lambda body=body: connection.send(body)))
        finally:
            connection.close()
        return times

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        times = [one for of_client in pool.map(client, range(CLIENTS)) for one in of_client]
    return len(times) / (time.perf_counter() - began), times


# --- servers ---------------------------------------------------------------------------------------------------------


class Server:
    """A server process and what it started. Ends with the `with`."""

    def __init__(self, command: Callable[[int], list[str | Path]], log: Path, **kwargs: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._log = log
        began = time.perf_counter()
        with log.open("wb") as out:
            line = [str(part) for part in command(self.port)]
            self.process = psutil.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **kwargs)
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        self.healthy_s = time.perf_counter() - began
        self.client = Client(self.port)

    def _wait_until_healthy(self) -> None:
        deadline = time.perf_counter() + 60
        while True:
            try:
                Client(self.port).ask("/health")
                return
            except (OSError, EOFError):
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    raise RuntimeError(f"does not serve:\n{self._log.read_text()[-2000:]}") from None
                time.sleep(0.01)

    def memory(self) -> float:
        """MiB resident, of all its processes."""
        return sum(one.memory_info().rss for one in self._all()) / 2**20

    def cpu_s(self) -> float:
        """Seconds of processor time so far, of all its processes."""
        return sum(sum(one.cpu_times()[:2]) for one in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def stop(self) -> None:
        with contextlib.suppress(psutil.Error):
            processes = self._all()
            self.process.terminate()
            _, alive = psutil.wait_procs(processes, timeout=8)
            for one in alive:
                one.kill()
        self.process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.stop()


def lsml_server(recipe: Path, log: Path, verb: str = "serve") -> Server:
    data = recipe.parent / "data"
    return Server(
        lambda port: [
            *PYTHON,
            "-m",
            "lsml",
            verb,
            recipe,
            "--port",
            str(port),
            "--data-dir",
            data,
            "--log-level",
            "warning",
        ],
        log,
    )


def incumbent_server(python: Path, folder: Path, model: Path, directory: Path) -> Server:
    """The example in a copy, with the fitted model where it looks for it, under its Dockerfile's command."""
    app = directory / "incumbent"
    if not app.exists():
        shutil.copytree(folder, app)
        shutil.copyfile(model, app / "model.pkl")
    flags = ["--preload", "--workers", "1", "--threads", "8", "--timeout", "0", "_wsgi:app"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "MODEL_DIR": str(app)}
    return Server(
        lambda port: [python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *flags],
        directory / "incumbent.log", cwd=app, env=environment,
    )  # fmt: skip


def install_incumbent(folder: Path, cache: Path) -> Path:
    """Its Python, in an environment made once. Raises RuntimeError with a sentence where it cannot be had."""
    if not (folder / "model.py").is_file() or not (folder / "_wsgi.py").is_file():
        raise RuntimeError(f"{folder} holds no model.py and _wsgi.py")
    environment = cache / "incumbent"
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = environment / "done"
    if done.exists():
        return python
    checkout = folder.resolve().parents[2]
    wanted, package = [], ["label-studio-ml"]
    lists = [folder / "requirements-base.txt", folder / "requirements.txt"]
    if (checkout / "setup.py").is_file():
        # The example asks for the repository's head, which is newer than the newest on the package index.
        package = ["--no-deps", str(checkout)]
        lists.append(checkout / "requirements.txt")
    for path in lists:
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            # What it takes from git comes from the index here: the newest release.
            name = line.partition("#")[0].partition("@")[0].strip()
            if name and not name.startswith(("label-studio-ml", "-")):
                wanted.append(name)
    print(f"making an environment for the incumbent in {environment}", file=sys.stderr)
    run([*PYTHON, "-m", "venv", "--clear", environment])
    run([python, "-m", "pip", "install", "-q", "gunicorn", *wanted])
    run([python, "-m", "pip", "install", "-q", *package])
    run([python, "-c", "import label_studio_ml.response, sklearn, gunicorn"])
    done.touch()
    return python


# --- what is measured ------------------------------------------------------------------------------------------------


class Results:
    """Measures by name and by who was measured; printed as one table."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, list[float]]] = {}
        self.notes: list[str] = []

    def add(self, row: str, who: str, *values: float) -> None:
        self._rows.setdefault(row, defaultdict(list))[who].extend(values)

    def set(self, row: str, who: str, value: float) -> None:
        self._rows[row][who] = [value]

    def get(self, row: str, who: str) -> float | None:
        """The median of what was added; for a row named p99 the 99th percentile."""
        values = self._rows.get(row, {}).get(who)
        if not values:
            return None
        return (
            statistics.quantiles(values, n=100, method="inclusive")[98]
            if "p99" in row and len(values) > 1
            else statistics.median(values)
        )

    def ratio(self, row: str, who: str, to: str) -> float | None:
        above, below = self.get(row, who), self.get(row, to)
        return above / below if above is not None and below else None

    def quotient(self, above: str, below: str) -> float | None:
        """Of two rows of lsml's."""
        first, second = self.get(above, "lsml"), self.get(below, "lsml")
        return first / second if first is not None and second else None

    def print(self) -> None:
        print("| | bare call | lsml | incumbent | lsml / bare | lsml / incumbent |\n|---|--:|--:|--:|--:|--:|")
        for row in self._rows:
            cells = [self.get(row, who) for who in ("bare", "lsml", "incumbent")]
            ratios = [self.ratio(row, "lsml", to) for to in ("bare", "incumbent")]
            shown = [
                *("" if v is None else number(v) for v in cells),
                *("" if r is None else f"{r:.2f}x" for r in ratios),
            ]
            print(f"| {row} |", " | ".join(shown), "|")
        for note in self.notes:
            print(f"\n{note}")


def tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def latencies(results: Results, servers: dict[str, Server], bare: Any, test: Texts, config: str, rounds: int) -> None:
    texts = [text for text, _ in test]
    draw = random.Random(2)
    for size in SIZES:
        repeats = {1: 100, 16: 60, 250: 50}[size]
        for turn in range(rounds + 1):
            batches = [draw.choices(texts, k=size) for _ in range(repeats)]
            whose = [*servers, "bare"]
            for who in whose[:: -1 if turn % 2 else 1]:
                if who == "bare":
                    times = [timed(lambda batch=batch: bare.predict_proba(batch)) for batch in batches]
                else:
                    bodies = [predict_request(batch, config) for batch in batches]
                    times = [timed(lambda body=body, who=who: servers[who].client.send(body)) for body in bodies]
                if turn:  # the first warms up
                    results.add(f"/predict, {tasks(size)}, median ms", who, *times)
                    results.add(f"/predict, {tasks(size)}, p99 ms", who, *times)


def throughput(
    results: Results, servers: dict[str, Server], second: Server, test: Texts, config: str, rounds: int
) -> None:
    bodies = [predict_request([text], config) for text, _ in test[:500]]

    def next_body(client: int, number: int) -> bytes:
        return bodies[(client * 61 + number) % len(bodies)]

    for _ in range(rounds):
        for who, server in servers.items():
            rate, times = load([server.port], next_body)
            results.add(f"/predict, 1 task, {CLIENTS} clients, requests/s", who, rate)
            results.add(f"/predict, 1 task, {CLIENTS} clients, median ms", who, *times)
        rate, _ = load([servers["lsml"].port, second.port], next_body)
        results.add("the same, two lsml server processes (incumbent: one), requests/s", "lsml", rate)
        if (one := results.get(f"/predict, 1 task, {CLIENTS} clients, requests/s", "incumbent")) is not None:
            results.set("the same, two lsml server processes (incumbent: one), requests/s", "incumbent", one)


def webhook_request(id: int, text: str, label: str, config: str) -> bytes:
    at = f"2026-01-01T00:{id // 60 % 60:02d}:{id % 60:02d}.{id:06d}Z"
    return request_bytes("/webhook", {
        "action": "ANNOTATION_CREATED",
        "project": {"id": 1, "created_at": "1970-01-01T00:00:01Z", "title": "bench", "label_config": config},
        "task": {"id": id, "data": {"text": text}},
        "annotation": {"id": id, "task": id, "result": regions(label), "created_at": at, "updated_at": at, "was_cancelled": False},
    })  # fmt: skip


def webhooks_and_training(
    results: Results, recipe: Path, texts: Texts, test: Texts, config: str, directory: Path
) -> None:
    """Under `lsml run`: 8 clients annotate, then predictions go on beside trainings of what they annotated."""
    with lsml_server(recipe, directory / "run.log", "run") as server:
        results.add("`lsml run` to healthy, s", "lsml", server.healthy_s)
        server.client.ask("/setup", {"project": PROJECT, "schema": config})
        requests = iter([webhook_request(id, *texts[id % len(texts)], config) for id in range(20_000)])
        rate, times = load([server.port], lambda *_: next(requests), 2 * LOAD_S)
        results.add(f"/webhook, {CLIENTS} clients, median ms", "lsml", *times)
        results.add(f"/webhook, {CLIENTS} clients, p99 ms", "lsml", *times)
        results.add(f"/webhook, {CLIENTS} clients, requests/s", "lsml", rate)
        bodies = [predict_request([text], config) for text, _ in test]

        def paced(until: Callable[[], bool]) -> list[float]:
            times: list[float] = []
            while not until() and len(times) < 6000:
                times.append(timed(lambda: server.client.send(bodies[len(times) % len(bodies)])))
                time.sleep(PACE_S)
            return times

        end = time.perf_counter() + 5
        at_rest = paced(lambda: time.perf_counter() > end)
        beside: list[float] = []
        states: list[str] = []
        deadline = time.perf_counter() + 90
        watcher = Client(server.port)
        for again in range(5):
            watcher.send(webhook_request(10**6 + again, *texts[again], config))
            job = json.loads(
                watcher.ask(
                    "/webhook", {"action": "START_TRAINING", "project": {"id": 1, "created_at": "1970-01-01T00:00:01Z"}}
                )
            )["job"]
            looked = [0.0, False]

            def ended(job: str = job, looked: list[Any] = looked) -> bool:
                if time.perf_counter() - looked[0] > 0.25:
                    state = json.loads(watcher.ask("/job_status", {"job": job}))["job_status"]
                    looked[:] = [time.perf_counter(), state not in ("queued", "started")]
                    if looked[1]:
                        states.append(state)
                return looked[1] or time.perf_counter() > deadline

            beside += paced(ended)
            if len(beside) > 800 or time.perf_counter() > deadline:
                break
        health_under_load(results, server, watcher, test, config)
        watcher.close()
        results.notes.append(
            f"Beside {len(beside)} predictions, trainings of {len(times)} texts and more ended as: {', '.join(states) or 'none did'}."
        )
        if set(states) != {"finished"}:
            results.notes.append(
                "Those predictions are left out of the table: beside a failed training they show nothing."
            )
            return
        for row, times in (("at rest", at_rest), ("while a training runs", beside)):
            results.add(f"/predict, 1 task, {row}, median ms", "lsml", *times)
            results.add(f"/predict, 1 task, {row}, p99 ms", "lsml", *times)


def health_under_load(results: Results, server: Server, watcher: Client, test: Texts, config: str) -> None:
    """Whether `/health` answers in time while 8 clients ask for 250 tasks at a time and a training runs."""
    watcher.ask("/webhook", {"action": "START_TRAINING", "project": {"id": 1, "created_at": "1970-01-01T00:00:01Z"}})
    body = predict_request([text for text, _ in test[:250]], config)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load, [server.port], lambda *_: body, 3 * LOAD_S)
        health, times = Client(server.port), []
        while not loading.done():
            times.append(timed(lambda: health.ask("/health")))
            time.sleep(PACE_S)
        health.close()
        loading.result()
    results.add("/health under full load, median ms", "lsml", *times)
    results.add("/health under full load, p99 ms", "lsml", *times)


def starts(results: Results, name: str, start: Callable[[], Server], body: bytes, rounds: int) -> None:
    for _ in range(rounds):
        with start() as server:
            results.add("server process to healthy, s", name, server.healthy_s)
            first = timed(lambda server=server: server.client.send(body))
            results.add("server process to its first prediction, s", name, server.healthy_s + first / 1e3)


def fits(results: Results, row: str, texts: Texts, max_features: int, directory: Path) -> Path | None:
    """Fit in three ways, each in a process of its own; the recipe of what `lsml train` learnt."""
    recipe = write_recipe(directory, texts, max_features)
    source = export(texts, directory / "export.json")
    repeats = 3 if len(texts) <= 1000 else 1
    try:
        for how, who in (("bare", "bare"), ("adapter", "lsml")) * repeats:
            out, _, peak = run([*PYTHON, FIT, how, source, str(max_features), directory / "unused"])
            results.add(f"{row}, fit alone, s", who, float(out))
            results.add(f"{row}, fit alone, peak MiB", who, peak)
        bare_s = run([*PYTHON, FIT, "bare", source, str(max_features), directory / "unused"])[1]
        results.add(f"{row}, whole process, s", "bare", bare_s)
        seconds, peak = train(recipe, source)
        results.add(f"{row}, whole process, s", "lsml", seconds)
        results.add(f"{row}, `lsml train`, peak MiB", "lsml", peak)
    except RuntimeError as error:
        results.notes.append(f"{row}: left out: {error}")
        return None
    return recipe


def growth_with_classes(results: Results, classes: int, directory: Path) -> None:
    texts = generate(max(1000, 5 * classes), classes)
    most = 5000  # more would make the weights of a thousand classes larger than most machines' memory
    row = f"{classes} classes"
    recipe = fits(results, row, texts, most, directory)
    if recipe is None:
        return
    bare = fit_bare([text for text, _ in texts], [label for _, label in texts], most)
    config = labeling_config(texts)
    held_out = [text for text, _ in generate(500, classes, seed=1)]
    with lsml_server(recipe, directory / "log") as server:
        for size, repeats in ((1, 100), (250, 10)):
            for _ in range(repeats):
                batch = random.Random(repeats).choices(held_out, k=size)
                body = predict_request(batch, config)
                results.add(
                    f"{row}, /predict, {tasks(size)}, median ms",
                    "lsml",
                    timed(lambda body=body: server.client.send(body)),
                )
                results.add(
                    f"{row}, /predict, {tasks(size)}, median ms",
                    "bare",
                    timed(lambda batch=batch: bare.predict_proba(batch)),
                )
        results.add(f"{row}, server memory, MiB", "lsml", server.memory())


def growth_with_projects(
    results: Results, recipe: Path, numbers: Sequence[int], test: Texts, config: str, log: Path
) -> None:
    """Each project starts from the version that `lsml train` made, with a copy of it in memory."""
    with lsml_server(recipe, log) as server:
        known = 0
        for wanted in numbers:
            while known < wanted:
                project = f"{1000 + known}.1"
                server.client.ask("/setup", {"project": project, "schema": config})
                server.client.send(predict_request([test[0][0]], config, project))
                known += 1
            bodies = [predict_request([test[id % len(test)][0]], config, f"{1000 + id % known}.1") for id in range(300)]
            results.add(
                f"{wanted} projects, /predict, 1 task, median ms",
                "lsml",
                *(timed(lambda b=b: server.client.send(b)) for b in bodies),
            )
            results.add(f"{wanted} projects, server memory, MiB", "lsml", server.memory())


def same_labels(server: Server, bare: Any, test: Texts, config: str) -> str:
    """Whether both serve the same model, or the ratios mean nothing."""
    texts = [text for text, _ in test][:1000]
    answers = json.loads(server.client.send(predict_request(texts, config)))["results"]
    answers = [one[0] if isinstance(one, list) else one for one in answers]
    labels = [one["result"][0]["value"]["choices"][0] for one in answers]
    expected = bare.predict(texts).tolist()
    return f"{sum(a == b for a, b in zip(labels, expected, strict=True))} of {len(texts)}"


GOALS: list[tuple[str, Callable[[Results], float | None], float, bool]] = [
    *((f"/predict with {size} tasks, of the bare call", lambda r, s=size: r.ratio(f"/predict, {tasks(s)}, median ms", "lsml", "bare"), most, True)
      for size, most in zip(SIZES, (1.7, 1.3, 1.1), strict=True)),
    ("8 clients, one server, of the incumbent", lambda r: r.ratio(f"/predict, 1 task, {CLIENTS} clients, requests/s", "lsml", "incumbent"), 4, False),
    ("8 clients, two servers, of the incumbent", lambda r: r.ratio("the same, two lsml server processes (incumbent: one), requests/s", "lsml", "incumbent"), 6, False),
    ("p99 while a training runs, of that at rest", lambda r: r.quotient("/predict, 1 task, while a training runs, p99 ms", "/predict, 1 task, at rest, p99 ms"), 2, True),
    ("/webhook with 8 clients, median ms", lambda r: r.get(f"/webhook, {CLIENTS} clients, median ms", "lsml"), 10, True),
    ("/health under full load, p99 ms", lambda r: r.get("/health under full load, p99 ms", "lsml"), 100, True),
    ("`lsml run` to healthy, s", lambda r: r.get("`lsml run` to healthy, s", "lsml"), 1.5, True),
    ("fit of 100,000 texts, of the bare fit", lambda r: r.ratio("100,000 texts, fit alone, s", "lsml", "bare"), 1.2, True),
]  # fmt: skip


def print_goals(results: Results) -> None:
    print("\n| goal | limit | measured | |\n|---|--:|--:|---|")
    for name, measure, limit, at_most in GOALS:
        value = measure(results)
        met = (
            "not measured" if value is None else "met" if (value <= limit if at_most else value >= limit) else "missed"
        )
        print(
            f"| {name} | {'at most' if at_most else 'at least'} {limit} | {'' if value is None else number(value)} | {met} |"
        )


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lsml-benchmark-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, and growth up to 3,000 texts, 100 classes, 50 projects"
    )
    parser.add_argument(
        "--only",
        choices=PARTS,
        nargs="+",
        default=PARTS,
        metavar="PART",
        help=f"measure these alone, of {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--data", type=Path, help="a CSV with the columns text, label, split (train or test); else texts are generated"
    )
    parser.add_argument(
        "--incumbent",
        type=Path,
        metavar="FOLDER",
        help="examples/sklearn_text_classifier of a checkout of the incumbent",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "lsml-benchmarks",
        help="where the incumbent's environment is made",
    )
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else 5
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is stopped
    train_texts, test = read_csv(arguments.data) if arguments.data else (generate(2000, 10), generate(1000, 10, seed=1))
    config, most = labeling_config(train_texts), 100_000
    results, servers = Results(), {}

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    with workplace() as directory, contextlib.ExitStack() as running:
        recipe = write_recipe(directory / "main", train_texts, most)
        source = export(train_texts, directory / "main" / "export.json")
        say("training")
        train(recipe, source)
        bare = fit_bare([text for text, _ in train_texts], [label for _, label in train_texts], most)
        begin = {"lsml": lambda: lsml_server(recipe, directory / "serve.log")}
        if arguments.incumbent is None:
            results.notes.append(
                "The incumbent is left out: its example is not on the package index; name a checkout's folder with --incumbent."
            )
        else:
            try:
                python = install_incumbent(arguments.incumbent, arguments.cache)
                model = directory / "model.pkl"
                run([python, FIT, "pickle", source, str(most), model])
                begin["incumbent"] = lambda: incumbent_server(python, arguments.incumbent, model, directory)
                with begin["incumbent"]():  # does it serve at all?
                    pass
            except (RuntimeError, OSError) as error:
                begin.pop("incumbent", None)
                results.notes.append(f"The incumbent is left out: {error}")
        if "predictions" in arguments.only:
            say("starting")
            body = predict_request([test[0][0]], config)
            for name, start in begin.items():
                starts(results, name, start, body, rounds)
                servers[name] = running.enter_context(start())
            for name, server in servers.items():
                results.notes.append(
                    f"Labels that {name} answers as the bare call does: {same_labels(server, bare, test, config)} texts."
                )
            say("/predict, one client")
            latencies(results, servers, bare, test, config, rounds)
            say(f"/predict, {CLIENTS} clients")
            with lsml_server(recipe, directory / "second.log") as second:
                throughput(results, servers, second, test, config, rounds)
            for name, server in servers.items():
                results.add("server memory after that load, MiB", name, server.memory())
            running.close()
        if "webhooks" in arguments.only:
            say("/webhook, and /predict while a training runs")
            webhooks_and_training(results, recipe, train_texts, test, config, directory)
        if "texts" in arguments.only:
            for texts in (100, 1000, 3000) if arguments.quick else (100, 1000, 10_000, 100_000):
                say(f"{texts} texts")
                fits(results, f"{texts:,} texts", generate(texts, 10), most, directory / f"texts-{texts}")
        if "classes" in arguments.only:
            for classes in (2, 10, 100) if arguments.quick else (2, 10, 100, 1000):
                say(f"{classes} classes")
                growth_with_classes(results, classes, directory / f"classes-{classes}")
        if "projects" in arguments.only:
            say("projects")
            numbers = (1, 10, 50) if arguments.quick else (1, 10, 50, 200)
            growth_with_projects(results, recipe, numbers, test, config, directory / "projects.log")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("scikit-learn", "flask", "waitress"))
    print(f"{len(train_texts)} texts, {len({label for _, label in train_texts})} labels; Python {platform.python_version()}, {versions}; "
          f"{os.cpu_count()} cores, load at the end {os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0:.1f}\n")  # fmt: skip
    results.print()
    print_goals(results)


if __name__ == "__main__":
    main()
