"""What do more processes, a cache, batches and engines bring? `python -m benchmarks.scale [--quick]`; needs psutil.

Every table is one run in which its rows take turns, so only ratios count. *Of linear* is the gain divided by the number
of processes, or by the number of cores where that is smaller. *CPU, of linear* compares the processor time of each
request: what more processes would bring with a core for each, also on a machine that others use. The batches need the extra `transformers`, the
second database PostgreSQL's programs and the extra `postgres`, and Ray the extra `ray`; what is not installed is left out, and said. At the end
the capacity is computed from what was measured.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))  # `small` and `text`, which are also run as scripts

from small import load
from text import (
    PYTHON,
    Server,
    Texts,
    export,
    generate,
    labeling_config,
    lsml_server,
    predict_request,
    regions,
    request_bytes,
    train,
    workplace,
    write_recipe,
)

CLIENTS = 8
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TIMES = (1, 2, 4)  # processes
DAY_S = 86_400


@dataclass
class Effort:
    """How long everything runs, and what was measured for the capacity, by name."""

    seconds: float
    rounds: int
    projects: int
    tasks: int  # of a file
    figures: dict[str, float] = field(default_factory=dict)


# --- load ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """How many a second, and the processor time of each."""

    rate: float
    cpu_ms: float


def ask(server: Server, requests: Sequence[bytes], seconds: float, directory: Path) -> Measured:
    """What a client in a process of its own measures."""
    path = directory / "requests"
    path.write_bytes(b"\0".join(requests))
    command = [*PYTHON, "-m", "benchmarks.scale", "--client", path, str(server.port), str(CLIENTS), str(seconds)]
    before_s = server.cpu_s()
    rate, _, count = json.loads(subprocess.check_output([str(part) for part in command], timeout=300))
    return Measured(rate, (server.cpu_s() - before_s) / count * 1e3)


def in_turns(rows: dict[str, Callable[[], Measured]], rounds: int) -> dict[str, Measured]:
    """The median of each row over rounds in which all take turns; the first round warms up."""
    found: dict[str, list[Measured]] = {name: [] for name in rows}
    for number in range(rounds + 1):
        for name in list(rows)[:: -1 if number % 2 else 1]:
            value = rows[name]()
            if number:
                found[name].append(value)
    return {
        name: Measured(statistics.median(one.rate for one in values), statistics.median(one.cpu_ms for one in values))
        for name, values in found.items()
    }


def table(what: str, rows: dict[str, Measured], times: Sequence[int] = ()) -> None:
    """Print rows, compared with the first. `times`: the number of processes of each."""
    first = next(iter(rows.values()))
    print(
        f"\n| {what} | per second | gain | CPU, ms | CPU, gain |" + (" of linear | CPU, of linear |" if times else "")
    )
    print("|---" + "|--:" * (6 if times else 4) + "|")
    for place, (name, one) in enumerate(rows.items()):
        gain, less = one.rate / first.rate, first.cpu_ms / one.cpu_ms
        linear = f" {gain / min(times[place], CORES):.0%} | {less:.0%} |" if times else ""
        print(f"| {name} | {one.rate:,.1f} | {gain:.2f}x | {one.cpu_ms:,.2f} | {less:.2f}x |{linear}")
    sys.stdout.flush()


def changed(recipe: Path, name: str, **server: object) -> Path:
    """A copy of a recipe, with the data that it learnt, that differs in its section `server`."""
    folder = recipe.parent.parent / name
    shutil.copytree(recipe.parent, folder)
    copy = folder / recipe.name
    copy.write_text(json.dumps({**json.loads(recipe.read_text(encoding="utf-8")), "server": server}), encoding="utf-8")
    return copy


def compared(
    effort: Effort, directory: Path, recipes: dict[str, Path], requests: Sequence[bytes]
) -> dict[str, Measured]:
    """A server of each recipe."""
    with ExitStack() as running:
        found = {
            name: running.enter_context(lsml_server(recipe, directory / "log")) for name, recipe in recipes.items()
        }
        turns = {name: partial(ask, server, requests, effort.seconds, directory) for name, server in found.items()}
        return in_turns(turns, effort.rounds)


# --- the parts -----------------------------------------------------------------------------------------------------------


def servers(effort: Effort, directory: Path, recipe: Path, requests: Sequence[bytes]) -> None:
    recipes = {
        f"{many} server processes": changed(recipe, f"processes-{many}", processes=many, cache=0) for many in TIMES
    }
    rows = compared(effort, directory, recipes, requests)
    table(f"1 text, {CLIENTS} clients", rows, TIMES)
    effort.figures["predictions a core answers in a second"] = 1e3 / next(iter(rows.values())).cpu_ms


def cached(effort: Effort, directory: Path, recipe: Path, config: str, texts: Sequence[str]) -> None:
    long = [
        " ".join(texts[begin : begin + 60]) for begin in range(0, 1200, 60)
    ]  # each 4 kB or so, asked again and again
    requests = [predict_request([text], config) for text in long]
    recipes = {"not cached": changed(recipe, "uncached", cache=0), "cached": changed(recipe, "cached")}
    table(
        f"{len(long)} texts of {len(long[0]):,} characters, again and again",
        compared(effort, directory, recipes, requests),
    )


def batched(effort: Effort, directory: Path, config: str, texts: Sequence[str]) -> None:
    if importlib.util.find_spec("transformers") is None:
        print("\nBatches: left out, as transformers is not installed.")
        return
    from tests.support.transformer_models import tiny_head

    weights = tiny_head(directory / "weights", list(texts), "SequenceClassification", ["class 0000", "class 0001"])
    import transformers

    # Many thin layers: as on a GPU, a call costs about the same for one text and for eight.
    facts = transformers.AutoConfig.from_pretrained(weights, num_hidden_layers=16)
    transformers.AutoModelForSequenceClassification.from_config(facts).save_pretrained(weights)
    recipe = directory / "transformer" / "recipe.yaml"
    recipe.parent.mkdir()
    written = {"lsml": 1, "name": "bench", "labeling_config": config,
               "tags": {"Choices": {"adapter": "transformers-classifier", "options": {"weights": str(weights)}}}}  # fmt: skip
    recipe.write_text(json.dumps(written), encoding="utf-8")
    recipes = {
        "side by side": changed(recipe, "alone", cache=0, gather="0s"),
        "together": changed(recipe, "together", cache=0),
    }
    requests = [predict_request([text], config) for text in texts]
    table(f"a transformer of 16 thin layers, 1 text, {CLIENTS} clients", compared(effort, directory, recipes, requests))


def annotated(texts: Texts, config: str, project: int, first: int) -> list[bytes]:
    """The webhooks of a project's annotations."""
    at = "2026-01-01T00:00:00.000000Z"
    return [
        request_bytes("/webhook", {
            "action": "ANNOTATION_CREATED",
            "project": {"id": project, "created_at": "1970-01-01T00:00:01Z", "updated_at": at, "title": f"p{project}",
                        "label_config": config},
            "task": {"id": first + number, "data": {"text": text}},
            "annotation": {"id": first + number, "task": first + number, "result": regions(label), "created_at": at,
                           "updated_at": at, "was_cancelled": False, "lead_time": 4.2},
        })
        for number, (text, label) in enumerate(texts)
    ]  # fmt: skip


