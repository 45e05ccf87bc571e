"""Traces for OpenTelemetry, where the environment names a collector. Spans hold ids and numbers: no text and no secret."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lsml.errors import LsmlError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from opentelemetry.trace import TracerProvider as Provider

PARENT: Final = (
    "TRACEPARENT"  # an environment variable, in which a worker tells its process of a run what it is part of
)
_COLLECTORS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracers: list[Tracer] = []  # one, or none where nothing is traced


def set_up_tracing(service: str) -> None:
    """Send the spans of this process to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, if it names one.

    Raises LsmlError where the library is missing.
    """
    if not any(os.environ.get(name) for name in _COLLECTORS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise LsmlError(f'{_COLLECTORS[0]}: {error.name} is not installed: pip install "lsml[otel]"') from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or service})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace_by(provider)


def trace_by(provider: Provider | None) -> None:
    """Make spans by a provider of OpenTelemetry from now on; None ends it."""
    _tracers[:] = [] if provider is None else [provider.get_tracer("lsml")]


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str | int | None) -> Iterator[None]:
    """Time what is done within as one span, which says of an error only its class. `parent`: what it is part of, as W3C's
    traceparent; else the span around it.
    """
    if not _tracers:
        yield
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import StatusCode

    about = extract({"traceparent": parent}) if parent else None
    with _tracers[0].start_as_current_span(
        name, context=about, attributes=_known(attributes), record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield
        except BaseException as error:
            # Its message may have a text, a URL or a secret.
            made.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def describe_span(name: str, **attributes: str | int | None) -> None:
    """Give the current span a name and attributes that were not known when it began."""
    if _tracers:
        from opentelemetry.trace import get_current_span

        current = get_current_span()
        current.update_name(name)
        current.set_attributes(_known(attributes))


def with_parent(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process whose spans are part of the current one."""
    carrier: dict[str, str] = {}
    if _tracers:
        from opentelemetry.propagate import inject

        inject(carrier)
    return {**environment, **({PARENT: carrier["traceparent"]} if "traceparent" in carrier else {})}


def _known(attributes: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {f"lsml.{name}": value for name, value in attributes.items() if value is not None}
