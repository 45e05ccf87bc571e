"""Which server should run lsml's application? `python benchmarks/wsgi.py [ROUNDS]`, a minute a round; needs psutil.

Serves a small text classifier under each installed server in turn, in alternating order, so that whatever else the
machine does hits all alike. A client in a process of its own measures over loopback. Prints medians over the rounds.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

THREADS = "16"  # as in lsml.server.serve
CLIENTS, LOAD_S, SLOW_S = 8, 2.5, 1.0
DIRECTORY = "LSML_BENCHMARK_DIRECTORY"  # tells the servers where the recipe and the trained model are
WORDS = {"Positive": "great love fast happy", "Negative": "awful broken slow sad", "Neutral": "box table it was"}

_GUNICORN = f"-m gunicorn --worker-class gthread --threads {THREADS} --bind 127.0.0.1:PORT wsgi:make_app()"
_GRANIAN = f"-m granian --interface wsgi --blocking-threads {THREADS} --port PORT --factory wsgi:make_app"
SERVERS = {  # column -> package, command after `python`, run beside this file
    "waitress": ("waitress", "wsgi.py --serve PORT"),
    "gunicorn gthread": ("gunicorn", _GUNICORN),
    "granian, 1 worker": ("granian", f"{_GRANIAN} --workers 1"),
    "granian, 2 workers": ("granian", f"{_GRANIAN} --workers 2"),
}


def make_app():
    """lsml's application on the trained model, and /slow for the check of draining."""
    from lsml.recipe import load_recipe
    from lsml.server.app import create_app
    from lsml.store import Store
    from lsml.store.queue import open_queue

    store = Store(Path(os.environ[DIRECTORY], "data"))
    app = create_app(load_recipe(Path(os.environ[DIRECTORY], "recipe.yaml")), store, open_queue(store.directory))
    app.add_url_rule("/slow", view_func=lambda: (time.sleep(SLOW_S), "done")[1])
    return app


def train_model(directory: Path) -> None:
    draw, choices = random.Random(0), "".join(f'<Choice value="{label}"/>' for label in WORDS)
    config = f'<View><Text name="text" value="$text"/><Choices name="c" toName="text">{choices}</Choices></View>'
    recipe, export, tasks = directory / "recipe.yaml", directory / "export.json", []
    recipe.write_text(f"lsml: 1\nname: bench\nlabeling_config: '{config}'\ntags: {{Choices: text-classifier}}\n")
    for id, label in enumerate([*WORDS] * 100):
        text = " ".join(draw.choices(["the", "a", *WORDS[label].split()], k=8))
        result = [{"from_name": "c", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        tasks.append({"id": id, "data": {"text": text}, "annotations": [{"id": id, "result": result}]})
    export.write_text(json.dumps(tasks))
    train = ["-m", "lsml", "train", recipe, export, "--data-dir", directory / "data"]
    subprocess.run([sys.executable, *train], check=True, capture_output=True)


def ask(connection: http.client.HTTPConnection, path: str = "/predict") -> float:
    """Milliseconds until the whole answer is here."""
    body = json.dumps({"tasks": [{"id": 1, "data": {"text": "a great box"}}]}) if path == "/predict" else None
    began = time.perf_counter()
    connection.request("POST" if body else "GET", path, body)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200 and (body is None or b'"choices"' in content), content
    return (time.perf_counter() - began) * 1e3


def answers(port: int, path: str = "/predict") -> bool:
    try:
        return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=5), path) > 0
    except (OSError, http.client.HTTPException):
        return False


def load(port: int, path: str = "/predict", pause_s: float = 0) -> list[float]:
    """Milliseconds of each request on one connection for LOAD_S."""
    connection, times = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    end = time.perf_counter() + LOAD_S
    while time.perf_counter() < end:
        times.append(ask(connection, path))
        time.sleep(pause_s)
    return times


