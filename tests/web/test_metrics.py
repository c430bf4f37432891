"""GET /metrics."""

import asyncio
import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics

from tests.canaries import INGEST
from tests.monitoring import Sample, families, scraped
from tests.web.site import Site, an_event, an_upgrade, crovver_headers, stripe_event, stripe_headers
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State
from worker.metrics import Meters
from worker.metrics.catalogue import CATALOGUE
from worker.store.errors import StoreUnavailable
from worker.store.interface import Store
from worker.store.scripts import command
from worker.web import metrics

Samples = dict[Sample, float]


def scrape(site: Site) -> Samples:
    site.do(site.services.meters.flush)
    answer = site.request("GET", "/metrics")
    assert answer.status_code == 200, answer.text
    return scraped(answer.text)


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_everything_in_the_catalogue_is_there_from_the_start_and_reads_nothing(site: Site) -> None:
    answer = site.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["cache-control"] == "no-store"
    found = {family.name: family.documentation for family in families(answer.text)}
    assert {name.removesuffix("_total") for name in CATALOGUE} == set(found)
    assert all(found.values())
    samples = scrape(site)
    assert set(samples.values()) == {0.0}
    for name, metric in CATALOGUE.items():
        if all(metric.labels.values()):
            assert any(sample.startswith(name) for sample, _ in samples)


