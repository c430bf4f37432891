"""Spans, in this process: what they carry and what they do not."""

import re
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from worker.telemetry.otel import OtelSpans
from worker.telemetry.spans import MOST_LINKS, NoSpans

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = OtelSpans(provider)

    def ended(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def traced() -> Traced:
    return Traced()


def test_a_door_goes_on_with_its_callers_trace_and_tells_its_own(traced: Traced) -> None:
    with traced.spans.span("door", "server", parent=CALLER) as told:
        traced.spans.note(accepted=3)
    (span,) = traced.ended()
    assert (span.kind, dict(span.attributes or {})) == (SpanKind.SERVER, {"accepted": 3})
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == CALLER[3:-3]
    assert told == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


@pytest.mark.parametrize("sent", ["", "nonsense", "00-0-0-00", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "\x00" * 300])
def test_a_caller_that_sends_nonsense_starts_a_trace_of_our_own(traced: Traced, sent: str) -> None:
    with traced.spans.span("door", "server", parent=sent) as told:
        pass
    (span,) = traced.ended()
    assert span.parent is None
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", told)


def test_a_reconcile_is_linked_to_what_led_to_it_and_its_calls_lie_below_it(traced: Traced) -> None:
    with traced.spans.span("reconcile", "consumer", tenant="acme"):
        traced.spans.link([CALLER, "nonsense"])
        traced.spans.ended("crovver allocations", 0.25, failed=False, outcome="ok", status=200)
    call, reconcile = traced.ended()
    assert [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in reconcile.links] == [CALLER[3:-3]]
    assert call.parent == reconcile.context
    assert call.kind is SpanKind.CLIENT
    assert call.start_time is not None
    assert call.end_time is not None
    assert call.end_time - call.start_time == 250_000_000
    assert call.status.status_code is StatusCode.UNSET


def test_links_are_bounded(traced: Traced) -> None:
    with traced.spans.span("reconcile", "consumer"):
        traced.spans.link(f"00-{number:032x}-00f067aa0ba902b7-01" for number in range(1, 5000))
    assert len(traced.ended()[0].links) == MOST_LINKS


def test_of_an_exception_only_its_kind_is_kept(traced: Traced) -> None:
    with pytest.raises(ValueError, match="secret"), traced.spans.span("door", "server"):
        raise ValueError("a secret link")
    (span,) = traced.ended()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert span.events == ()
    assert "secret" not in span.to_json()


def test_a_call_that_failed_is_marked(traced: Traced) -> None:
    traced.spans.ended("crovver allocations", 1, failed=True, outcome="transient", status=0)
    assert traced.ended()[0].status.status_code is StatusCode.ERROR


def test_with_nothing_traced_there_is_nothing_to_tell() -> None:
    spans = NoSpans()
    with spans.span("door", "server", parent=CALLER) as told:
        spans.note(accepted=1)
        spans.link([CALLER])
        spans.ended("crovver allocations", 1, failed=True)
    assert told == ""


def test_switched_off_neither_is_imported_by_us() -> None:
    # redis-py imports parts of OpenTelemetry by itself where they are installed.
    code = (
        "import sys; from worker.settings import Settings; from worker.telemetry import telemetry\n"
        "import worker.actors.process, worker.web.server\n"
        "with telemetry(Settings.load(environ={}), 'web') as spans: print(type(spans).__name__)\n"
        "ours = ('worker.telemetry.otel', 'worker.telemetry.sentry', 'opentelemetry.exporter', 'sentry_sdk')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "NoSpans\n[]\n"
