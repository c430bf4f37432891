"""The real Stripe library works against the sandbox."""

import time
from typing import Any

import pytest
import stripe

from .conftest import Driver, Receiver


@pytest.fixture
def client(sandbox: Driver) -> stripe.StripeClient:
    address: Any = {"api": f"{str(sandbox.base_url).rstrip('/')}/stripe"}
    return stripe.StripeClient("sk_test_1", base_addresses=address, max_network_retries=0)


def test_sessions_are_listed_newest_first_and_page_by_page(sandbox: Driver, client: stripe.StripeClient) -> None:
    sandbox.tenant(capacity=10)
    made = [sandbox.session(11 + number) for number in range(5)]
    sandbox.tenant("invoiced", provider="khalti")
    sandbox.checkout(15, "invoiced")
    first = client.v1.checkout.sessions.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == ([made[4], made[3]], True)
    rest = client.v1.checkout.sessions.list({"limit": 10, "starting_after": made[3]})
    assert ([one.id for one in rest.data], rest.has_more) == ([made[2], made[1], made[0]], False)
    paged = client.v1.checkout.sessions.list({"limit": 2}).auto_paging_iter()
    assert [one.id for one in paged] == made[::-1]


def test_sessions_are_found_by_when_they_were_created(sandbox: Driver, client: stripe.StripeClient) -> None:
    sandbox.tenant()
    session = sandbox.session()
    now = int(time.time())
    listed = client.v1.checkout.sessions.list
    assert [one.id for one in listed({"created": {"gte": now - 60}}).data] == [session]
    assert listed({"created": {"gte": now + 60}}).data == []


def test_a_session_is_retrieved_as_it_stands(sandbox: Driver, client: stripe.StripeClient) -> None:
    sandbox.tenant()
    session = sandbox.session()
    before = client.v1.checkout.sessions.retrieve(session)
    assert (before.status, before.payment_status, before.url) == ("open", "unpaid", sandbox.checkouts()[0]["url"])
    sandbox.act(session, "pay")
    after = client.v1.checkout.sessions.retrieve(session)
    assert (after.status, after.payment_status) == ("complete", "paid")
    with pytest.raises(stripe.InvalidRequestError, match="No such checkout") as missing:
        client.v1.checkout.sessions.retrieve("cs_test_unknown")
    assert missing.value.code == "resource_missing"


def test_an_open_session_is_expired_and_a_paid_one_is_not(
    sandbox: Driver, client: stripe.StripeClient, receiver: Receiver
) -> None:
    sandbox.tenant()
    one, other = sandbox.session(), sandbox.session()
    assert client.v1.checkout.sessions.expire(one).status == "expired"
    sandbox.act(other, "pay")
    for session in (one, other):
        with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
            client.v1.checkout.sessions.expire(session)
    assert len(receiver.wait_for(2)) == 2


def test_stripe_can_be_broken_too_and_apart_from_crovver(sandbox: Driver, client: stripe.StripeClient) -> None:
    sandbox.tenant()
    sandbox.fault("500", times=None)
    client.v1.checkout.sessions.list()
    sandbox.delete("/sandbox/faults")
    sandbox.fault("lost", endpoint="stripe")
    with pytest.raises(stripe.APIConnectionError):
        client.v1.checkout.sessions.list()
    assert sandbox.get("/sandbox/calls", params={"endpoint": "stripe"}).json()["total"] == 2


def test_a_key_is_needed(sandbox: Driver) -> None:
    assert sandbox.get("/stripe/v1/checkout/sessions", headers={"authorization": ""}).status_code == 401