def test_a_scraper_that_asks_for_openmetrics_gets_it(site: Site) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    answer = site.request("GET", "/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    found = {family.name for family in open_metrics(answer.text)}  # type: ignore[no-untyped-call]
    assert found == {name.removesuffix("_total") for name in CATALOGUE}


def test_facts_are_counted_by_door_once_they_are_safe(site: Site) -> None:
    site.publish([an_event(id=f"evt_{number}", userId=f"user_{number}") for number in range(3)])
    assert site.publish([an_event(), {"bad": "event"}]).status_code == 400
    site.put_tenant(Tenant("acme", upgrades=(an_upgrade("upg_1", State.AWAITING_APPROVAL),)))
    roster = json.dumps({"users": [{"userId": "ada"}]}).encode()
    headers = {"Authorization": f"Bearer {INGEST}", "Content-Type": "application/json"}
    assert site.request("PUT", "/v1/tenants/acme/roster", content=roster, headers=headers).status_code == 202
    body = json.dumps(stripe_event()).encode()
    assert site.request("POST", "/webhooks/stripe", content=body, headers=stripe_headers(body)).status_code == 200
    other = json.dumps(stripe_event(metadata={"event_type": "something else"})).encode()
    assert site.request("POST", "/webhooks/stripe", content=other, headers=stripe_headers(other)).status_code == 200
    hint = json.dumps({"event": "capacity.updated", "data": {"externalTenantId": "acme"}}).encode()
    site.request("POST", "/webhooks/crovver", content=hint, headers=crovver_headers(hint))
    site.operate("POST", "/v1/tenants/acme/reconcile")
    site.operate("POST", "/v1/upgrades/upg_1/approve")
    samples = scrape(site)
    doors = {door: value(samples, "seats_facts_accepted_total", door=door) for door in ("events", "roster", "stripe")}
    assert doors == {"events": 3, "roster": 1, "stripe": 1}
    assert value(samples, "seats_facts_accepted_total", door="operator") == 2
    assert value(samples, "seats_unmatched_payments") == 1


def test_the_state_is_read_from_the_state(site: Site) -> None:
    site.put_tenant(Tenant("a", upgrades=(an_upgrade("upg_1", State.PAID),)), status=Status.UPGRADING)
    site.put_tenant(Tenant("b"))
    site.put_tenant(Tenant("c"))

    async def work(store: Store) -> None:
        await store.mark_due(["a"])
        await site.store.scripts.run(command("ZADD", f"{site.namespace}:seat-events.XQ", 1, "m1", 2, "m2"))

    site.do(work)
    samples = scrape(site)
    assert value(samples, "seats_tenants", status="ok") == 2
    assert value(samples, "seats_tenants", status="upgrading") == 1
    assert value(samples, "seats_upgrades", state="paid") == 1
    assert value(samples, "seats_upgrades_oldest_seconds", state="paid") > 0
    assert value(samples, "seats_backlog_due_tenants") == 1
    assert value(samples, "seats_dead_letters", queue="seat-events") == 2
    assert value(samples, "seats_dead_letters", queue="reconcile") == 0


def test_what_other_processes_counted_is_told_too_and_nothing_is_told_of_tenants(site: Site) -> None:
    meters = Meters()
    meters.observe("seats_fact_to_decision_seconds", 0.2, times=3)
    meters.observe("seats_fact_to_decision_seconds", 4000)
    meters.count("seats_alerts_total", channel="slack-3fa1", outcome="failed")
    site.do(meters.flush)
    site.publish([an_event(tenantId="a-tenant-of-note", userId="a-user-of-note")])
    samples = scrape(site)
    buckets = {bound: value(samples, "seats_fact_to_decision_seconds_bucket", le=bound) for bound in ("0.1", "0.25")}
    assert buckets == {"0.1": 0, "0.25": 3}
    assert value(samples, "seats_fact_to_decision_seconds_bucket", le="+Inf") == 4
    assert value(samples, "seats_fact_to_decision_seconds_count") == 4
    assert value(samples, "seats_fact_to_decision_seconds_sum") == pytest.approx(4000.6)
    assert value(samples, "seats_alerts_total", channel="slack-3fa1", outcome="failed") == 1
    assert value(samples, "seats_alerts_total", channel="slack-3fa1", outcome="delivered") == 0
    assert value(samples, "seats_alerts_total", channel="slack-3fa1", outcome="dropped") == 0
    assert "of-note" not in site.request("GET", "/metrics").text


def test_alert_channels_tell_what_waits_and_for_how_long_they_have_failed(site: Site) -> None:
    async def work(store: Store) -> None:
        await store.post_alerts("t", [Alert(1, "t", AlertKind.DRIFT, Severity.WARNING, Phase.RAISED, 1)])
        for name in ("slack-3fa1", "mailto-77ab"):
            await store.peek_channel(name, Severity.INFO)
        delivery = await store.claim_channel("slack-3fa1", 0, 1_000_000)
        assert delivery is not None
        await store.failed("slack-3fa1", delivery, 1_000_000, "no connection")
        told = await store.claim_channel("mailto-77ab", 0, 1_000_000)
        assert told is not None
        await store.delivered("mailto-77ab", told)

    site.do(work)
    samples = scrape(site)
    assert value(samples, "seats_alerts_pending", channel="slack-3fa1") == 1
    assert 0 < value(samples, "seats_alert_channel_failing_seconds", channel="slack-3fa1") < 30
    assert value(samples, "seats_alert_channel_failing_seconds", channel="mailto-77ab") == 0
    assert 0 < value(samples, "seats_alerts_oldest_pending_seconds", channel="slack-3fa1") < 30
    assert value(samples, "seats_alerts_oldest_pending_seconds", channel="mailto-77ab") == 0


def test_only_payments_that_brought_money_count_as_unmatched(site: Site) -> None:
    async def work(store: Store) -> None:
        for number, (event, status) in enumerate(
            [(PaymentEvent.COMPLETED, "paid"), (PaymentEvent.COMPLETED, "unpaid"), (PaymentEvent.EXPIRED, "unpaid")]
        ):
            await store.park(PaymentFact(event, f"cs_{number}", 1, f"evt_{number}", status, False, None, ()))

    site.do(work)
    assert value(scrape(site), "seats_unmatched_payments") == 1


def test_without_the_state_there_is_nothing_true_to_tell(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> dict[str, int]:
        raise StoreUnavailable("Error 111 connecting to 10.1.2.3:6379")

    async def silent() -> dict[str, int]:
        await asyncio.sleep(3600)
        return {}

    monkeypatch.setattr(metrics, "ANSWER_WITHIN", 0.05)
    for read in (away, silent):
        monkeypatch.setattr(site.store, "counts", read)
        answer = site.request("GET", "/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "retry-after" in answer.headers
        assert "10.1.2.3" not in answer.text
    assert "10.1.2.3" in str(site.log.entries)
