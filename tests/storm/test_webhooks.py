"""News in duplicate, at once and out of order: webhooks of one checkout, and batches of one host app."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.crovver import Checkout
from tests.e2e.deployment import event, eventually, signature, stripe_event
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file, each of which has tenants of its own."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("webhooks")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver) as storm:
        yield storm.start("web", "worker", "worker2", "scheduler").ready()
    crovver.close()


def asked(storm: Storm, row: Row) -> Checkout:
    """The checkout of a tenant that needs more seats, once its answer is known. Nobody pays it."""
    tenant = row.tenants[0]
    row.payer.may_pay = lambda checkout: checkout.tenant != tenant
    row.join(tenant, "ada", "bob")
    storm.deployment.wait_for_state(tenant, "awaiting_payment", 60)
    (checkout,) = storm.crovver.checkouts_of(tenant)
    return checkout


def at_once(storm: Storm, bodies: list[bytes]) -> list[int]:
    """Send signed bodies in parallel; the answers' statuses."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return [
            answer.status_code
            for answer in pool.map(lambda body: storm.deployment.post_webhook(body, signature(body)), bodies)
        ]


def test_100_webhooks_of_one_event_at_once_are_one_payment(storm: Storm, row: Row) -> None:
    row.begin()
    checkout = asked(storm, row)
    upgrade = storm.deployment.tenant(checkout.tenant)["upgrade"]["id"]
    assert at_once(storm, [stripe_event(checkout)] * 100) == [200] * 100
    storm.deployment.wait_for_state(checkout.tenant, "paid", 60)
    storm.crovver.grant(checkout)
    row.payer.may_pay = lambda checkout: True
    assert at_once(storm, [stripe_event(checkout)] * 10) == [200] * 10
    eventually(lambda: "confirmed" in row.path(checkout.tenant)[upgrade], 60, "the payment to be confirmed")
    row.weathered()
    assert row.path(checkout.tenant)[upgrade] == ["requesting", "awaiting_payment", "paid", "confirmed"]


@pytest.mark.parametrize("late", [True, False])
def test_completed_and_expired_mixed_and_out_of_order(storm: Storm, row: Row, late: bool) -> None:
    """``late``: the payment is known first. Otherwise chance decides, as where deliveries overtake each other."""
    row.begin()
    checkout = asked(storm, row)
    tenant = checkout.tenant
    upgrade = storm.deployment.tenant(tenant)["upgrade"]["id"]
    completed = [stripe_event(checkout)] * 40
    expired = [stripe_event(checkout, "expired", status="unpaid", ident=f"evt_{upgrade}_{n % 5}") for n in range(40)]
    others = [stripe_event(checkout, "async_payment_succeeded", ident=f"evt_{upgrade}_again")] * 20
    if late:
        row.tell(checkout)
        storm.deployment.wait_for_state(tenant, "paid", 60)
    bodies = completed + expired + others
    random.Random(3).shuffle(bodies)
    storm.crovver.grant(checkout)
    assert at_once(storm, bodies) == [200] * 100
    row.payer.may_pay = lambda checkout: True
    assert at_once(storm, expired) == [200] * 40
    row.weathered()
    if late:
        assert row.path(tenant)[upgrade] == ["requesting", "awaiting_payment", "paid", "confirmed"]


def test_one_batch_published_50_times_at_once_counts_once(storm: Storm, row: Row) -> None:
    row.begin()
    tenant = row.tenants[0]
    users = [f"u{number}" for number in range(40)]
    added = [event(tenant, user, time="2026-06-01T09:00:00Z") for user in users]
    removed = [event(tenant, user, "user.removed", time="2026-06-01T09:00:01Z") for user in users[30:]]
    batch = added + removed
    random.Random(5).shuffle(batch)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: storm.deployment.publish(*batch).status_code, range(50)))
    assert answers == [202] * 50
    row.own[tenant].update(users[:30])
    row.own_accepted += len(batch)
    row.weathered()