@contextmanager
def workers(recipe: Path, many: int) -> Iterator[Callable[[], float]]:
    """So many worker processes on the data of a recipe, and the processor time that they took, with their trainings."""
    command = [*PYTHON, "-m", "lsml", "work", recipe, "--data-dir", recipe.parent / "data", "--log-level", "warning"]
    processes = [psutil.Popen([str(part) for part in command], stderr=subprocess.DEVNULL) for _ in range(many)]
    try:
        yield lambda: sum(sum(process.cpu_times()[:4]) for process in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


def trained(effort: Effort, directory: Path, texts: Texts, config: str) -> None:
    """Trainings of 1, 2 and 4 workers: all projects ask for one at the same moment."""
    rows = {}
    for many in TIMES:
        recipe = write_recipe(directory / f"workers-{many}", texts, 20_000)
        with lsml_server(recipe, directory / "log") as server:
            jobs = []
            for project in range(1, effort.projects + 1):
                for body in annotated(texts[:60], config, project, 1000 * project):
                    server.client.send(body)
                jobs.append(json.loads(server.client.ask("/train", {"project": f"{project}.1"}))["job"])
            began = time.perf_counter()
            with workers(recipe, many) as cpu_s:
                while any(status(server, job) not in ("finished", "failed") for job in jobs):
                    time.sleep(0.1)
                took_s = time.perf_counter() - began
                rows[f"{many} workers"] = Measured(len(jobs) / took_s, cpu_s() / len(jobs) * 1e3)
            assert all(status(server, job) == "finished" for job in jobs)
    table("trainings of 60 texts, with the start of the workers", rows, TIMES)
    effort.figures["CPU s of a training of 60 texts"] = next(iter(rows.values())).cpu_ms / 1e3


def status(server: Server, job: str) -> str:
    return str(json.loads(server.client.ask("/job_status", {"job": job}))["job_status"])


def engines(
    effort: Effort, directory: Path, recipe: Path, config: str, texts: Texts, requests: Sequence[bytes]
) -> None:
    """Predictions and acknowledged annotations of one server, with its data in SQLite and in PostgreSQL."""
    addresses: dict[str, str | None] = {"SQLite": None}
    with ExitStack() as running:
        try:
            postgres = running.enter_context(postgresql())
        except RuntimeError as error:
            print(f"\nPostgreSQL: left out, as {error}.")
        else:
            addresses["PostgreSQL"] = postgres
        found = {}
        for name, address in addresses.items():
            written = json.loads(recipe.read_text(encoding="utf-8"))
            own = write_recipe(directory / f"on-{name}", texts, 20_000)
            own.write_text(
                json.dumps({**written, "storage": {"database": address}} if address else written), encoding="utf-8"
            )
            train(own, export(texts[:200], own.parent / "export.json"))
            found[name] = running.enter_context(lsml_server(own, directory / "log"))
        turns = {name: partial(ask, server, requests, effort.seconds, directory) for name, server in found.items()}
        table(f"predictions, 1 text, {CLIENTS} clients", in_turns(turns, effort.rounds))
        numbers = iter(range(1, 10**6))
        each = int(3000 * effort.seconds)

        def annotate(server: Server) -> Measured:
            many = [texts[place % len(texts)] for place in range(each)]
            return ask(server, annotated(many, config, 1, next(numbers) * each), effort.seconds, directory)

        rows = in_turns({name: partial(annotate, server) for name, server in found.items()}, effort.rounds)
        table(f"acknowledged annotations, {CLIENTS} clients", rows)
        for name, one in rows.items():
            effort.figures[f"annotations a second on {name}"] = one.rate
    database = directory / "on-SQLite" / "data" / "lsml.db"
    with contextlib.closing(sqlite3.connect(database)) as opened:
        [(held,)] = opened.execute("SELECT count(*) FROM annotation")
    effort.figures["bytes of an annotation"] = sum(
        file.stat().st_size for file in database.parent.glob("lsml.db*")
    ) / max(held, 1)


def of_a_file(effort: Effort, directory: Path, recipe: Path, texts: Sequence[str]) -> None:
    """`lsml predict` of a file, by the local engine and by Ray, with their starts."""
    if importlib.util.find_spec("ray") is None:
        print("\nRay: left out, as it is not installed.")
        return
    many, tasks = effort.tasks, directory / "tasks.jsonl"
    lines = (json.dumps({"data": {"text": f"{texts[number % len(texts)]} {number}"}}) for number in range(many))
    tasks.write_text("\n".join(lines), encoding="utf-8")
    output = directory / "predicted.jsonl"

    def predicted(*engine: object) -> float:
        command = [*PYTHON, "-m", "lsml", "predict", recipe, tasks, "-o", output, "--data-dir", recipe.parent / "data"]
        began = time.perf_counter()
        subprocess.run([str(part) for part in (*command, *engine)], check=True, capture_output=True, timeout=600)
        return many / (time.perf_counter() - began)

    rows: dict[str, list[float]] = {"local": [], "Ray, 1 process": [], "Ray, 2 processes": []}
    for _ in range(2):
        for processes, rates in enumerate(rows.values()):
            rates.append(predicted(*(("--engine", "ray", "--workers", processes) if processes else ())))
    local = statistics.median(rows["local"])
    print(f"\n| a file of {many:,} texts, with the start | per second | gain |\n|---|--:|--:|")
    for name, rates in rows.items():
        print(f"| {name} | {statistics.median(rates):,.0f} | {statistics.median(rates) / local:.2f}x |")
    sys.stdout.flush()


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL of its own. Raises RuntimeError where it is not installed."""
    if shutil.which("initdb") is None and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        raise RuntimeError("its programs are not installed")
    if importlib.util.find_spec("psycopg") is None:
        raise RuntimeError("psycopg is not installed")
    from tests.support.engines import PostgresServer

    server = PostgresServer()
    try:
        server.start()
        yield server.url
        server.stop()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)


def many_projects(effort: Effort, directory: Path, recipe: Path) -> None:
    """What 10,000 projects cost at rest: a look at all of them, as a worker takes each second."""
    from lsml.store import Store

    store = Store(directory / "projects", name="bench")
    with store.transaction():
        for number in range(1, 10_001):
            store.projects.touch(f"{number}.1", studio_id=number, title=f"p{number}", labeling_config="<View/>")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        store.projects.to_read()
        store.projects.to_publish()
        times.append(time.perf_counter() - began)
    store.close()
    effort.figures["s to look at 10,000 projects"] = statistics.median(times)
    print(f"\nA look at 10,000 projects takes {statistics.median(times):.3f} s.")


# --- capacity ------------------------------------------------------------------------------------------------------------


def capacity(figures: dict[str, float]) -> None:
    """Print what large projects need, computed from the figures, and what gives way first."""
    print("\n| measured | |\n|---|--:|")
    for name, figure in figures.items():
        print(f"| {name} | {figure:,.2f} |")
    predicted, training_s = (
        figures["predictions a core answers in a second"],
        figures["CPU s of a training of 60 texts"],
    )
    engine = "PostgreSQL" if "annotations a second on PostgreSQL" in figures else "SQLite"
    stored, size = figures[f"annotations a second on {engine}"], figures["bytes of an annotation"]
    people, every_s = 1000, 5.0
    rows = [
        ("1 million tasks, predicted once", f"{1e6 / predicted / 60:,.1f} minutes of a core"),
        ("1 billion tasks, predicted once in a day", f"{1e9 / predicted / DAY_S:,.1f} cores"),
        ("1 million annotations", f"{1e6 * size / 1e9:.1f} GB of database"),
        ("1 billion annotations", f"{1e9 * size / 1e12:.1f} TB of database, and {1e9 / stored / 3600:,.0f} hours to write them"),
        ("10,000 projects, each trained once a day", f"{10_000 * training_s / DAY_S:.2f} cores"),
        ("10,000 projects at rest", f"{figures['s to look at 10,000 projects']:.3f} s of every second of each worker"),
        (f"{people:,} annotators, one annotation each {every_s:g} s",
         f"{people / every_s:.0f} annotations a second: {people / every_s / stored:.0%} of what {engine} took"),
    ]  # fmt: skip
    print("\n| for | needed |\n|---|---|")
    for name, needed in rows:
        print(f"| {name} | {needed} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, and fewer projects")
    quick = parser.parse_args().quick
    effort = Effort(0.6, 3, 4, 5_000) if quick else Effort(2.0, 5, 16, 50_000)
    learnt, asked = generate(400 if quick else 2000, 10), generate(2000, 10, seed=5)
    texts, config = [text for text, _ in asked], labeling_config(learnt)
    requests = [predict_request([text], config) for text in texts]
    print(f"{effort.rounds} rounds of {effort.seconds:g} s, {CORES} cores, load average {os.getloadavg()[0]:.0f}")
    with workplace() as directory:
        recipe = write_recipe(directory / "learnt", learnt, 100_000)
        train(recipe, export(learnt, directory / "export.json"))
        servers(effort, directory, recipe, requests)
        cached(effort, directory, recipe, config, texts)
        batched(effort, directory, config, texts)
        trained(effort, directory, learnt, config)
        engines(effort, directory, recipe, config, learnt, requests)
        many_projects(effort, directory, recipe)
        of_a_file(effort, directory, recipe, texts)
    capacity(effort.figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        path, port, clients, seconds = sys.argv[2:6]
        print(json.dumps(load(int(port), Path(path).read_bytes().split(b"\0"), int(clients), float(seconds))))
    else:
        main()
