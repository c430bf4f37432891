"""A reconcile is three round trips to the state and one call to Crovver where nothing has moved."""

import pytest

from tests.costs.reconciling import Bench, play
from worker.core.times import SECOND
from worker.engine.ports import Pace
from worker.store.interface import SMALL_ROSTER


@pytest.mark.parametrize("users", [5, 3 * SMALL_ROSTER])
def test_a_tenant_of_which_nothing_has_moved_costs_three_and_one(redis_url: str, users: int) -> None:
    async def scenario(bench: Bench) -> list[tuple[int, int]]:
        await bench.begin("t", 2 * users, users)
        return [await bench.reconcile("t") for _ in range(3)]

    assert play(redis_url, scenario) == [(3, 1)] * 3


@pytest.mark.parametrize("users", [5, 3 * SMALL_ROSTER])
def test_and_so_does_one_of_which_a_thousand_users_have_joined(redis_url: str, users: int) -> None:
    async def scenario(bench: Bench) -> list[tuple[int, int]]:
        await bench.begin("t", users + 5_000, users)
        costs = []
        for burst in (1, 10, 1_000):
            await bench.join("t", *(f"new-{burst}-{number}" for number in range(burst)))
            costs.append(await bench.reconcile("t"))
        assert (await bench.store.load("t")).counts.needed == users + 1_011
        return costs

    assert play(redis_url, scenario) == [(3, 1)] * 3


def test_where_a_young_look_serves_it_is_two_and_none(redis_url: str) -> None:
    async def scenario(bench: Bench) -> tuple[int, int]:
        await bench.begin("t", 100, 5)
        await bench.join("t", "new-1", "new-2")
        return await bench.reconcile("t")

    assert play(redis_url, scenario, Pace(trust_look=60 * SECOND)) == (2, 0)


def test_accepting_facts_of_any_number_of_tenants_is_one(redis_url: str) -> None:
    async def scenario(bench: Bench) -> int:
        await bench.join("t", "first")
        facts = (await bench.store.load("t")).facts
        before = bench.trips
        await bench.store.append({f"tenant-{number}": facts for number in range(300)})
        return bench.trips - before

    assert play(redis_url, scenario) == 1
