"""What operators are told while purchases wait because the state was lost."""

import pytest

from tests.cli.conftest import Run, with_state
from worker.cli import sweep
from worker.core.tenant import Status, Tenant
from worker.store.interface import Commit, Wake
from worker.store.redis_store import RedisStore


@pytest.fixture
def lost(redis: str) -> str:
    """A state that replaces one which somebody remembers."""

    async def notice(store: RedisStore) -> None:
        await store.vouch("the state of before", 0, "this one")

    with_state(redis, notice)
    return redis


async def _known_tenant(store: RedisStore) -> None:
    await store.commit(Commit(Tenant("known"), 0, "pas_1", 0))
    await store.finish(Wake("known", ""), 1 << 52, Status.OK, ())


def is_lost(url: str) -> bool:
    return with_state(url, lambda store: store.lost_at()) is not None


def test_doctor_says_that_purchases_wait_and_what_to_do(run: Run, lost: str) -> None:
    outcome = run("doctor")
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("must be fixed: state: ")]
    assert "it was lost (noticed at 20" in line
    assert "run `seats sweep`" in line
    assert outcome.code == 1


def test_a_sweep_of_nothing_proves_nothing(run: Run, lost: str) -> None:
    outcome = run("sweep")
    assert outcome.code == 1
    assert "no tenant is known yet, so a sweep would prove nothing" in outcome.err
    assert is_lost(lost)


def test_only_a_sweep_of_all_tenants_that_was_seen_to_its_end_lets_purchases_go_on(
    run: Run, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_state(lost, _known_tenant)
    monkeypatch.setattr(sweep, "STILL_SECONDS", 0.3)
    assert run("sweep", "--no-wait").code == 0
    assert run("sweep", "--tenant", "known", "--no-wait").code == 0
    assert run("sweep").code == 1, "nobody is at work"
    assert is_lost(lost)