def client(port: int) -> dict[str, float]:
    alone = load(port)
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        health = pool.submit(load, port, "/health", 0.01)
        together = sum(map(len, pool.map(load, [port] * CLIENTS)))
    return {
        "/predict, 1 client, median ms": statistics.median(alone),
        "/predict, 1 client, p99 ms": statistics.quantiles(alone, n=100)[98],
        f"/predict, {CLIENTS} clients, requests/s": together / LOAD_S,
        "/health under that load, p99 ms": statistics.quantiles(health.result(), n=100)[98],
    }


@contextmanager
def serving(command: str, log: Path) -> Iterator[tuple[int, list[psutil.Process]]]:
    """A server with the model in memory: its port, and its processes, the first of which was started."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = [sys.executable, *command.replace("PORT", str(port)).split()]
    with log.open("wb") as out:
        server = psutil.Popen(line, cwd=Path(__file__).parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    processes = [server]
    try:
        while not answers(port):
            if server.poll() is not None or time.time() - server.create_time() > 30:
                raise RuntimeError(f"`{command}` does not serve:\n{log.read_text()}")
            time.sleep(0.1)
        processes += server.children(recursive=True)
        yield port, processes
    finally:
        for process in processes:
            if process.is_running():
                process.kill()
        server.wait()


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that a process ever held; where the system does not say, what it holds now."""
    status = Path(f"/proc/{process.pid}/status")
    peaks = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else []
    return int(peaks[0]) * 1024 if peaks else process.memory_info().rss


def measure(package: str, command: str, log: Path) -> dict[str, float]:
    with serving(command, log) as (port, processes), ThreadPoolExecutor() as pool:
        row = json.loads(subprocess.check_output([sys.executable, __file__, "--client", str(port)], timeout=120))
        row["peak memory, MiB"] = sum(map(peak_bytes, processes)) / 2**20
        in_flight = pool.submit(answers, port, "/slow")
        time.sleep(SLOW_S / 3)
        processes[0].terminate()
        row["finishes a request after SIGTERM"] = in_flight.result()
    with serving(command, log) as (port, _processes), ExitStack() as held:
        for more, connections in ((64, 64), (192, 256)):
            with suppress(OSError):
                for _ in range(more):
                    slow = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                    slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.5)
            row[f"answers beside {connections} half-sent bodies"] = answers(port)
    paths = [Path(str(file.locate())) for file in importlib.metadata.files(package) or ()]
    return row | {"installed, MiB": sum(path.stat().st_size for path in paths if path.exists()) / 2**20}


def shown(values: list[float], first: list[float]) -> str:
    if isinstance(values[0], bool):
        return f"{'yes' if all(values) else 'no'} ({sum(values)} of {len(values)})"
    return f"{statistics.median(values):.3g} ({statistics.median(values) / statistics.median(first):.2f}x)"


def main(rounds: int) -> None:
    missing = sorted({package for package, _ in SERVERS.values() if importlib.util.find_spec(package) is None})
    if missing:
        print(f"left out: {', '.join(missing)}; `pip install {' '.join(missing)}` adds them", file=sys.stderr)
    servers = {name: server for name, server in SERVERS.items() if server[0] not in missing}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    with tempfile.TemporaryDirectory() as directory:
        os.environ[DIRECTORY] = directory
        train_model(Path(directory))
        for number in range(rounds):
            for name in [*servers][:: -1 if number % 2 else 1]:
                print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                rows[name].append(measure(*servers[name], Path(directory, "log")))
    print("| |", *(f"{name} ({importlib.metadata.version(package)}) |" for name, (package, _) in servers.items()))
    print("|---" * (len(servers) + 1) + "|")
    first = next(iter(rows.values()))
    for key in first[0]:
        print(f"| {key} |", *(shown([r[key] for r in row], [r[key] for r in first]) + " |" for row in rows.values()))
    classifiers = [importlib.metadata.metadata(package).get_all("Classifier") or [] for package, _ in servers.values()]
    systems = [[line.split(" :: ")[-1] for line in lines if line.startswith("Operating")] for lines in classifiers]
    print("| says that it runs on |", *(f"{', '.join(names)} |" for names in systems))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        print(json.dumps(client(int(sys.argv[2]))))
    elif sys.argv[1:2] == ["--serve"]:
        from lsml.server.serve import serve

        serve(make_app(), "127.0.0.1", int(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3)
