"""A tenant's past, played again: under the same policy it comes out as it was, under others as arithmetic says."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.world import START, Fault, World
from worker.core.case import Case, Verdict
from worker.core.decide import decide
from worker.core.facts import OperatorAction, PaymentEvent
from worker.core.figures import Figures, total
from worker.core.history import Answer, Fate
from worker.core.journal import Json
from worker.core.policy import Mode, Policy, Powers
from worker.core.read_history import read_history
from worker.core.tenant import Tenant
from worker.core.times import DAY, HOUR, SECOND
from worker.core.what_if import WhatIf, what_if

Note = Mapping[str, Json]


def journal(world: World, tenant: str = "t") -> list[Note]:
    """Oldest first."""
    notes, _ = world.do(world.store.journal(tenant, before=None, limit=10_000))
    return list(reversed(notes))


def played(world: World, other: Policy | None = None, *, since: int = 0, last: int = 10_000) -> WhatIf:
    """What the world's journal, or the last so many notes of it, tells and would tell."""
    history = read_history(world.tenant(), journal(world)[-last:], world.at, since)
    assert history is not None
    present = world.ports.policy
    return what_if(history, present, other or present, world.ports.powers)


def paying_world(policy: Policy | None = None, *, capacity: int = 10, taken: int = 8) -> World:
    world = World(policy)
    world.subscribe("t", capacity, taken)
    world.look("t")
    world.run()
    return world


def join(world: World, number: int, first: int = 100) -> None:
    world.join("t", *(f"new_{first + index}" for index in range(number)))
    world.run()


def pay_open(world: World) -> None:
    payable = next(payable for payable in world.crovver.payables if payable.state == "open")
    world.pay(payable)
    world.run()


def grown(needs: list[int], policy: Policy | None = None, *, delay: int = 0, start: int = 5) -> World:
    """A tenant of ``start`` seats and users that grows by so many a time, an hour apart, and pays each checkout."""
    world = paying_world(policy, capacity=start, taken=start)
    for round_, number in enumerate(needs):
        join(world, number, 1000 * (round_ + 1))
        if any(payable.state == "open" for payable in world.crovver.payables):
            world.wait(delay)
            pay_open(world)
        world.wait(3600)
    return world


def test_what_happened_is_counted() -> None:
    world = paying_world()
    join(world, 4)
    world.wait(600)
    pay_open(world)
    world.wait(3600)
    figures = played(world).happened
    assert (figures.checkouts, figures.seats, figures.capacity) == (1, 2, 12)
    assert (figures.short, figures.seats_short) == (600 * SECOND, 2 * 600 * SECOND)
    assert figures.peak == 120
    assert figures.seats_unused == 0
    assert figures.alerts["capacity_exceeded"] == 1
    assert figures.alerts["payment_confirmed"] == 1


def test_the_same_policy_gives_what_happened() -> None:
    world = paying_world()
    join(world, 4)
    world.wait(600)
    pay_open(world)
    world.wait(3600)
    found = played(world)
    assert found.replayed == found.happened == found.other


def test_a_bigger_block_is_what_arithmetic_says() -> None:
    """8 users on 10 seats, then 12 (for ten minutes unpaid), then 16 an hour later: blocks of 5 buy 15, then 20."""
    world = grown([3, 3], start=10, delay=600)
    found = played(world, Policy(block=5))
    assert found.replayed == found.happened
    assert (found.happened.checkouts, found.happened.seats, found.happened.capacity) == (2, 6, 16)
    assert (found.other.checkouts, found.other.seats, found.other.capacity) == (2, 10, 20)
    assert found.other.seats_short == 3 * 600 * SECOND + 600 * SECOND


EXAMPLES = int(os.environ.get("WHAT_IF_EXAMPLES", "40"))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["join", "join", "leave", "pay", "pay", "expire", "grant", "shrink", "approve", "cancel", "retry", "refuse",
             "not_sent", "lose", "unreachable", "wait"]
        ),
        st.integers(1, 4),
        st.sampled_from([8, 50, 700, 4000]),
    ),
    max_size=10,
)  # fmt: skip
POLICIES = st.builds(
    Policy,
    mode=st.sampled_from([Mode.AUTO, Mode.AUTO, Mode.APPROVAL, Mode.ALERT]),
    block=st.integers(1, 3),
    headroom=st.integers(0, 2),
    cap=st.none() | st.integers(6, 20),
)
FAULTS: dict[str, Fault] = {"refuse": "refused", "not_sent": "not_sent", "lose": "unknown_after"}


