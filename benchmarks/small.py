"""What is a small request worth? `python benchmarks/small.py --incumbent FOLDER [--data CSV]`; needs psutil.

lsml and the incumbent, each one process, with the same word n-grams (1 to 2) and the same regression, take turns: one text
from one client, one text from eight, 250 texts from one. No text is asked twice in a row of requests. The client is one
thread on raw sockets, in a process of its own, which sends what was made before: it costs a tenth of a request. `lsml,
default` adds the character n-grams that the incumbent has not. FOLDER is as for text.py. Two minutes.

On a machine that others use too, compare the processor time of a request: who waits for a core does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from text import (
    FIT,
    PYTHON,
    Texts,
    export,
    generate,
    incumbent_server,
    install_incumbent,
    labeling_config,
    lsml_server,
    predict_request,
    read_csv,
    run,
    train,
    workplace,
    write_recipe,
)

CLIENTS, MANY = 8, 250
SHAPES = {"1 text, 1 client": (1, 1), f"1 text, {CLIENTS} clients": (1, CLIENTS), f"{MANY} texts, 1 client": (MANY, 1)}
FEATURES = 100_000
Measured = dict[str, dict[str, list[tuple[float, float, float]]]]  # shape -> server -> (requests/s, median ms, CPU ms)
GOALS = {"1.5 times the requests of one client, with 8": 1.5, "8 times the incumbent, 1 text, 8 clients": 8.0,
         "4 times the incumbent, 250 texts": 4.0}  # fmt: skip


def load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> tuple[float, float, int]:
    """Requests/s, the median in ms, and the number of requests of `clients` connections, each of which sends its next request once it is answered."""
    selector, sent, times = selectors.DefaultSelector(), 0, []

    def send(connection: socket.socket) -> None:
        nonlocal sent
        selector.modify(connection, selectors.EVENT_READ, (bytearray(), time.perf_counter()))
        connection.sendall(requests[sent % len(requests)])
        sent += 1

    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
    now = began = time.perf_counter()
    for connection in connections:
        send(connection)
    while now < began + seconds:
        for key, _ in selector.select(60):
            connection, (received, since) = key.fileobj, key.data
            received += connection.recv(1 << 18)
            if whole(received):
                now = time.perf_counter()
                times.append(now - since)
                send(connection)
    for connection in connections:
        connection.close()
    return len(times) / (now - began), statistics.median(times) * 1e3, len(times)


def whole(received: bytearray) -> bool:
    """Whether an answer is here. Raises RuntimeError where it is none."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(received[:end]).lower()
    if head[9:12] != b"200":
        raise RuntimeError(bytes(received[:500]))
    return len(received) >= end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])


def client(texts_path: Path, config: str, port: int, shape: str, seconds: float) -> None:
    """In a process of its own: print what `load` returns."""
    size, clients = SHAPES[shape]
    texts = json.loads(texts_path.read_text(encoding="utf-8"))
    requests = [predict_request(texts[i : i + size], config) for i in range(0, len(texts) - size + 1, size)]
    print(json.dumps(load(port, requests, clients, seconds)))


def learn(directory: Path, texts: Texts, words_alone: bool) -> Path:
    """The recipe of what `lsml train` learnt from texts."""
    recipe = write_recipe(directory, texts, FEATURES)
    if words_alone:
        written = json.loads(recipe.read_text(encoding="utf-8"))
        written["tags"]["Choices"]["options"]["characters"] = None
        recipe.write_text(json.dumps(written), encoding="utf-8")
    train(recipe, export(texts, directory / "export.json"))
    return recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a CSV with the columns text, label, split; else texts are generated")
    parser.add_argument("--incumbent", type=Path, metavar="FOLDER", required=True)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/lsml-benchmarks")
    parser.add_argument("--python", type=Path, help="the incumbent's Python, where it is installed already")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each load")
    arguments = parser.parse_args()
    learnt, asked = read_csv(arguments.data) if arguments.data else (generate(2000, 10), generate(4000, 10, seed=5))
    texts = list(dict.fromkeys(text for text, _ in (asked if len(asked) >= 2 * MANY else learnt + asked)))
    config = labeling_config(learnt)
    python = arguments.python or install_incumbent(arguments.incumbent, arguments.cache)
    measured: Measured = {}
    with workplace() as directory, ExitStack() as running:
        (directory / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        recipes = {
            "lsml": learn(directory / "words", learnt, True),
            "lsml, default": learn(directory / "all", learnt, False),
        }
        model = directory / "model.pkl"
        run([python, FIT, "pickle-words", directory / "words" / "export.json", str(FEATURES), model])
        servers = {
            name: lsml_server(recipe, directory / f"{recipe.parent.name}.log") for name, recipe in recipes.items()
        }
        servers["incumbent"] = incumbent_server(python, arguments.incumbent, model, directory)
        for server in servers.values():
            running.enter_context(server)
        for number in range(arguments.rounds + 1):
            for name, server in [*servers.items()][:: -1 if number % 2 else 1]:
                for shape in SHAPES:
                    line = [
                        *PYTHON,
                        __file__,
                        "--client",
                        directory / "texts.json",
                        config,
                        server.port,
                        shape,
                        arguments.seconds,
                    ]
                    before_s = server.cpu_s()
                    answer = subprocess.check_output([str(part) for part in line], timeout=120)
                    rate, median_ms, count = json.loads(answer)
                    if number:  # the first warms up
                        cpu_ms = (server.cpu_s() - before_s) / count * 1e3
                        measured.setdefault(shape, {}).setdefault(name, []).append((rate, median_ms, cpu_ms))
        report(measured, arguments.rounds, len(texts))


def report(measured: Measured, rounds: int, texts: int) -> None:
    names = ["lsml", "lsml, default", "incumbent"]
    rate = {
        shape: {name: statistics.median(one[0] for one in of[name]) for name in names} for shape, of in measured.items()
    }
    print(f"{rounds} rounds, {texts} different texts; Python {platform.python_version()}, {os.cpu_count()} cores\n")
    print(
        "| |",
        " | ".join(f"{name}, requests/s (median ms)" for name in names),
        "| lsml / incumbent | default / incumbent |",
    )
    print("|---" + "|--:" * 5 + "|")
    for shape, of in measured.items():
        cells = [f"{rate[shape][name]:,.0f} ({statistics.median(one[1] for one in of[name]):.2f})" for name in names]
        ratios = [f"{rate[shape][name] / rate[shape]['incumbent']:.2f}x" for name in names[:2]]
        print(f"| {shape} |", " | ".join([*cells, *ratios]), "|")
    print("\n| ms of processor time for a request |", " | ".join(names), "| incumbent / lsml | incumbent / default |")
    print("|---" + "|--:" * 5 + "|")
    for shape, of in measured.items():
        cpu = {name: statistics.median(one[2] for one in of[name]) for name in names}
        ratios = [f"{cpu['incumbent'] / cpu[name]:.2f}x" for name in names[:2]]
        print(f"| {shape} |", " | ".join([*(f"{cpu[name]:.2f}" for name in names), *ratios]), "|")
    alone, together, many = (rate[shape] for shape in SHAPES)
    found = (
        together["lsml"] / alone["lsml"],
        together["lsml"] / together["incumbent"],
        many["lsml"] / many["incumbent"],
    )
    print("\n| goal | measured | |\n|---|--:|---|")
    for (goal, least), ratio in zip(GOALS.items(), found, strict=True):
        print(f"| {goal} | {ratio:.2f} | {'met' if ratio >= least else 'missed'} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        client(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5], float(sys.argv[6]))
    else:
        main()
