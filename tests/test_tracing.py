"""Requests and runs as spans of OpenTelemetry: who belongs to whom, and nothing that a person wrote."""

import os

import pytest

from lsml import tracing
from lsml.errors import LsmlError
from tests.conftest import PROJECT_KEY, TOPICS, tickets

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def spans():
    """The finished spans, as they come."""
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.trace_by(provider)
    yield exporter.get_finished_spans
    tracing.trace_by(None)


def test_a_request_and_its_prediction_are_part_of_the_senders_trace(backend, spans):
    server = backend()
    server.post("/setup", {"project": PROJECT_KEY, "schema": TOPICS})
    header = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    ask = {"tasks": [{"id": 1, "data": {"text": "a secret text"}}], "project": PROJECT_KEY, "label_config": TOPICS}
    assert server.post("/predict", ask, headers=header).status_code == 200
    *_, predicted, answered = spans()
    assert (answered.name, predicted.name) == ("POST /predict", "predict tasks")
    assert f"{answered.context.trace_id:032x}" == f"{predicted.context.trace_id:032x}" == TRACE
    assert predicted.parent.span_id == answered.context.span_id
    assert answered.attributes["lsml.status"] == 200
    assert answered.attributes["lsml.project"] == PROJECT_KEY
    assert predicted.attributes["lsml.tasks"] == 1
    assert "secret" not in "".join(one.to_json() for one in spans())


def test_a_run_and_its_process_are_one_trace(backend, spans, monkeypatch):
    server = backend()
    server.annotate(tickets(40))
    before = len(spans())
    with tracing.span("run a training", run="r"):
        environment = tracing.with_parent({"PATH": "/bin"})
    assert environment["PATH"] == "/bin"
    monkeypatch.setenv(tracing.PARENT, environment[tracing.PARENT])
    server.train()
    made = {one.name: one for one in spans()[before:]}
    run, process = made["run a training"], made["process of a training"]
    assert process.parent.span_id == run.context.span_id
    for step in ("take a snapshot", "fit and judge", "save the version"):
        assert made[step].parent.span_id == process.context.span_id


def test_a_span_says_of_an_error_only_its_class(spans):
    with pytest.raises(LsmlError), tracing.span("run a training"):
        raise LsmlError("https://example.com/?token=sesame: a secret text")
    (failed,) = spans()
    assert (failed.status.is_ok, failed.status.description) == (False, "LsmlError")
    assert "secret" not in failed.to_json() and "sesame" not in failed.to_json()


def test_nothing_is_traced_where_nobody_asks_for_it(backend):
    tracing.set_up_tracing("lsml-server")
    assert tracing.with_parent(os.environ) == dict(os.environ)
    assert backend().client.get("/health").status_code == 200


def test_a_missing_library_is_a_sentence(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.resources", None)
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(
        LsmlError, match=r'^OTEL_EXPORTER_OTLP_ENDPOINT: .* is not installed: pip install "lsml\[otel\]"$'
    ):
        tracing.set_up_tracing("lsml-server")
