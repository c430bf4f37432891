"""A claim that was saved, but not as safely as a claim must be, leads to no call and is given back."""

from collections.abc import Callable

import pytest

from tests.engine.world import World
from worker.core.facts import Fact
from worker.core.times import MINUTE, SECOND
from worker.core.upgrade import State
from worker.store.errors import StoreUnavailable, TooFewReplicas
from worker.store.interface import Commit, Ending
from worker.store.memory import MemoryStore

TOO_FEW = TooFewReplicas(1, "0 had it")


class Lagging(MemoryStore):
    """A store whose replica stands still, or that goes away once it has a claim."""

    claims_fail: Callable[[], bool] = staticmethod(lambda: False)
    appends_fail: Callable[[], bool] = staticmethod(lambda: False)
    error: StoreUnavailable = TOO_FEW

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        saved = await super().commit(commit, ending)
        if commit.durable and self.claims_fail():
            raise self.error
        return saved

    async def append(self, facts, **options) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
        if self.error is not TOO_FEW and self.appends_fail():
            raise self.error
        await super().append(facts, **options)
        if self.appends_fail():
            raise self.error


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """One full tenant with one user too many; time passes while somebody sleeps."""
    world = World()
    store = Lagging(lambda: world.at)

    async def sleep(seconds: float) -> None:
        world.at += round(seconds * SECOND)

    object.__setattr__(world.ports, "store", store)
    object.__setattr__(world.ports, "sleep", sleep)
    world.store = store
    world.subscribe("t", 2, 2)
    world.join("t", "user_3")
    return world


def fail(world: World, *, claims: Callable[[], bool], appends: Callable[[], bool]) -> None:
    assert isinstance(world.store, Lagging)
    world.store.claims_fail, world.store.appends_fail = claims, appends


def put_off(world: World) -> None:
    with pytest.raises(StoreUnavailable):
        world.run()


def outcomes(world: World) -> list[Fact]:
    return list(world.loaded().facts)


@pytest.mark.parametrize("error", [TOO_FEW, StoreUnavailable("no answer")])
def test_no_call_is_made_and_the_claim_is_given_back_at_once(world: World, error: StoreUnavailable) -> None:
    assert isinstance(world.store, Lagging)
    world.store.error = error
    fail(world, claims=lambda: True, appends=lambda: error is TOO_FEW)
    put_off(world)
    assert world.crovver.checkout_calls == []
    assert (world.upgrade().state, world.upgrade().claim is None) == (State.REQUESTING, False)
    fail(world, claims=lambda: False, appends=lambda: False)
    before = world.at
    world.wait(60)
    assert world.crovver.checkout_calls == [("t", 3)]
    assert world.upgrade().state is State.AWAITING_PAYMENT
    assert world.at - before <= MINUTE, "and not when its hold is over"


def test_a_replica_that_is_back_soon_enough_leads_to_the_call_of_that_very_claim(world: World) -> None:
    back_at = world.at + 5 * SECOND
    fail(world, claims=lambda: world.at < back_at, appends=lambda: False)
    world.run()
    assert world.crovver.checkout_calls == [("t", 3)]
    assert world.upgrade().attempts == 1


def test_where_even_that_can_not_be_said_the_hold_decides_as_for_any_lost_caller(world: World) -> None:
    assert isinstance(world.store, Lagging)
    world.store.error = StoreUnavailable("gone")
    fail(world, claims=lambda: True, appends=lambda: True)
    put_off(world)
    fail(world, claims=lambda: False, appends=lambda: False)
    world.wait(120)
    assert world.upgrade().state is State.UNKNOWN
    assert world.crovver.checkout_calls == []
    world.wait(60 * 60)
    assert world.crovver.checkout_calls == [("t", 3)]


def test_a_claim_that_was_not_saved_at_all_is_no_news(world: World) -> None:
    class Unsaved(Lagging):
        async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
            if commit.durable:
                raise StoreUnavailable("gone")
            return await super().commit(commit, ending)

    store = world.store
    store.__class__ = Unsaved
    put_off(world)
    assert world.tenant().upgrade is None
    store.__class__ = Lagging
    world.wait(60)
    assert world.crovver.checkout_calls == [("t", 3)]
    assert len(world.tenant().upgrades) == 1


def test_a_claim_that_somebody_else_saved_over_before_it_was_acknowledged_is_given_back(world: World) -> None:
    class Overtaken(Lagging):
        async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
            if not commit.durable:
                return await super().commit(commit, ending)
            assert await MemoryStore.commit(self, commit)
            found = await self.load("t")
            await MemoryStore.commit(self, Commit(found.tenant, found.version, "pas_other", found.read))
            self.__class__ = Lagging  # type: ignore[assignment]  # the commit is repeated, and finds another's
            raise TOO_FEW

    store = world.store
    store.__class__ = Overtaken
    world.wait(60)
    assert world.crovver.checkout_calls == [("t", 3)], "the claim was given back, and used by nobody before"
    assert world.upgrade().state is State.AWAITING_PAYMENT
    assert world.upgrade().attempts == 2
