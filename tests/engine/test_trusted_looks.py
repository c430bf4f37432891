"""A look at Crovver that is young serves decisions that leave room, and nothing else is ever decided on it."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.engine.world import World
from worker.core.facts import AllocateFact, CallOutcome
from worker.core.policy import Policy
from worker.core.times import SECOND
from worker.core.upgrade import State
from worker.engine.ports import Pace

TRUST = 30


@pytest.fixture
def world() -> World:
    """A tenant of ten seats, five of them taken, that was looked at just now."""
    world = trusting()
    world.subscribe("t", 10, 5)
    world.look("t")
    world.run()
    assert world.crovver.reads == 1
    return world


def trusting(policy: Policy | None = None) -> World:
    world = World(policy)
    world.ports = replace(world.ports, pace=Pace(trust_look=TRUST * SECOND))
    return world


def test_a_busy_tenant_with_room_is_looked_at_once_more_however_many_join(world: World) -> None:
    for number in range(4):
        world.wait(5)
        world.join("t", f"new_{number}")
        world.leave("t", f"user_{number + 1}")
        world.run()
    assert world.crovver.reads == 1
    assert world.loaded().counts.needed == 5, "everything is folded at once"
    world.wait(TRUST)
    assert world.crovver.reads == 2, "and looked at when the look is old, though nothing happened since"


def test_who_joins_where_there_is_no_room_is_bought_for_on_a_look_of_that_moment(world: World) -> None:
    world.wait(1)
    world.crovver.subscriptions["t"].capacity = 8  # what the young look says is wrong by now
    world.join("t", *(f"new_{number}" for number in range(6)))
    world.run()
    assert world.crovver.checkout_calls == [("t", 11)]
    assert world.crovver.reads == 3, "one for the decision, and one after the call"
    assert world.upgrade().from_capacity == 8


def test_the_last_free_seat_is_given_on_a_young_look_and_the_one_after_it_is_not(world: World) -> None:
    world.wait(1)
    world.join("t", *(f"new_{number}" for number in range(5)))
    world.run()
    assert (world.crovver.reads, world.crovver.checkout_calls) == (1, [])
    world.join("t", "one_more")
    world.run()
    assert world.crovver.checkout_calls == [("t", 11)]


def test_headroom_counts_as_taken() -> None:
    world = trusting(Policy(headroom=2))
    world.subscribe("t", 10, 5)
    world.look("t")
    world.run()
    world.join("t", *(f"new_{number}" for number in range(4)))
    world.run()
    assert (world.crovver.reads, world.crovver.checkout_calls) == (3, [("t", 11)])


def test_whoever_asks_for_a_look_gets_one(world: World) -> None:
    world.wait(1)
    world.look("t")
    world.run()
    assert world.crovver.reads == 2


def test_while_an_upgrade_is_open_every_event_is_a_reason_to_look(world: World) -> None:
    world.join("t", *(f"new_{number}" for number in range(6)))
    world.run()
    assert world.states() == [State.AWAITING_PAYMENT]
    before = world.crovver.reads
    world.crovver.subscriptions["t"].capacity = 50
    world.leave("t", "new_0")
    world.run()
    assert world.crovver.reads == before + 1
    assert world.states() == [State.CONFIRMED]


def test_a_repair_needs_to_see_who_is_missing() -> None:
    world = trusting(Policy(repair=True))
    world.subscribe("t", 10, 5)
    world.look("t")
    world.run()
    world.wait(1)
    world.join("t", "new_1")
    world.run()
    assert "new_1" in world.crovver.subscriptions["t"].seats


def test_what_crovver_answers_to_a_repair_has_the_next_look_read_its_rows_again() -> None:
    """An allocation is newer than what the host app said last, and for that its row, which has not changed, must be
    read once more: the answer alone says nothing of need."""
    world = World(Policy(repair=True))
    world.subscribe("t", 10, 1)
    world.look("t")
    world.run()
    assert world.tenant().look is not None
    known = world.loaded().entries["user_1"]
    world.give("t", AllocateFact(CallOutcome.STARTED, world.at, "out_1", ("user_1",)))
    world.run()
    world.look("t")
    world.run()
    assert world.loaded().entries["user_1"] == known


def test_the_page_of_a_large_tenant_that_has_not_changed_costs_no_reading_of_its_roster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.subscribe("t", 2000, 1500)
    world.look("t")
    world.run()
    taken: Counter[str] = Counter()

    async def step(name: str) -> None:
        taken[name] += 1

    monkeypatch.setattr(world.store, "step", step)

    def cost_of_a_join(user: str) -> dict[str, int]:
        taken.clear()
        world.join("t", user)
        taken.clear()
        before = world.crovver.reads
        world.run()
        return {**taken, "reads": world.crovver.reads - before}

    usual = {"claim_due": 2, "renew": 1, "load": 1, "commit": 1, "finish": 1, "reads": 1}
    assert cost_of_a_join("new_1") == cost_of_a_join("new_2") == usual
    seats = world.crovver.subscriptions["t"].seats
    seats["user_7"] = (True, seats["user_7"][1] + 1)
    assert cost_of_a_join("new_3") == {**usual, "entries": 1}, "a row has changed, though no number has"
    world.crovver.subscriptions["t"].capacity = 1999
    assert cost_of_a_join("new_4")["entries"] == 1
    assert world.loaded().counts.needed == 1504
