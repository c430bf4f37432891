"""A tenant that is forgotten while somebody is at work on it stays forgotten, until something new is said of it."""

import pytest

from tests.engine.world import World
from worker.crovver.results import AllocationsPage
from worker.store.forget import forget


@pytest.fixture
def world() -> World:
    made = World()
    made.subscribe("t", 10, 3)
    return made


def forget_in_the_next_look(world: World) -> None:
    """Have the tenant erased under the hands of whoever reads Crovver next, its lease notwithstanding."""
    page = world.crovver.allocations_page

    async def forgetful(tenant: str, **rest: int | str) -> AllocationsPage:
        world.crovver.allocations_page = page  # type: ignore[method-assign]
        found = await page(tenant, **rest)  # type: ignore[arg-type]
        await world.store.erase(tenant, (await world.store.load(tenant)).version)
        await world.store.unlist(tenant, ())
        return found

    world.crovver.allocations_page = forgetful  # type: ignore[method-assign]


def is_gone(world: World) -> bool:
    loaded = world.loaded()
    listed = world.do(world.store.tenants(None, None, 9))
    return not loaded.known and not loaded.entries and not listed


@pytest.mark.parametrize("known", [False, True])
def test_a_pass_that_is_under_way_does_not_bring_it_back(world: World, known: bool) -> None:
    world.join("t", "ada")
    if known:
        world.run()
        world.look("t")
    forget_in_the_next_look(world)
    world.run()
    assert is_gone(world)
    world.wait(3600)
    assert is_gone(world)


def test_the_sweep_does_not_bring_it_back_and_news_of_it_does(world: World) -> None:
    world.join("t", "ada")
    world.run()
    assert world.do(forget(world.store, "t"))
    world.wait(24 * 3600)
    assert is_gone(world)
    world.join("t", "bob")
    world.run()
    assert world.loaded().counts.needed == 4, "three that Crovver lists, and bob; ada is forgotten"


def test_an_erasure_that_was_interrupted_is_ended_by_whoever_is_woken_next(world: World) -> None:
    world.join("t", "ada")
    world.run()
    world.do(world.store.hold("t", 1))
    world.do(world.store.erase("t", world.loaded().version))
    world.wait(60)
    assert is_gone(world)
    assert world.do(world.store.claim_due(9, 1)).next_in is None
