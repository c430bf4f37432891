"""POST /webhooks/stripe: 200 once stored, 400 and nothing stored for whatever is not provably Stripe's."""

import json
from typing import Any

import pytest

from tests.web.conftest import Open
from tests.web.site import (
    MICROS,
    NOW,
    STRIPE_SECRET,
    Site,
    an_upgrade,
    stripe_event,
    stripe_headers,
)
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.tenant import Tenant
from worker.core.upgrade import State
from worker.store.interface import Store
from worker.store.matching import redeliver


def send(site: Site, event: object, headers: dict[str, str] | None = None) -> Any:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return site.request(
        "POST", "/webhooks/stripe", content=body, headers=stripe_headers(body) if headers is None else headers
    )


def parked(site: Site) -> list[str]:
    return [payment.fact.id for payment in site.do(lambda store: store.parked(10))]


def linked(site: Site, session: str = "cs_test_1", tenant: str = "acme") -> None:
    site.do(lambda store: store.link_checkout([session], tenant))


def test_a_signed_event_about_a_known_session_is_in_its_tenants_inbox_and_the_tenant_is_due(site: Site) -> None:
    linked(site)
    answer = send(site, stripe_event())
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert site.inbox("acme") == [
        PaymentFact(PaymentEvent.COMPLETED, "cs_test_1", MICROS, "evt_stripe_1", "paid", False, "seat_proration",
                    ("seat_proration",)),
    ]  # fmt: skip
    assert site.due() == ["acme"]
    assert parked(site) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": "t=1,v1=00"},
        {"Stripe-Signature": "t=x,v1="},
        {"Stripe-Signature": "\xff\xfe"},
    ],
)
def test_an_unsigned_or_forged_event_is_refused_and_nothing_is_stored(site: Site, headers: dict[str, str]) -> None:
    linked(site)
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = site.request("POST", "/webhooks/stripe", content=json.dumps(stripe_event()).encode(), headers=raw)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (site.inbox("acme"), parked(site)) == ([], [])


@pytest.mark.parametrize("drift", [-301, 301, -86_400, 86_400])
def test_an_old_or_future_signature_is_refused(site: Site, drift: int) -> None:
    linked(site)
    body = json.dumps(stripe_event()).encode()
    assert send(site, body, stripe_headers(body, at=NOW + drift)).status_code == 400
    assert (site.inbox("acme"), parked(site)) == ([], [])


def test_a_signature_of_another_body_or_secret_is_refused(site: Site) -> None:
    body = json.dumps(stripe_event()).encode()
    assert send(site, body + b" ", stripe_headers(body)).status_code == 400
    assert send(site, body, stripe_headers(body, "whsec_other")).status_code == 400


def test_every_secret_in_force_is_believed(open_site: Open) -> None:
    site = open_site(stripe_secrets=("whsec_new", STRIPE_SECRET))
    body = json.dumps(stripe_event()).encode()
    assert [send(site, body, stripe_headers(body, secret)).status_code for secret in ("whsec_new", STRIPE_SECRET)] == [
        200,
        200,
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"not json", b"\xff\xfe", b"[" * 100_000, b'{"id":"e","type":1}'])
def test_signed_nonsense_is_refused_and_nothing_is_stored(site: Site, body: bytes) -> None:
    assert send(site, body).status_code == 400
    assert parked(site) == []


def test_an_8_mib_event_is_refused(site: Site) -> None:
    assert send(site, b" " * 8 * 1_048_576).status_code == 413


def test_a_type_of_no_interest_is_acknowledged_and_not_stored(site: Site) -> None:
    linked(site)
    assert send(site, stripe_event(type="invoice.paid")).status_code == 200
    assert (site.inbox("acme"), parked(site)) == ([], [])


