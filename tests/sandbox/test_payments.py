"""Promises of payments: what is signed and sent, and when the capacity follows."""

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
import stripe

from .conftest import CROVVER_SECRET, STRIPE_SECRET, Driver, Received, Receiver, eventually


def read(webhook: Received) -> Any:
    """The event, if the real library finds its signature good."""
    return stripe.Webhook.construct_event(webhook.body, webhook.headers["stripe-signature"], STRIPE_SECRET)


def test_a_payment_applies_the_capacity_and_sends_a_signed_completed(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10)
    started = sandbox.checkout(15).json()["data"]
    session = started["checkoutUrl"].rsplit("/", 1)[1]
    assert sandbox.act(session, "pay").json()["state"] == "complete"
    assert sandbox.state()["capacity"] == 15
    event = read(receiver.wait_for(1)[0])
    assert (event.type, event.livemode, event.object) == ("checkout.session.completed", False, "event")
    paid = event.data.object
    assert paid.object == "checkout.session"
    assert (paid.id, paid.status, paid.payment_status) == (session, "complete", "paid")
    assert (paid.amount_total, paid.currency, paid.client_reference_id) == (283, "usd", "acme")
    assert paid.metadata["event_type"] == "seat_proration"
    assert (paid.metadata["prorationId"], paid.metadata["tenantId"]) == (started["prorationId"], "acme")
    assert paid.url is None


