"""Spans through OpenTelemetry's SDK. Nothing but ``telemetry.setup`` imports this, and only where tracing is on.

The SDK's own ``OTEL_…`` variables hold for what is not set here: headers, sampling, resource attributes.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.telemetry.spans import MOST_LINKS, Kind, Value

SERVICE: Final = "seat-reconciler"
EXPORT_WITHIN: Final = 3
"""Seconds a collector has for a batch; what it does not take is dropped, never waited for."""

_KINDS: Final = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def provider_to(endpoint: str, process: str) -> TracerProvider:
    """Sends spans to the collector at ``endpoint``, an OTLP base URL, from a thread of its own.

    ``process`` names this kind of process in each of them.
    """
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_WITHIN)
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: SERVICE, "seats.process": process}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class OtelSpans:
    """Implements ``spans.Spans``."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SERVICE)

    @contextmanager
    def span(self, name: str, kind: Kind, *, parent: str = "", **attributes: Value) -> Iterator[str]:
        # Not recorded by OpenTelemetry itself: it would keep the exception's text, and with it whatever stands there.
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent),
            kind=_KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            try:
                yield carrier.get("traceparent", "")
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def note(self, **attributes: Value) -> None:
        trace.get_current_span().set_attributes(attributes)

    def link(self, traces: Iterable[str]) -> None:
        span = trace.get_current_span()
        for one in islice(traces, MOST_LINKS):
            span.add_link(trace.get_current_span(_context(one)).get_span_context())

    def ended(self, name: str, seconds: float, *, failed: bool, **attributes: Value) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=end - round(seconds * 1e9)
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def _context(traceparent: str) -> Context:
    """A context that holds nothing but this remote span; one that makes no sense is no span."""
    return _PROPAGATOR.extract({"traceparent": traceparent}, context=Context())
