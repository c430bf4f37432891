"""/metrics of a real deployment: one truth from several processes, and all that the shipped files ask for."""

from collections.abc import Callable

import redis

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment, eventually
from tests.monitoring import Sample, missing, scraped, total
from worker.embedded import EmbeddedServer

TENANTS = [f"tenant_{number}" for number in range(12)]
USERS = [f"new_{number}" for number in range(5)]


def test_two_worker_processes_do_not_collide_and_the_sums_are_right(
    deployment: Deployment, crovver: Crovver, valkey: EmbeddedServer
) -> None:
    for tenant in TENANTS:
        crovver.add(tenant, 10, 8)
    deployment.start("web", "worker1", "worker2", "scheduler")
    for tenant in TENANTS:
        deployment.join(tenant, *USERS)
    for tenant in TENANTS:
        deployment.wait_for_state(tenant, "awaiting_payment")
    for checkout in crovver.checkouts:
        crovver.grant(checkout)
        assert deployment.webhook(checkout).status_code == 200
    for tenant in TENANTS:
        deployment.wait_for_state(tenant, "confirmed")
    # Stopped, each has handed over all it has counted; what is left running adds nothing.
    assert [deployment.stop(name) for name in ("worker1", "worker2", "scheduler")] == [0, 0, 0]

    events, webhooks = len(TENANTS) * len(USERS), len(TENANTS)
    samples = until(deployment, lambda found: total(found, "seats_facts_accepted_total") == events + webhooks)
    assert total(samples, "seats_facts_accepted_total", door="events") == events
    assert total(samples, "seats_facts_accepted_total", door="stripe") == webhooks
    assert total(samples, "seats_fact_to_decision_seconds_count") == events + webhooks
    assert 0.2 * events < total(samples, "seats_fact_to_decision_seconds_sum") < 20 * events
    looks = sum(path.endswith("/allocations") for _, path, _ in crovver.calls)
    assert total(samples, "seats_crovver_calls_total", endpoint="allocations", outcome="ok") == looks
    assert total(samples, "seats_crovver_calls_total", endpoint="proration-checkout", outcome="ok") == len(TENANTS)
    assert total(samples, "seats_crovver_calls_total") == len(crovver.calls)
    assert total(samples, "seats_crovver_call_seconds_count") == len(crovver.calls)
    for state in ("requesting", "awaiting_payment", "paid", "confirmed"):
        moves = total(samples, "seats_upgrade_moves_total", state=state)
        assert moves == len(TENANTS) or (state == "paid" and moves <= len(TENANTS))
    assert total(samples, "seats_reconciles_total", outcome="settled") >= 2 * len(TENANTS)
    assert total(samples, "seats_reconciles_total", outcome="failed") == 0
    assert total(samples, "seats_upgrades") == total(samples, "seats_upgrades", state="confirmed") == len(TENANTS)
    assert total(samples, "seats_tenants") == len(TENANTS)
    with redis.Redis.from_url(valkey.url) as client:
        assert len(client.keys("seats:{meters}:source:*")) == 3

    text = deployment.http.get("/metrics").text
    assert missing(text) == []
    assert not [tenant for tenant in TENANTS if tenant in text]


def until(deployment: Deployment, truth: Callable[[dict[Sample, float]], bool]) -> dict[Sample, float]:
    """What ``/metrics`` says once it says so: a process hands over what it has counted every second."""

    def look() -> dict[Sample, float] | None:
        found = scraped(deployment.http.get("/metrics").text)
        return found if truth(found) else None

    found = eventually(look, 10, "the metrics to say so")
    assert found is not None
    return found
