"""Traces of a real deployment: from the door to the reconcile, and below it the calls to Crovver."""

from pathlib import Path

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import SECRETS, Deployment, eventually
from tests.telemetry.collector import attributes, collecting
from worker.embedded import EmbeddedServer


def test_a_trace_leads_from_the_door_to_the_calls_it_caused(
    tmp_path: Path, valkey: EmbeddedServer, crovver: Crovver
) -> None:
    crovver.add("acme", 10, 8)
    with collecting() as collector:
        with Deployment(tmp_path, valkey.url, crovver, SEATS_OTEL_ENDPOINT=collector.url) as deployment:
            deployment.start_all()
            deployment.join("acme", "ada")
            deployment.join("acme", "grace", "joan")
            deployment.wait_for_state("acme", "awaiting_payment")
            eventually(lambda: crovver.checkouts, what="a checkout")
        doors = collector.spans("POST /v1/events")
        assert [attributes(span)["accepted"] for span in doors] == [1, 2]
        reconciles = collector.spans("reconcile")
        assert {str(attributes(span)["tenant"]) for span in reconciles} == {"acme"}
        links = {(link.trace_id, link.span_id) for span in reconciles for link in span.links}
        assert links == {(span.trace_id, span.span_id) for span in doors}
        (call,) = collector.spans("crovver proration-checkout")
        assert attributes(call) == {"outcome": "ok", "status": 200}
        assert call.parent_span_id in {span.span_id for span in reconciles}
        assert collector.processes() == {"web", "worker"}
        assert collector.paths == {"/v1/traces"}
        told = b"".join(collector.bodies)
        assert not [secret for secret in SECRETS if secret.encode() in told]
        assert b"grace" not in told