def test_an_event_that_names_a_known_tenant_or_proration_goes_to_that_tenant(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    linked(site, "prr_7", "globex")
    send(site, stripe_event("cs_a", id="evt_a", metadata={"event_type": "seat_proration", "tenant": "acme"}))
    send(site, stripe_event("cs_b", id="evt_b", metadata={"proration": "prr_7"}))
    assert [[fact.id for fact in site.inbox(tenant)] for tenant in ("acme", "globex")] == [["evt_a"], ["evt_b"]]


def test_a_known_session_decides_whatever_else_is_referred_to(site: Site) -> None:
    site.put_tenant(Tenant("globex"))
    linked(site)
    send(site, stripe_event(metadata={"event_type": "seat_proration", "tenant": "globex"}))
    assert ([fact.id for fact in site.inbox("acme")], site.inbox("globex")) == (["evt_stripe_1"], [])


def test_an_event_about_something_else_is_acknowledged_and_not_kept(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    answer = send(site, stripe_event(metadata={"event_type": "new_subscription", "tenant": "acme"}))
    assert answer.status_code == 200
    assert (site.inbox("acme"), parked(site)) == ([], [])


@pytest.mark.parametrize("metadata", [{"event_type": "seat_proration"}, {}, None])
def test_an_event_that_matches_nothing_yet_is_parked(site: Site, metadata: object) -> None:
    assert send(site, stripe_event(metadata=metadata)).status_code == 200
    assert parked(site) == ["evt_stripe_1"]
    assert site.log.entries[0][1] == {"fact": "evt_stripe_1"}


def test_an_event_that_matches_nothing_has_upgrades_of_unknown_outcome_looked_at(site: Site) -> None:
    site.put_tenant(Tenant("lost", upgrades=(an_upgrade("u1", State.UNKNOWN),)))
    site.put_tenant(Tenant("calling", upgrades=(an_upgrade("u2", State.REQUESTING),)))
    site.put_tenant(Tenant("waiting", upgrades=(an_upgrade("u3", State.AWAITING_PAYMENT),)))
    send(site, stripe_event("cs_unheard_of"))
    assert site.due() == ["calling", "lost"]


def test_an_answer_that_is_linked_while_its_event_is_being_parked_is_matched_all_the_same(site: Site) -> None:
    park = site.store.park

    async def park_while_linking(payment: PaymentFact) -> bool:
        await site.store.link_checkout([payment.session], "acme")
        return await park(payment)

    site.store.park = park_while_linking  # type: ignore[method-assign]
    send(site, stripe_event())
    assert ([fact.id for fact in site.inbox("acme")], parked(site)) == (["evt_stripe_1"], [])


@pytest.mark.parametrize(
    ("expected", "given", "foreign"), [(True, False, True), (False, False, False), (None, True, False)]
)
def test_an_event_of_the_other_mode_is_marked_as_foreign(
    open_site: Open, expected: bool | None, given: bool, foreign: bool
) -> None:
    site = open_site(livemode=expected)
    linked(site)
    assert send(site, stripe_event(livemode=given)).status_code == 200
    [fact] = site.inbox("acme")
    assert isinstance(fact, PaymentFact)
    assert fact.foreign is foreign


def test_a_foreign_event_of_nobody_here_is_told_of_and_not_kept(open_site: Open) -> None:
    site = open_site(livemode=True)
    assert send(site, stripe_event()).status_code == 200
    assert parked(site) == []
    assert "other mode" in site.log.entries[0][0]


def test_an_event_sent_twice_is_acknowledged_twice(site: Site) -> None:
    linked(site)
    assert [send(site, stripe_event()).status_code for _ in range(2)] == [200, 200]


def test_no_secret_or_session_is_logged(site: Site) -> None:
    send(site, stripe_event("cs_test_unheard_of"))
    assert "cs_test" not in str(site.log.entries)


def test_a_parked_event_finds_its_tenant_later(site: Site) -> None:
    send(site, stripe_event())
    [payment] = site.do(lambda store: store.parked(10))

    async def again(store: Store) -> bool:
        return await redeliver(store, payment.fact)

    assert site.do(again) is False
    linked(site)
    assert site.do(again) is True
    assert ([fact.id for fact in site.inbox("acme")], parked(site)) == (["evt_stripe_1"], [])