def perform(world: World, steps: list[tuple[str, int, int]]) -> None:
    """Play a random life, time passing after each step."""
    names = iter(range(10_000))
    joined: list[str] = []
    for what, number, seconds in steps:
        crovver, open_upgrade = world.crovver, world.tenant().upgrade
        payables = [payable for payable in crovver.payables if payable.state == "open"]
        match what:
            case "join":
                users = [f"new_{next(names)}" for _ in range(number)]
                joined += users
                world.join("t", *users)
            case "leave":
                world.leave("t", *joined[:number])
                del joined[:number]
            case "pay" if payables:
                world.pay(payables[-1])
            case "expire" if payables:
                payables[-1].state = "expired"
                world.webhook(world.stripe(payables[-1], PaymentEvent.EXPIRED, "unpaid", references=("t",)))
            case "grant" | "shrink":
                subscription = crovver.subscriptions["t"]
                subscription.capacity = max(1, subscription.capacity + (number if what == "grant" else -number))
                world.look("t")
            case "approve" | "cancel" | "retry" if open_upgrade is not None:
                world.operator("t", OperatorAction(what), open_upgrade.id)
            case "refuse" | "not_sent" | "lose":
                crovver.checkout_faults.append(FAULTS[what])
            case "unreachable":
                crovver.read_faults += ["transient"] * number
                world.look("t")
            case _:
                pass
        world.run()
        world.wait(seconds + 0.123456)


@settings(max_examples=EXAMPLES, deadline=None)
@given(POLICIES, st.booleans(), st.booleans(), STEPS)
def test_whatever_happened_is_what_its_replay_gives(
    policy: Policy, key: bool, invoices: bool, steps: list[tuple[str, int, int]]
) -> None:
    world = World(policy, Powers(stripe_webhooks=True, stripe_key=key))
    world.subscribe("t", 5, 4, invoices=invoices)
    world.look("t")
    world.run()
    perform(world, steps)
    found = played(world)
    assert found.replayed == found.happened


def unbought(needs: Sequence[int], capacity: int, every: int = HOUR) -> list[Note]:
    """The journal of a tenant that nothing was ever bought for: its need, again and again."""
    return [
        {"at": START + index * every, "kind": "decision", "rule": "alert_only", "needed": needed, "active": 0,
         "capacity": capacity, "missing": 0, "orphaned": 0}
        for index, needed in enumerate(needs)
    ]  # fmt: skip


def imagined(notes: Sequence[Note], policy: Policy, *, since: int = 0, hours: int = 30) -> Figures:
    """What another policy would have meant for a tenant that the worker only watched."""
    history = read_history(Tenant("t"), notes, START + hours * HOUR, since)
    assert history is not None
    return what_if(history, Policy(Mode.ALERT), policy, Powers(stripe_webhooks=True)).other


NEEDS = st.lists(st.integers(0, 30), min_size=1, max_size=20)


@settings(max_examples=50, deadline=None)
@given(NEEDS, st.integers(0, 20), st.integers(1, 7), st.integers(0, 5), st.none() | st.integers(1, 30))
def test_paid_at_once_it_is_plain_arithmetic(
    needs: list[int], capacity: int, block: int, headroom: int, cap: int | None
) -> None:
    found = imagined(unbought(needs, capacity), Policy(block=block, headroom=headroom, cap=cap), hours=len(needs))
    has, checkouts, over, unused = capacity, 0, 0, 0
    for needed in needs:
        size = -(-(needed + headroom) // block) * block
        size = size if cap is None else min(size, cap)
        if needed + headroom > has and size > has and (cap is None or needed <= cap):
            has, checkouts = size, checkouts + 1
        over += max(0, needed - has)
        unused += max(0, has - needed)
    assert (found.checkouts, found.seats, found.capacity) == (checkouts, has - capacity, has)
    assert (found.seats_short, found.seats_unused) == (over * HOUR, unused * HOUR)


@settings(max_examples=50, deadline=None)
@given(NEEDS, st.integers(0, 20), st.integers(1, 5), st.integers(1, 5))
def test_a_block_several_times_as_big_never_means_more_checkouts(
    needs: list[int], capacity: int, block: int, times: int
) -> None:
    notes = unbought(needs, capacity)
    assert imagined(notes, Policy(block=block * times)).checkouts <= imagined(notes, Policy(block=block)).checkouts


@settings(max_examples=50, deadline=None)
@given(NEEDS, st.integers(0, 20), st.integers(1, 5), st.integers(0, 5), st.integers(0, 5))
def test_more_headroom_never_means_fewer_seats_or_more_time_without(
    needs: list[int], capacity: int, block: int, headroom: int, more: int
) -> None:
    less = imagined(unbought(needs, capacity), Policy(block=block, headroom=headroom))
    roomy = imagined(unbought(needs, capacity), Policy(block=block, headroom=headroom + more))
    assert roomy.seats >= less.seats
    assert roomy.seats_short <= less.seats_short


def test_an_empty_journal_has_no_history() -> None:
    assert read_history(Tenant("t"), [], START) is None
    assert read_history(Tenant("t"), [{"at": START, "kind": "facts", "events": []}], START) is None
    assert read_history(Tenant("t"), unbought([3], 5), START - 1) is None


def test_notes_of_another_release_break_nothing() -> None:
    odd: list[Note] = [
        {},
        {"kind": "dance", "at": START},
        {"kind": "outcome", "at": "yesterday", "upgrade": 7},
        {"kind": "upgrade", "at": START, "id": None, "after": "enchanted"},
        {"kind": "decision", "at": START, "rule": "whim", "needed": "many"},
        {"kind": "payment", "at": START, "upgrade": "u", "event": "minted"},
    ]
    assert imagined([*odd, *unbought([6], 5)], Policy()).checkouts == 1


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.APPROVAL])
def test_a_tenant_that_never_paid_pays_at_once_and_is_approved_at_once(mode: Mode) -> None:
    found = imagined(unbought([4, 6, 9], 5), Policy(mode, block=2), hours=3)
    assert (found.checkouts, found.seats, found.capacity, found.short) == (2, 5, 10, 0)


