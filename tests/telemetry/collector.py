"""A collector of traces on this machine: it takes OTLP over HTTP and keeps what came."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.canaries import Where
from tests.watch import saw


@dataclass
class Collector:
    """What has been sent, and where to."""

    url: str = ""
    paths: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)

    def spans(self, name: str) -> list[Span]:
        """All spans of a name that have come."""
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans if span.name == name]
        return found

    def processes(self) -> set[str]:
        """The processes that have sent something."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        attributes = [
            one for request in requests for part in request.resource_spans for one in part.resource.attributes
        ]
        return {one.value.string_value for one in attributes if one.key == "seats.process"}


def attributes(span: Span) -> dict[str, str | int]:
    """A span's attributes."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs while in here."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.paths.add(self.path)
            body = gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body
            collector.bodies.append(body)
            saw(Where.SENTRY if self.path.endswith("/envelope/") else Where.TRACE, self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
