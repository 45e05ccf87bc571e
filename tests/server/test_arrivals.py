"""Requests that arrived together go through the model together, and nobody is told what is another's."""

from __future__ import annotations

import base64
import io
import json
import socket
from types import SimpleNamespace

import pytest

from lsml.adapters.text.classifier import TextClassifier
from lsml.server.arrivals import ARRIVALS, REQUEST, Arrivals
from tests.conftest import PROJECT_KEY, TOPICS, tickets, write_recipe
from tests.support.backend import RunningBackend

SAID = ["refund the invoice", "the app crashes", "how do I export", "invoice twice", "a crash again"]


def arrived(body, path="/predict", query="", command="POST", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    stream = io.BytesIO(content)
    return SimpleNamespace(
        command=command, path=path, query=query, headers={"HOST": "localhost", "CONTENT_LENGTH": str(len(content)), **headers},
        content=content, get_body_stream=lambda: stream,
    )  # fmt: skip


def asking(*texts, **more):
    return {
        "tasks": [{"data": {"text": text}} for text in texts],
        "project": PROJECT_KEY,
        "label_config": TOPICS,
        **more,
    }


def answers(server, requests, **more):
    """What the application answers to requests that arrived together, in their order."""
    together = Arrivals(requests)
    return [
        server.client.post(
            one.path, data=one.content, content_type="application/json",
            environ_overrides={ARRIVALS: together, REQUEST: one, **more},
        )
        for one in requests
    ]  # fmt: skip


@pytest.fixture
def server(backend):
    made = backend("server: {cache: 0}\n")  # so that the model is asked each time
    made.annotate(tickets(60))
    made.train()
    return made


@pytest.fixture
def batches(monkeypatch):
    """The sizes of what the model was asked, as it is asked."""
    sizes, predict = [], TextClassifier.predict

    def counted(self, batch):
        sizes.append(len(batch))
        return predict(self, batch)

    monkeypatch.setattr(TextClassifier, "predict", counted)
    return sizes


def test_requests_that_arrived_together_are_one_batch_and_get_what_they_get_alone(server, batches):
    bodies = [asking(SAID[0]), asking(*SAID[1:3]), asking(SAID[3])]
    alone = [server.post("/predict", body).json for body in bodies]
    assert batches == [1, 2, 1]
    batches.clear()
    together = answers(server, [arrived(body) for body in bodies])
    assert [one.json for one in together] == alone
    assert batches == [4]


@pytest.mark.parametrize(
    "other",
    [
        arrived(asking("crash"), AUTHORIZATION="Basic eDp5"),
        arrived(asking("crash"), path="/secret/predict"),
        arrived(asking("crash"), query="a=b"),
        arrived(asking("crash", project="2.1")),
        arrived(asking("crash", label_config=TOPICS.replace("Billing", "Money"))),
        arrived(asking("crash", params={"context": {"result": []}})),
        arrived({"tasks": 7}),
        arrived(b"{"),
    ],
    ids=["headers", "path", "query", "project", "config", "interactive", "malformed", "no JSON"],
)
def test_what_asks_for_something_else_is_answered_by_itself(server, batches, other):
    together = Arrivals([own := arrived(asking("refund")), other])
    more = {"environ_overrides": {ARRIVALS: together, REQUEST: own}}
    assert server.post("/predict", asking("refund"), **more).status_code == 200
    assert batches == [1]
    assert together.turn(other) is None


def test_true_and_one_are_different_projects(server, batches):
    first, second = answers(server, [arrived(asking("refund", project=1)), arrived(asking("refund", project=True))])
    assert (first.status_code, second.status_code) == (200, 400)
    assert batches in ([1], [])


def test_a_bad_task_and_a_malformed_request_cost_only_themselves(server, batches):
    bodies = [asking("refund"), {"tasks": 7}, asking("x") | {"tasks": [None, {"data": {}}]}, asking("crash")]
    alone = [server.post("/predict", body) for body in bodies]
    batches.clear()
    together = answers(server, [arrived(body) for body in bodies])
    assert [(one.status_code, one.json) for one in together] == [(one.status_code, one.json) for one in alone]
    assert batches == [2]


def test_a_batch_is_small_and_the_rest_is_the_next_one(server, batches):
    together = answers(server, [arrived(asking(*SAID[:3])) for _ in range(5)])
    assert all(len(one.json["results"]) == 3 for one in together)
    assert batches == [6, 6, 3]


def test_what_the_guard_refuses_is_told_nothing_that_was_worked_out(backend):
    server = backend("server: {username: ann, password: secret}\n")
    right = "Basic " + base64.b64encode(b"ann:secret").decode()
    first = arrived(asking("refund"), AUTHORIZATION=right)
    second = arrived(asking("crash"))
    together = Arrivals([first, second])
    told = [
        server.client.post(
            "/predict", data=one.content, content_type="application/json", headers=headers,
            environ_overrides={ARRIVALS: together, REQUEST: one},
        ).status_code
        for one, headers in ((first, {"Authorization": right}), (second, {}))
    ]  # fmt: skip
    assert told == [200, 401]


def test_bodies_are_known_whatever_another_thread_does_with_the_requests():
    own, other = arrived(asking("refund")), arrived(asking("crash"))
    together = Arrivals([own, other])
    assert other.get_body_stream().read() == other.content, "its own turn reads it from the start"
    other.get_body_stream().close()
    assert list(together.alike(own)) == [(other, other.content)]


def test_a_server_answers_many_connections_each_with_its_own(tmp_path):
    with RunningBackend(write_recipe(tmp_path), tmp_path / "data") as lsml:
        lines = [f"{text} {number}" for number in range(5) for text in SAID]
        connections = [socket.create_connection(("127.0.0.1", lsml.port), timeout=30) for _ in lines]
        for _ in range(3):
            for connection, line in zip(connections, lines, strict=True):
                body = json.dumps({"tasks": [{"data": {"text": line}}] * (1 + len(line) % 3)}).encode()
                head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-Id: {line.replace(' ', '-')}\r\n"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            for connection, line in zip(connections, lines, strict=True):
                received = b""
                while not received.endswith(b"]}"):
                    received += connection.recv(65536)
                assert f"X-Request-Id: {line.replace(' ', '-')}".encode() in received
                assert len(json.loads(received.partition(b"\r\n\r\n")[2])["results"]) == 1 + len(line) % 3
        for connection in connections:
            connection.close()