def test_a_checkout_beyond_those_there_were_is_paid_after_the_usual_time() -> None:
    """Blocks of 5 bought once, after 10 minutes; one by one it takes a second checkout, as slow."""
    world = grown([2, 2], Policy(block=5), delay=600)
    found = played(world, Policy())
    assert found.replayed == found.happened
    assert (found.happened.checkouts, found.happened.capacity) == (1, 10)
    assert (found.other.checkouts, found.other.capacity, found.other.short) == (2, 9, 1200 * SECOND)


def test_only_alerting_buys_nothing() -> None:
    found = played(grown([2, 2], delay=600), Policy(Mode.ALERT))
    assert (found.happened.checkouts, found.other.checkouts, found.other.seats) == (2, 0, 0)
    assert found.other.seats_short > found.happened.seats_short
    assert "upgrade_started" not in found.other.alerts


def test_seats_that_came_otherwise_come_under_another_policy_too() -> None:
    world = grown([2], delay=60)
    world.crovver.subscriptions["t"].capacity += 10
    world.look("t")
    world.wait(60)
    found = played(world, Policy(block=10))
    assert (found.happened.seats, found.happened.capacity) == (2, 17)
    assert (found.other.seats, found.other.capacity) == (5, 20)


def test_a_journal_that_begins_late_begins_with_what_was_under_way() -> None:
    """Cut off before any of its instants, the replay under the same policy still agrees with what is left."""
    world = paying_world(Policy(block=2))
    join(world, 4)
    world.wait(600)
    pay_open(world)
    world.wait(900)
    join(world, 3, 200)
    world.wait(400)
    pay_open(world)
    world.wait(900)
    notes = journal(world)
    cuts = [index for index in range(1, len(notes)) if notes[index]["at"] != notes[index - 1]["at"]]
    assert len(cuts) >= 3
    for last in (len(notes) - cut for cut in [0, *cuts]):
        found = played(world, last=last)
        for name in ("checkouts", "seats", "capacity", "short", "seats_short", "seats_unused"):
            assert getattr(found.replayed, name) == getattr(found.happened, name), (last, name)


@pytest.mark.parametrize("back", [100, 950, 1100, 1500, 2000, 2400, 5000])
def test_since_cuts_what_happened_and_its_replay_alike(back: int) -> None:
    world = paying_world()
    world.wait(3000)
    join(world, 4)
    world.wait(600)
    pay_open(world)
    world.wait(700)
    join(world, 3, 200)
    world.wait(200)
    pay_open(world)
    world.wait(900)
    found = played(world, since=world.at - back * SECOND)
    assert found.replayed == found.happened
    assert found.happened.checkouts == (back >= 1100) + (back >= 2400)
    assert found.happened.short == min(back - 900, 200) * SECOND * (back > 900) + (
        min(max(back - 1800, 0), 600) * SECOND
    )


def test_the_figures_of_several_tenants_are_added_up() -> None:
    one = Figures(1, 2, {"drift": 1}, 3, 4, 5, 80.0, 10)
    assert total([one, replace(one, alerts={"drift": 1, "beyond_cap": 2}, peak=None, capacity=None)]) == Figures(
        2, 4, {"beyond_cap": 2, "drift": 2}, 6, 8, 10, 80.0, 10
    )


def test_a_quiet_year_takes_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invoice that nobody pays is not polled for ever, nor is a tenant that nothing happens to."""
    history = read_history(Tenant("t"), unbought([4, 6], 5), START + 365 * DAY)
    assert history is not None
    unpaid = replace(history, usual=Fate((Answer(invoice=True),)))
    passes = 0

    def counted(case: Case) -> Verdict:
        nonlocal passes
        passes += 1
        return decide(case)

    monkeypatch.setattr("worker.core.replay.decide", counted)
    assert what_if(unpaid, Policy(Mode.ALERT), Policy(), Powers()).other.checkouts == 1
    assert passes < 365 * 2 * 6


def test_a_checkout_that_nobody_pays_ends_after_its_day_and_is_asked_for_again() -> None:
    history = read_history(Tenant("t"), unbought([4, 6], 5), START + 3 * DAY)
    assert history is not None
    unpaid = replace(history, usual=Fate((Answer(),)))
    found = what_if(unpaid, Policy(Mode.ALERT), Policy(), Powers(stripe_webhooks=True)).other
    assert (found.checkouts, found.seats) == (3, 0)
    assert found.alerts["checkout_expired"] == 2
