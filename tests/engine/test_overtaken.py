"""What the simulator found: a checkout that outlived its time, and a roster that moves while it is read."""

from unittest import mock

import pytest

from tests.engine.world import World
from worker.core.facts import PaymentEvent
from worker.core.policy import Policy, Powers
from worker.core.roster import Counts, Entry, Roster, RosterMoved
from worker.core.times import HOUR
from worker.core.upgrade import State
from worker.engine.reconcile import Reconciler
from worker.payments.sessions import SessionState
from worker.store.interface import Wake

BOTH = Powers(stripe_webhooks=True, stripe_key=True)


def full(powers: Powers = BOTH) -> World:
    world = World(Policy(sweep_every=HOUR), powers)
    world.subscribe("t", 1, 1)
    world.join("t", "user_1", "user_2")
    world.run()
    assert world.states() == [State.AWAITING_PAYMENT]
    return world


def test_before_a_checkout_counts_as_expired_by_its_age_stripe_is_asked_and_a_debit_on_its_way_bars_another() -> None:
    world = full()
    (payable,) = world.crovver.payables
    payable.state = "complete"  # by a debit, and the event that told so was lost

    async def unpaid(session: str) -> SessionState:
        return SessionState(session, "complete", "unpaid", ("t",), 0, "seat_proration")

    with mock.patch.object(world.crovver, "get", unpaid):
        world.wait(40 * 3600)
    assert world.states() == [State.AWAITING_PAYMENT]
    assert world.upgrade().completed_at is not None
    world.crovver.apply(payable)
    world.webhook(world.stripe(payable, PaymentEvent.ASYNC_SUCCEEDED))
    world.wait(60)
    assert world.states() == [State.CONFIRMED]
    assert len(world.crovver.checkout_calls) == 1


def test_one_that_stripe_says_has_expired_is_asked_for_again() -> None:
    world = full()
    world.crovver.payables[0].state = "expired"
    world.wait(26 * 3600)
    assert world.states()[0] is State.EXPIRED
    assert len(world.crovver.checkout_calls) == 2


@pytest.mark.parametrize("powers", [Powers(stripe_webhooks=True), BOTH])
def test_where_stripe_can_not_be_asked_its_age_alone_decides_in_the_end(powers: Powers) -> None:
    world = full(powers)
    world.crovver.stripe_faults.extend(["transient"] * 5_000)
    world.wait(24.9 * 3600)
    assert world.states() == [State.AWAITING_PAYMENT]
    world.wait(7 * 3600)
    assert world.states()[0] is State.EXPIRED
    assert len(world.crovver.checkout_calls) == 2


def test_counts_that_are_overtaken_by_the_entries_at_hand_are_told_of() -> None:
    entry = Entry(said=True, at=1, id="a")
    roster = Roster(Counts(), {"user_1": entry})
    roster.put("user_1", Entry(said=False, at=2, id="b"))
    with pytest.raises(RosterMoved):
        roster.counts()


def test_a_pass_whose_roster_moves_while_it_is_read_begins_anew() -> None:
    world = World(Policy())
    known = world.subscribe("t", 5, 0)
    reconciler = Reconciler(world.ports)
    overtaken = False

    async def step(operation: str) -> None:
        """Before the entries of those on the page are read another worker saves the tenant as it was without them."""
        nonlocal overtaken
        if operation == "entries" and not overtaken:
            overtaken = True
            seat = known.seats.pop("user_1")
            await reconciler.reconcile(Wake("t", ""))
            known.seats["user_1"] = seat

    with mock.patch("worker.store.memory.SMALL_ROSTER", -1):
        world.join("t", "user_1")
        known.seats["user_1"] = (True, world.at)
        world.store.step = step
        world.run()
    assert overtaken
    assert world.loaded().counts == Counts(seated=1)
    assert world.loaded().pending == 0
