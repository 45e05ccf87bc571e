"""The server process and its connections: slow, half-open, refused, kept over a clock that jumps, and drained."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import PROJECT, PROJECT_KEY, TOPICS, event, tickets, write_recipe
from tests.support.backend import RunningBackend, until
from tests.support.processes import RECIPE, running

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
HALF = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def backend(tmp_path):
    with RunningBackend(
        write_recipe(tmp_path, RECIPE + "server: {limits: {body: 100kB}}\n"), tmp_path / "data"
    ) as lsml:
        yield lsml


def connect(lsml) -> socket.socket:
    return socket.create_connection(("127.0.0.1", lsml.port), timeout=30)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer; an empty connection is an EOFError."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            raise EOFError(received)
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize("by_s", [-86_400, 86_400])
def test_a_clock_that_jumps_closes_no_connection(tmp_path, by_s):
    with running(tmp_path) as processes, connect(processes) as kept:
        kept.sendall(HEALTH)
        assert answer(kept)[0] == 200
        (processes.faults / "clock").write_text(str(by_s))
        time.sleep(1.5)  # the server looks after its connections once a second
        kept.sendall(HEALTH)
        assert answer(kept)[0] == 200


def test_what_is_no_http_is_refused_with_a_sentence_as_json(backend):
    for sent, status, sentence in (
        (b"nonsense\r\n\r\n", 400, "the request is not valid HTTP: "),
        (b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "the request is not valid HTTP: Content-Length"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "the request is not valid HTTP: "),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000 + b"\r\n\r\n", 431, "the headers are larger than 262,144 bytes; "),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: zip\r\n\r\n", 501, "only `Transfer-Encoding: chunked` is supported; "),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 100001\r\n\r\n", 413, "the request is larger than 100,000 bytes "),
    ):
        with connect(backend) as connection:
            connection.sendall(sent)
            found, headers, body = answer(connection)
        assert (found, headers["content-type"]) == (status, "application/json")
        assert json.loads(body)["error"].startswith(sentence)


def test_a_body_that_is_too_large_is_refused_with_its_sentence_while_it_is_still_being_sent(backend):
    body = b"{" + b" " * 20_000_000
    for content in (body, iter([body])):  # with a Content-Length, and in chunks
        refused = backend.client.post("/predict", content=content)
        assert refused.status_code == 413
        assert refused.json()["error"].startswith("the request is larger than 100,000 bytes (server.limits.body ")
    assert backend.get("/health")["status"] == "UP"


def test_half_sent_requests_and_idle_connections_take_the_server_from_nobody(backend):
    with contextlib.ExitStack() as held:
        for number in range(700):  # more than it keeps
            connection = held.enter_context(connect(backend))
            connection.sendall(HALF if number % 2 else HALF[:20] if number % 3 else b"")
        with httpx.Client(base_url=backend.address, timeout=10, trust_env=False) as client:
            assert client.get("/health").json()["status"] == "UP"
            assert client.post("/predict", json={"tasks": [{"data": {"text": "a"}}]}).json()["results"] == [[]]
        assert "connections are open: closing those that have been idle longest" in backend.output


def test_a_client_that_sends_byte_by_byte_is_answered_and_delays_nobody(backend):
    with connect(backend) as slow:
        for byte in HEALTH:
            slow.sendall(bytes([byte]))
            assert backend.get("/health")["status"] == "UP"
        assert answer(slow)[0] == 200


def test_a_client_that_vanishes_leaves_no_descriptor_behind(backend):
    server = backend.child("serve")
    before = server.num_fds()
    for number in range(100):
        with connect(backend) as connection:
            connection.sendall(HALF)
            if number % 2:  # a reset instead of an orderly end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until("its descriptors are closed", lambda: server.num_fds() <= before + 3, 10)


@pytest.mark.slow
def test_told_to_stop_under_load_it_finishes_every_request_within_ten_seconds_and_hands_its_training_back(tmp_path):
    recipe = write_recipe(tmp_path, RECIPE)
    with RunningBackend(recipe, tmp_path / "data", arguments=["--debug"]) as lsml:
        for id, (text, label) in enumerate(tickets(40), start=1):
            lsml.post("/webhook", event(id, text, label))
        body = {"tasks": [{"id": 1, "data": {"text": "refund"}}] * 50, "project": PROJECT_KEY, "label_config": TOPICS}
        answered: list[int] = []

        def load() -> None:
            with httpx.Client(base_url=lsml.address, timeout=30, trust_env=False) as client:
                while True:
                    try:
                        answered.append(client.post("/predict", json=body).status_code)
                    except httpx.TransportError:
                        return  # nobody listens any more, or the connection was closed before this request was read

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        until("requests are answered", lambda: len(answered) > 50)
        job = lsml.post("/webhook", {"action": "START_TRAINING", "project": PROJECT})["job"]
        lsml.child("--run")
        assert lsml.stop(signal.SIGTERM) == 0
        for thread in threads:
            thread.join(30)
        assert set(answered) == {200}
        # Every request that it took was answered, and the answer arrived.
        assert lsml.output.count("POST /predict: 200 in ") == len(answered)
        # The supervisor kills what has not ended after nine seconds, which then could not have said this.
        assert re.search(r"finished the current requests within \d\.\d s of SIGTERM", lsml.output), lsml.output_tail()
        assert f"run {job}: returned to the ledger" in lsml.output
        lsml.start()
        lsml.settled(PROJECT_KEY)
        status = lsml.post("/job_status", {"job": job})
        assert (status["job_status"], status["attempt"]) == ("finished", 2)


def test_health_is_answered_while_every_thread_waits(backend, tmp_path):
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "data" / "lsml.db", isolation_level=None)) as other,
        ThreadPoolExecutor(20) as pool,  # more than the server has threads
        httpx.Client(base_url=backend.address, timeout=10, trust_env=False) as client,
    ):
        other.execute("BEGIN IMMEDIATE")  # another program writes
        sent = [pool.submit(backend.post, "/webhook", event(id, "refund", "Billing")) for id in range(20)]
        arrived = ("127.0.0.1", backend.port)
        server = backend.child("serve")
        until(
            "all have arrived",
            lambda: sum(one.laddr == arrived and one.status == "ESTABLISHED" for one in server.net_connections()) >= 20,
        )
        for _ in range(20):
            assert client.get("/health").json()["status"] == "UP"
        assert not any(one.done() for one in sent)
        other.execute("ROLLBACK")
        assert [one.result()["changed"] for one in sent] == [1] * 20


def test_requests_on_one_connection_are_answered_in_their_order_whoever_answers_them(backend):
    body = json.dumps({"tasks": [{"data": {"text": "a"}}]}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    predict = head % len(body) + body
    order = [predict, HEALTH, HEALTH, predict, HEALTH]
    for _ in range(20):
        with connect(backend) as connection:
            connection.sendall(b"".join(order))
            received = b""
            while received.count(b"HTTP/1.1 200 OK") < len(order) or not received.endswith(b"}"):
                received += connection.recv(65536)
            kinds = [b'"UP"' in one for one in received.split(b"HTTP/1.1 200 OK")[1:]]
            assert kinds == [one is HEALTH for one in order]
