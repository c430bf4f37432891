"""Promises of proration-checkout and its arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.sandbox.period import BillingPeriod
from worker.sandbox.proration import money, prorate

from .conftest import Driver

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("added", "price", "left", "days", "amount"),
    [
        (5, 100, 17, 30, 283),
        (1, 1, 1, 2, 1),  # exactly a half goes up
        (1, 1, 1, 3, 0),
        (3, 1, 1, 2, 2),  # not to the even neighbour
        (10_000, 999_999, 29, 31, 9354829355),
        (7, 0, 17, 30, 0),
    ],
)
def test_the_charge_is_exact_and_rounded_once_half_up(
    added: int, price: int, left: int, days: int, amount: int
) -> None:
    assert prorate(added, price, "usd", left, days).amount == amount


def test_money_is_written_for_people() -> None:
    assert [money(283, "usd"), money(123456, "npr"), money(5, "eur")] == ["$2.83", "Rs 1,234.56", "€0.05"]


def test_a_begun_day_counts_whole_and_periods_follow_one_another() -> None:
    period = BillingPeriod.with_days_left(30, 17, NOW)
    assert period.days_left(NOW) == 17
    assert period.days_left(NOW + timedelta(seconds=1)) == 17
    assert period.days_left(NOW + timedelta(days=1, seconds=1)) == 16
    assert period.days_left(NOW + timedelta(days=17)) == 30
    assert period.days_left(NOW + timedelta(days=17 + 65)) == 25


def test_each_call_makes_a_new_checkout_of_its_own(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10)
    answers = [sandbox.checkout(15).json()["data"] for _ in range(3)]
    assert len({answer["prorationId"] for answer in answers}) == 3
    assert len({answer["checkoutUrl"] for answer in answers}) == 3
    assert [checkout["state"] for checkout in sandbox.checkouts()] == ["open"] * 3
    assert sandbox.state()["capacity"] == 10


@pytest.mark.parametrize("capacity", [10, 9, 0, -1, "15", 15.5, True, None, 21])
def test_a_capacity_that_is_no_upgrade_within_the_plan_is_refused(sandbox: Driver, capacity: object) -> None:
    sandbox.tenant(capacity=10, maxSeats=20)
    assert sandbox.checkout(capacity).status_code == 400
    assert sandbox.checkouts() == []


def test_what_does_not_fit_is_refused_before_anything_is_made(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10, planId="plan_a")
    assert sandbox.checkout(15, "nobody").json()["error"]["code"] == "TENANT_NOT_FOUND"
    assert sandbox.checkout(15, planId="plan_b").json()["error"]["code"] == "PLAN_NOT_FOUND"
    assert sandbox.checkout(15, successUrl="javascript:alert(1)").status_code == 400
    assert sandbox.post("/api/public/capacity/proration-checkout", content=b"{").status_code == 400
    assert sandbox.checkouts() == []
    sandbox.tenant(subscribed=False)
    answer = sandbox.checkout(15)
    assert (answer.status_code, answer.json()["error"]) == (404, "No active subscription found for this tenant")


def test_a_service_key_must_name_its_organisation(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10)
    del sandbox.headers["authorization"]
    sandbox.headers["x-service-key"] = "service_sandbox"
    body = {"externalTenantId": "acme", "newCapacity": 15}
    path = "/api/public/capacity/proration-checkout"
    assert sandbox.post(path, json=body).status_code == 400
    assert sandbox.post(path, json=body, params={"orgId": "org_other"}).status_code == 404
    assert sandbox.post(path, json=body, params={"orgId": "org_sandbox"}).status_code == 200


@pytest.mark.parametrize("provider", ["khalti", "esewa"])
def test_other_providers_get_an_invoice(sandbox: Driver, provider: str) -> None:
    sandbox.tenant(capacity=10, provider=provider)
    data = sandbox.checkout(15).json()["data"]
    assert data == {
        "prorationId": data["prorationId"],
        "checkoutUrl": None,
        "requiresPayment": False,
        "prorationAmount": 283,
        "message": "Invoice generated. Capacity will be updated after payment confirmation.",
    }
    assert sandbox.state()["capacity"] == 10
    paid = sandbox.post(f"/sandbox/invoices/{data['prorationId']}/pay")
    assert (paid.json()["state"], paid.json()["applied"]) == ("complete", True)
    assert sandbox.state()["capacity"] == 15
    assert sandbox.post(f"/sandbox/invoices/{data['prorationId']}/pay").status_code == 409
    assert sandbox.act(data["prorationId"], "pay").status_code == 409