def test_the_signature_covers_the_body_and_the_secret(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant()
    sandbox.act(sandbox.session(), "pay")
    webhook = receiver.wait_for(1)[0]
    signature = webhook.headers["stripe-signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(webhook.body + b" ", signature, STRIPE_SECRET)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(webhook.body, signature, "whsec_other")


def test_a_declined_card_keeps_the_session_open_and_tells_nobody(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10)
    session = sandbox.session()
    declined = sandbox.act(session, "decline").json()
    assert (declined["state"], declined["declines"]) == ("open", 1)
    assert sandbox.act(session, "pay").status_code == 200
    assert [read(webhook).type for webhook in receiver.wait_for(1)] == ["checkout.session.completed"]


@pytest.mark.parametrize(
    ("end", "event", "status", "capacity"),
    [
        ("settle", "checkout.session.async_payment_succeeded", "paid", 15),
        ("fail", "checkout.session.async_payment_failed", "unpaid", 10),
    ],
)
def test_a_bank_debit_completes_unpaid_and_ends_later(
    sandbox: Driver, receiver: Receiver, end: str, event: str, status: str, capacity: int
) -> None:
    sandbox.tenant(capacity=10)
    session = sandbox.session()
    assert sandbox.act(session, "settle").status_code == 409
    sandbox.act(session, "pay-later")
    first = read(receiver.wait_for(1)[0])
    assert (first.type, first.data.object.payment_status) == ("checkout.session.completed", "unpaid")
    assert sandbox.state()["capacity"] == 10
    sandbox.act(session, end)
    second = read(receiver.wait_for(2)[1])
    assert (second.type, second.data.object.payment_status) == (event, status)
    assert sandbox.state()["capacity"] == capacity
    assert sandbox.act(session, end).status_code == 409


def test_a_session_expires_by_itself(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10, checkoutLifetimeSeconds=0.05)
    session = sandbox.session()
    event = read(receiver.wait_for(1)[0])
    assert (event.type, event.data.object.id) == ("checkout.session.expired", session)
    assert event.data.object.status == "expired"
    assert sandbox.act(session, "pay").status_code == 409
    assert sandbox.state()["capacity"] == 10


def test_a_closed_session_never_changes_again(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10, checkoutLifetimeSeconds=0.1)
    session = sandbox.session()
    sandbox.act(session, "pay")
    for action in ("pay", "decline", "pay-later", "settle", "fail", "expire", "apply"):
        assert sandbox.act(session, action).status_code == 409
    time.sleep(0.15)  # past the lifetime: nothing may come of it
    assert sandbox.checkouts()[0]["state"] == "complete"
    assert len(receiver.wait_for(1)) == 1


def test_capacity_can_follow_late(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10, applyDelaySeconds=0.2)
    sandbox.act(sandbox.session(), "pay")
    receiver.wait_for(1)
    assert sandbox.state()["capacity"] == 10
    eventually(lambda: sandbox.state()["capacity"] == 15)
    assert sandbox.checkouts()[0]["applied"] is True


def test_capacity_can_never_follow_until_it_is_applied_by_hand(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10, applyDelaySeconds=None)
    session = sandbox.session()
    sandbox.act(session, "pay")
    receiver.wait_for(1)
    assert (sandbox.state()["capacity"], sandbox.checkouts()[0]["applied"]) == (10, False)
    assert sandbox.act(session, "apply").json()["applied"] is True
    assert sandbox.state()["capacity"] == 15


def test_of_two_paid_checkouts_the_larger_capacity_stays(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10)
    sessions = [sandbox.session(15), sandbox.session(12)]
    for session in sessions:
        sandbox.act(session, "pay")
    assert sandbox.state()["capacity"] == 15


def test_nothing_to_pay_completes_without_a_payment(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10, pricePerSeat=0)
    sandbox.act(sandbox.session(), "pay")
    assert read(receiver.wait_for(1)[0]).data.object.payment_status == "no_payment_required"


def test_a_refused_event_is_delivered_again_with_the_same_id(sandbox: Driver, receiver: Receiver) -> None:
    receiver.statuses["/stripe"] = [500, 503]
    sandbox.tenant()
    sandbox.act(sandbox.session(), "pay")
    webhooks = receiver.wait_for(3)
    assert len({read(webhook).id for webhook in webhooks}) == 1
    delivery = eventually(lambda: delivered(sandbox, "stripe", "delivered"))
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 200]


def test_deliveries_give_up_after_a_few_attempts(sandbox: Driver, receiver: Receiver) -> None:
    receiver.statuses["/stripe"] = [500] * 10
    sandbox.tenant()
    sandbox.act(sandbox.session(), "pay")
    assert len(eventually(lambda: delivered(sandbox, "stripe", "gave_up"))["attempts"]) == 3


def test_a_slow_receiver_never_holds_up_the_payment(sandbox: Driver, receiver: Receiver) -> None:
    receiver.slow = 1
    sandbox.tenant()
    session = sandbox.session()
    began = time.monotonic()
    sandbox.act(session, "pay")
    assert time.monotonic() - began < 0.5


def test_an_event_can_be_sent_again_by_hand(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant()
    sandbox.act(sandbox.session(), "pay")
    first = eventually(lambda: delivered(sandbox, "stripe", "delivered"))
    assert sandbox.post(f"/sandbox/deliveries/{first['id']}/resend").status_code == 200
    one, two = (webhook.body for webhook in receiver.wait_for(2))
    assert one == two


@pytest.mark.parametrize(("fate", "count"), [("lost", 0), ("twice", 2)])
def test_a_tenants_stripe_events_can_be_lost_or_doubled(
    sandbox: Driver, receiver: Receiver, fate: str, count: int
) -> None:
    sandbox.tenant("odd", webhooks=fate)
    sandbox.tenant("even")
    sandbox.act(sandbox.session(tenant="odd"), "pay")
    sandbox.act(sandbox.session(tenant="even"), "pay")
    webhooks = receiver.wait_for(1 + count)
    assert sorted(read(webhook).data.object.client_reference_id for webhook in webhooks) == ["even"] + ["odd"] * count


def test_crovver_tells_of_a_changed_seat_count_once_and_signed(sandbox: Driver, receiver: Receiver) -> None:
    receiver.statuses["/crovver"] = [500]
    sandbox.tenant(capacity=10, provider="khalti")
    proration = sandbox.checkout(15).json()["data"]["prorationId"]
    sandbox.post(f"/sandbox/invoices/{proration}/pay")
    webhook = receiver.wait_for(1, "/crovver")[0]
    mac = hmac.new(CROVVER_SECRET.encode(), webhook.body, hashlib.sha256).hexdigest()
    assert webhook.headers["x-crovver-signature"] == f"sha256={mac}"
    assert webhook.headers["x-crovver-event"] == "subscription.updated"
    event = json.loads(webhook.body)
    assert {"id", "type", "created_at", "org_id", "data"} == set(event)
    assert (event["data"]["external_tenant_id"], event["data"]["capacity_units"]) == ("acme", 15)
    assert event["data"]["status"] == "active"
    assert len(eventually(lambda: delivered(sandbox, "crovver", "gave_up"))["attempts"]) == 1
    assert delivered(sandbox, "stripe", "delivered") is None


def test_without_a_webhook_url_events_are_logged_and_not_sent(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.act(sandbox.session(), "pay")
    assert delivered(sandbox, "stripe", "unsent")["event"]["type"] == "checkout.session.completed"


def delivered(sandbox: Driver, sender: str, state: str) -> Any:
    """The newest delivery of a sender in a state, None if there is none."""
    listed = sandbox.get("/sandbox/deliveries", params={"sender": sender}).json()["deliveries"]
    return next((delivery for delivery in listed if delivery["state"] == state), None)
