"""A deployment with every secret there is, through all sorts of trouble: none of them gets out by any way."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.alerts.receiver import Receiver
from tests.canaries import (
    ALERT_TOKEN,
    CANARIES,
    CROVVER_SECRET,
    EMAIL,
    INGEST,
    OPERATOR,
    OTEL_HEADER,
    REDIS_PASSWORD,
    SENTRY_KEY,
    SERVICE_KEY,
    STRIPE_KEY,
    STRIPE_SECRET,
    Kind,
    Where,
)
from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment, event, eventually, signature, stripe_event
from tests.telemetry.collector import Collector, collecting
from tests.watch import WATCH
from worker.embedded import EmbeddedServer


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(password=REDIS_PASSWORD) as running:
        yield running


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def secrets(server: EmbeddedServer, collector: Collector, alerts: Receiver, links: Receiver) -> dict[str, str]:
    """Settings that hold a canary each; some of them lead nowhere, so that there is something to complain about."""
    return {
        "SEATS_CROVVER_SERVICE_KEY": SERVICE_KEY,
        "SEATS_CROVVER_ORG_ID": "org_1",
        "SEATS_CROVVER_WEBHOOK_SECRET": CROVVER_SECRET,
        "SEATS_STRIPE_API_KEY": STRIPE_KEY,
        "SEATS_STRIPE_BASE_URL": "http://127.0.0.1:1",
        "SEATS_ALERT_URLS": f"{alerts.url},json://user:{ALERT_TOKEN}@127.0.0.1:1/{ALERT_TOKEN}",
        "SEATS_ALERT_LINK_URLS": links.url,
        "SEATS_ALERT_GATHER": "0.2",
        "SEATS_OTEL_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {OTEL_HEADER}",
        "SEATS_SENTRY_DSN": collector.url.replace("http://", f"http://{SENTRY_KEY}@") + "/1",
        "SEATS_AMBIGUOUS_HOLD": "1s",
    }


def test_every_secret_of_a_setting_is_a_canary_and_given_here(
    server: EmbeddedServer, collector: Collector, crovver: Crovver, tmp_path: Path
) -> None:
    with Receiver() as alerts, Deployment(tmp_path, server.url, crovver) as deployment:
        given = json.dumps({**deployment.settings, **secrets(server, collector, alerts, alerts)})
    kept_apart = {"the other ingest token"}
    missing = {one.name for one in CANARIES if one.kind is Kind.SECRET and one.text not in given} - kept_apart
    assert missing == set()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_gets_out_in_all_sorts_of_trouble(
    server: EmbeddedServer, collector: Collector, crovver: Crovver, tmp_path: Path
) -> None:
    places = dict(WATCH.by_place)
    crovver.add("acme", 10, 8)
    crovver.add("lost", 10, 8)
    with (
        Receiver() as alerts,
        Receiver(chosen=True) as links,
        Deployment(tmp_path, server.url, crovver, **secrets(server, collector, alerts, links)) as running,
    ):
        del running.settings["SEATS_CROVVER_API_KEY"]
        crovver.read_faults += ["500", "html"]
        running.start_all()
        joined = [event("acme", f"new_{number}") for number in range(5)]
        for one in joined:
            assert isinstance(one["data"], dict)
            one["data"]["email"] = EMAIL
        assert running.publish(*joined).status_code == 202
        running.wait_for_state("acme", "awaiting_payment", 120)
        eventually(lambda: "Pay here" in links.text(), 60, "the link, where it is meant to go")
        shown(running, "acme")
        crovver.checkout_faults += ["lost"]
        running.join("lost", *(f"new_{number}" for number in range(5)))
        running.wait_for_state("lost", "unknown", 120)

        refused(running)
        poisoned(server)
        eventually(lambda: running.get("/v1/dead-letters")["deadLetters"], 60, "a dead letter")
        commands(running)

        # Signed, and about nobody: parked, and told.
        body = stripe_event(crovver.checkouts[0], ident="evt_nobody").replace(b"cs_test_", b"cs_test_other_")
        assert running.post_webhook(body, signature(body)).status_code == 200
        server.kill()
        eventually(lambda: running.answers("/readyz") == 503, 60, "web to notice")
        running.answers("/metrics")
        server.start()
        eventually(lambda: running.answers("/readyz") == 200, 60, "web to be well again")
        eventually(lambda: any(path.endswith("/envelope/") for path in collector.paths), 30, "a report to Sentry")
        eventually(lambda: "/v1/traces" in collector.paths, 30, "a trace")
    looked = {place for place, many in WATCH.by_place.items() if many > places.get(place, 0)}
    everywhere = set(Where) - {Where.CAPTURED}
    assert everywhere - looked == set(), "nothing was looked through there"
    assert [find for find in WATCH.finds if "test_nothing_gets_out" in find] == []


def refused(running: Deployment) -> None:
    """Requests that are answered with a problem."""
    bearer = {"authorization": f"Bearer {INGEST}"}
    bad = event("acme", "x")
    bad["data"] = {"tenantId": "acme", "userId": "", "email": f"{EMAIL} {EMAIL}", "name": OPERATOR * 20}
    assert running.publish(bad).status_code == 400
    roster = {"users": [{"userId": "a", "email": EMAIL}, {"userId": "a", "email": EMAIL}], "asOf": EMAIL}
    assert running.http.put("/v1/tenants/acme/roster", json=roster, headers=bearer).status_code == 400
    body = b'{"token":"' + OPERATOR.encode() + b'", ' + EMAIL.encode()
    assert running.post_webhook(body, signature(body)).status_code == 400
    assert running.post_webhook(body, signature(body, secret=INGEST)).status_code == 400
    for headers in ({}, bearer, {"authorization": f"Basic {OPERATOR}"}, {"cookie": f"seats_session={OPERATOR}"}):
        assert running.http.get("/v1/tenants/acme", headers=headers).status_code == 401
        assert running.http.get("/", headers=headers).status_code == 303
    ours = {"origin": str(running.http.base_url), "sec-fetch-site": "same-origin"}
    assert running.http.post("/sign-in", data={"token": INGEST}, headers=ours).status_code == 403
    for path in (f"/{OPERATOR}/v1", f"/v1/upgrades/{STRIPE_SECRET}", f"/v1/tenants?token={OPERATOR}&state=x"):
        answer = running.http.get(path, headers={"authorization": f"Bearer {OPERATOR}"})
        assert answer.status_code in (400, 404)
    for path in ("/metrics", "/healthz", "/openapi.json", "/sign-in", "/static/dashboard.js"):
        assert running.answers(path) == 200


def poisoned(server: EmbeddedServer) -> None:
    """Messages that nobody can handle."""
    bodies: dict[str, dict[str, object]] = {
        "bad argument": {"args": ["acme", "", EMAIL, "Ada"]},
        "unknown argument": {"kwargs": {"mail": EMAIL}},
        "no actor": {"actor_name": "user_promoted", "args": [EMAIL]},
    }
    base = {"queue_name": "seat-events", "actor_name": "user_added", "args": [], "kwargs": {}, "message_id": "m"}
    with redis.Redis.from_url(server.url) as client, client.pipeline() as pipe:
        for ident, changes in bodies.items():
            message = {**base, "message_timestamp": 1, "options": {"redis_message_id": ident}, **changes}
            pipe.hset("seats:seat-events.msgs", ident, json.dumps(message))
            pipe.rpush("seats:seat-events", ident)
        pipe.execute()


def commands(running: Deployment) -> None:
    """What an operator types, well and badly."""
    listed = running.get("/v1/dead-letters")["deadLetters"][0]["id"]
    running.seats("dead-letters", "show", listed)
    running.seats("doctor")
    bad = running.seats("publish", "added", "--tenant", "acme", "--user", "", "--email", EMAIL)
    right = running.settings["SEATS_REDIS_URL"]
    running.settings["SEATS_REDIS_URL"] = right.replace(REDIS_PASSWORD, f"{REDIS_PASSWORD}x")
    refused = running.seats("status", "--debug")
    running.settings["SEATS_REDIS_URL"] = right
    assert (bad.returncode, refused.returncode) == (2, 1)


def shown(running: Deployment, tenant: str) -> None:
    """A link does get to a signed-in operator, and only there: what is allowed is no dead letter."""
    link = running.tenant(tenant)["upgrade"]["checkoutUrl"]
    base = str(running.http.base_url)
    with httpx.Client(base_url=base, trust_env=False, timeout=20, follow_redirects=True) as browser:
        assert link not in browser.get(f"/tenants/{tenant}").text
        signed = browser.post("/sign-in", data={"token": OPERATOR}, headers={"origin": base.rstrip("/")})
        assert signed.status_code == 200
        assert link in browser.get(f"/tenants/{tenant}").text
