"""Several server processes at one port: one address, one set of counts, and none is missed when it dies."""

from __future__ import annotations

import ast
import os
from types import SimpleNamespace

import httpx
import psutil
import pytest

from lsml.cli.processes import processes_of
from lsml.errors import LsmlError
from tests.conftest import REPOSITORY, write_recipe
from tests.support.backend import RunningBackend, until

ASK = {"tasks": [{"data": {"text": "refund"}}]}


def servers(backend) -> dict[int, psutil.Process]:
    """The server processes by their number."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "serve" in command and str(backend.recipe) in command:
            found[int(command[command.index("--number") + 1])] = process
    return found


def counted(backend) -> float:
    lines = backend.client.get("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith('lsml_requests_total{endpoint="POST')
    )


@pytest.mark.skipif(os.name != "posix", reason="processes share a port")
def test_processes_answer_at_one_address_count_together_and_replace_one_that_dies(tmp_path):
    recipe = write_recipe(tmp_path, "server: {processes: 2}\n")
    with RunningBackend(recipe, tmp_path / "data") as backend:
        until("both listen", lambda: backend.output.count("listening on") == 2)
        first = servers(backend)
        assert sorted(first) == [1, 2]
        assert {process.environ()["OMP_NUM_THREADS"] for process in first.values()} == {
            str(max(1, (os.cpu_count() or 1) // 2))
        }
        (computing,) = {
            process.environ()["OPENBLAS_NUM_THREADS"] for process in (*first.values(), backend.child("work"))
        }
        assert computing == os.environ["OPENBLAS_NUM_THREADS"] == "1"

        def ask() -> int:
            return httpx.post(f"{backend.address}/predict", json=ASK, timeout=30, trust_env=False).status_code

        assert [ask() for _ in range(10)] == [200] * 10
        assert counted(backend) == 10
        first[1].kill()
        until("it has gone", lambda: not first[1].is_running() or first[1].status() == psutil.STATUS_ZOMBIE)
        assert [ask() for _ in range(5)] == [200] * 5
        until("it is replaced", lambda: servers(backend).get(1, first[1]).pid != first[1].pid)
        assert counted(backend) == 15, "counts of a dead process stay"
        assert backend.stop() == 0
        assert "Traceback" not in backend.output


@pytest.mark.parametrize(
    ("many", "system", "said"),
    [
        ([2, 1], "posix", "several recipes are served by one process; start one lsml for each recipe"),
        ([2], "nt", "this system cannot share a port between processes; set it to 1"),
    ],
)
def test_where_processes_cannot_share_a_port_it_says_so(monkeypatch, many, system, said):
    monkeypatch.setattr("lsml.cli.processes.os", SimpleNamespace(name=system))
    recipes = [SimpleNamespace(server=SimpleNamespace(processes=number)) for number in many]
    with pytest.raises(LsmlError, match=said):
        processes_of(recipes)
    assert processes_of([SimpleNamespace(server=SimpleNamespace(processes=1))] * 2) == 1


def test_nothing_forks():
    """A fork after a model library was loaded hangs in its threads and its CUDA context."""
    forking = {"fork", "forkpty", "multiprocessing", "ProcessPoolExecutor", "preexec_fn"}
    found = []
    for path in (REPOSITORY / "lsml").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = {
                *(alias.name.partition(".")[0] for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)),
                *({node.attr} if isinstance(node, ast.Attribute) else ()),
                *({node.arg} if isinstance(node, ast.keyword) else ()),
            }
            found += [f"{path.name}:{getattr(node, 'lineno', 0)}" for _ in names & forking]
    assert found == []
