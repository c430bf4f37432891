"""`seats approve`, `cancel`, `retry` and `sweep`: asked for, carried out, and told."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Deployment, Run, with_state
from tests.cli.test_reading import waiting_for_payment
from tests.processes import eventually
from worker.cli import decide, sweep
from worker.cli.demo.stage import Stage
from worker.cli.stopping import StopRequests
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State, Upgrade
from worker.store.interface import Commit, Wake
from worker.store.redis_store import RedisStore


@pytest.fixture(scope="module")
def asking_stage() -> Iterator[Stage]:
    """A deployment that asks an operator first."""

    class Asking(Stage):
        def _settings(self) -> dict[str, str]:
            return {**super()._settings(), "SEATS_UPGRADE_MODE": "approval"}

    with StopRequests() as requests, Asking(0.05, requests) as running:
        yield running


def upgrade_of(deployment: Deployment, tenant: str) -> dict[str, str]:
    return deployment.shown(tenant).get("upgrade") or {}


def test_an_approved_upgrade_goes_ahead_and_one_that_waits_is_no_other(
    run: Run, asking_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", asking_stage.redis_url)
    monkeypatch.setenv("SEATS_SETTLE_SECONDS", "0.05")
    deployment = Deployment(asking_stage)
    deployment.tenant("asking", capacity=2, taken=2)
    run("publish", "added", "--tenant", "asking", "--user", "ada")
    assert eventually(lambda: upgrade_of(deployment, "asking").get("state") == "awaiting_approval")
    upgrade = upgrade_of(deployment, "asking")["id"]
    wrong = run("retry", upgrade)
    assert wrong.code == 1
    assert wrong.err == (
        f"seats: upgrade {upgrade} is awaiting approval, so it can't be retried: possible now: approve, cancel\n"
    )
    outcome = run("approve", upgrade)
    assert (outcome.code, outcome.out) == (0, f"upgrade {upgrade} of asking: approved, now awaiting payment\n")


def test_a_cancelled_upgrade_can_be_asked_for_again(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "deciding")
    upgrade = upgrade_of(deployment, "deciding")["id"]
    outcome = run("cancel", upgrade)
    assert (outcome.code, outcome.out) == (0, f"upgrade {upgrade} of deciding: cancelled, now cancelled\n")
    again = run("retry", upgrade)
    assert again.code == 0
    newer = upgrade_of(deployment, "deciding")["id"]
    assert newer != upgrade
    assert (
        again.out == f"upgrade {upgrade} of deciding: retried; asked again as upgrade {newer}, now awaiting payment\n"
    )
    refused = run("cancel", upgrade)
    assert refused.err.endswith(": there is nothing to decide about it now\n")


def test_a_sweep_has_every_tenant_looked_at_now(run: Run, deployment: Deployment) -> None:
    deployment.tenant("swept", capacity=9, taken=2)
    run("publish", "added", "--tenant", "swept", "--user", "ada")
    assert eventually(lambda: deployment.shown("swept").get("seatsNeeded") == 3)
    before = deployment.shown("swept")["lastReconciledAt"]
    outcome = run("sweep", "--tenant", "swept")
    assert (outcome.code, outcome.out) == (0, "tenant swept reconciled\n")
    assert deployment.shown("swept")["lastReconciledAt"] > before
    assert run("sweep").out.rstrip("\n").partition(" ")[2].startswith("tenant")


def test_a_sweep_says_who_has_no_subscription(run: Run, deployment: Deployment) -> None:
    run("publish", "added", "--tenant", "unsubscribed", "--user", "ada")
    assert eventually(lambda: deployment.shown("unsubscribed") != {})
    assert run("sweep", "--tenant", "unsubscribed").out == (
        "tenant unsubscribed reconciled, 1 of them without a subscription\n"
    )


def with_upgrade(url: str) -> None:
    """A tenant with an upgrade that awaits approval, and nobody at work."""

    async def write(store: RedisStore) -> None:
        upgrade = Upgrade("upg_1", State.AWAITING_APPROVAL, 5, 4, 5, 1)
        await store.commit(Commit(Tenant("idle", upgrades=(upgrade,)), 0, "pas_1", 0))
        await store.finish(Wake("idle", ""), 1 << 52, Status.UPGRADING, (upgrade,))

    with_state(url, write)


def test_with_nobody_at_work_a_decision_is_kept_and_said_so(
    run: Run, redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_upgrade(redis)
    monkeypatch.setattr(decide, "WAIT_SECONDS", 0.3)
    outcome = run("approve", "upg_1")
    assert outcome.code == 1
    assert outcome.err == (
        "seats: the decision is kept, but nothing has carried it out within 0.3 s: are `seats worker` and "
        "`seats scheduler` running?\n"
    )
    assert run("approve", "upg_1", "--no-wait").out == (
        "upgrade upg_1 of idle is to be approved; it is awaiting approval until then\n"
    )
    assert run("approve", "upg_2").err == "seats: no upgrade 'upg_2' is known: `seats upgrades` lists them\n"


def test_with_nobody_at_work_a_sweep_gives_up(run: Run, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_upgrade(redis)
    monkeypatch.setattr(sweep, "STILL_SECONDS", 0.3)
    outcome = run("sweep")
    assert outcome.code == 1
    assert outcome.err == (
        "seats: 0 of 1 tenant reconciled, and nothing has moved for 0.3 s: are `seats scheduler` and `seats worker` "
        "running?\n"
    )
    assert run("sweep", "--no-wait").out == "1 tenant will be reconciled now\n"
