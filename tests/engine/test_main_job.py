"""The main job: from a user event to a confirmed upgrade, and what must not happen on the way."""

import pytest

from tests.engine.world import Payable, World
from worker.core.explain import explain
from worker.core.facts import OperatorAction, PaymentEvent, RosterFact, RosterUser
from worker.core.fold import allowed
from worker.core.policy import Mode, Policy, Powers
from worker.core.tenant import Rule, Status, paid_for_nothing, status
from worker.core.upgrade import Closing, State

HOUR = 3600


@pytest.fixture
def full() -> World:
    """Ten seats, eight taken, five joining: three seats short."""
    world = World()
    world.subscribe("t", 10, 8)
    world.join("t", *(f"new_{number}" for number in range(5)))
    return world


def rule(world: World) -> Rule:
    decision = world.tenant().decision
    assert decision is not None
    return decision.rule


def test_ten_seats_eight_taken_five_joining_is_one_checkout_for_thirteen_then_confirmed(full: World) -> None:
    full.run()
    assert full.crovver.checkout_calls == [("t", 13)]
    assert full.upgrade().state is State.AWAITING_PAYMENT
    full.pay(full.crovver.payables[0])
    full.run()
    assert full.upgrade().state is State.CONFIRMED
    full.wait(48 * HOUR)
    assert full.crovver.checkout_calls == [("t", 13)]


def test_with_room_nothing_is_bought_and_one_page_is_read() -> None:
    world = World()
    world.subscribe("t", 10, 8)
    world.join("t", "new_1")
    world.run()
    assert (world.crovver.checkout_calls, world.crovver.reads) == ([], 1)
    assert rule(world) is Rule.ENOUGH


def test_a_burst_of_joins_costs_two_reads_of_crovver_at_most() -> None:
    world = World()
    world.subscribe("t", 10, 8)
    world.join("t", *(f"new_{number}" for number in range(200)))
    world.run()
    assert world.crovver.checkout_calls == [("t", 208)]
    assert world.crovver.reads <= 2


def test_a_large_tenant_is_walked_once_and_then_read_by_the_page() -> None:
    world = World()
    world.subscribe("t", 6000, 5000)
    world.join("t", "new_1")
    world.run()
    assert world.crovver.reads <= 60
    before = world.crovver.reads
    world.join("t", "new_2")
    world.run()
    assert world.crovver.reads - before == 1
    world.crovver.subscriptions["t"].seats["new_2"] = (True, world.at)
    world.join("t", "new_3")
    before = world.crovver.reads
    world.run()
    assert world.crovver.reads - before <= 3
    assert world.loaded().counts.needed == 5003


def test_while_one_upgrade_is_open_growing_need_does_not_start_another(full: World) -> None:
    full.run()
    full.join("t", *(f"late_{number}" for number in range(5)))
    full.wait(HOUR)
    assert len(full.crovver.checkout_calls) == 1
    full.pay(full.crovver.payables[0])
    full.run()
    assert full.crovver.checkout_calls == [("t", 13), ("t", 18)], "the rest is asked for once it is confirmed"


def test_a_lost_answer_is_unknown_and_nobody_calls_again_within_the_hold(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    assert full.upgrade().state is State.UNKNOWN
    for number in range(20):
        full.join("t", f"late_{number}")
        full.wait(60)
    assert len(full.crovver.checkout_calls) == 1
    assert full.upgrade().state is State.UNKNOWN
    full.pay(full.crovver.payables[0], apply=False)
    full.run()
    assert full.upgrade().state is State.PAID
    full.crovver.apply(full.crovver.payables[0])
    full.wait(60)
    assert full.states()[0] is State.CONFIRMED


def test_the_capacity_alone_resolves_an_unknown_outcome(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    full.crovver.apply(full.crovver.payables[0])
    full.wait(60)
    assert full.upgrade().state is State.CONFIRMED


def test_at_the_end_of_the_hold_a_new_upgrade_starts_where_stripe_webhooks_would_tell_of_a_payment(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_before"]
    full.run()
    full.wait(29 * 60)
    assert len(full.crovver.checkout_calls) == 1
    full.wait(2 * 60)
    assert full.states() == [State.FAILED, State.AWAITING_PAYMENT]
    assert len(full.crovver.checkout_calls) == 2


def test_without_stripe_webhooks_an_operator_decides_after_the_hold() -> None:
    world = World(powers=Powers(stripe_webhooks=False))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.crovver.checkout_faults = ["unknown_before"]
    world.wait(HOUR)
    assert (world.states(), rule(world)) == ([State.FAILED], Rule.OUTCOME_LOST)
    world.operator("t", OperatorAction.RETRY, world.upgrade().id)
    world.run()
    assert world.states() == [State.FAILED, State.AWAITING_PAYMENT]


def test_a_call_that_surely_did_not_reach_crovver_is_made_again_for_the_same_upgrade(full: World) -> None:
    full.crovver.checkout_faults = ["not_sent", "not_sent"]
    full.wait(60)
    assert full.states() == [State.AWAITING_PAYMENT]
    assert full.upgrade().attempts == 3
    assert full.crovver.checkout_calls == [("t", 13)]


def test_need_that_is_gone_before_the_call_got_through_buys_nothing(full: World) -> None:
    full.crovver.checkout_faults = ["not_sent"]
    full.run()
    full.leave("t", "new_0", "new_1", "new_2")
    full.wait(60)
    assert (full.states(), full.crovver.checkout_calls) == ([State.CANCELLED], [])


def test_a_documented_refusal_fails_with_crovvers_words_and_is_not_repeated_at_once(full: World) -> None:
    full.crovver.checkout_faults = ["refused"] * 10
    full.run()
    assert (full.upgrade().state, full.upgrade().reason) == (State.FAILED, "a fault of the model")
    assert len(full.crovver.checkout_calls) == 1
    full.wait(24 * HOUR)
    assert len(full.crovver.checkout_calls) == 4, "asked again three times, then an operator decides"
    assert rule(full) is Rule.ASKED_TOO_OFTEN
    full.operator("t", OperatorAction.RETRY, full.upgrade().id)
    full.run()
    assert len(full.crovver.checkout_calls) == 5


def test_reads_that_fail_are_tried_again_and_one_checkout_comes_of_it(full: World) -> None:
    full.crovver.read_faults = ["transient"] * 8
    full.run()
    assert status(full.tenant(), full.loaded().counts, Policy()) is Status.UNREACHABLE
    full.wait(5 * 60)
    assert full.crovver.checkout_calls == [("t", 13)]


def test_a_webhook_that_comes_before_the_checkouts_answer_confirms(full: World) -> None:
    async def webhook_first(payable: Payable) -> None:
        from worker.store.matching import deliver

        payable.state = "complete"
        await deliver(full.store, full.stripe(payable, PaymentEvent.COMPLETED))
        full.crovver.apply(payable)

    full.crovver.before_checkout_answers = webhook_first
    full.run()
    assert full.states() == [State.CONFIRMED]
    assert full.do(full.store.parked(9)) == []
    assert full.upgrade().paid_at is not None


def test_paid_without_capacity_stays_paid_and_keeps_looking(full: World) -> None:
    full.run()
    full.pay(full.crovver.payables[0], apply=False)
    full.run()
    before = full.crovver.reads
    full.wait(2 * HOUR)
    assert full.upgrade().state is State.PAID
    assert full.crovver.reads - before > 60
    assert len(full.crovver.checkout_calls) == 1


def test_a_late_expired_undoes_neither_paid_nor_confirmed(full: World) -> None:
    full.run()
    payable = full.crovver.payables[0]
    full.pay(payable, apply=False)
    full.webhook(full.stripe(payable, PaymentEvent.EXPIRED))
    full.run()
    assert full.upgrade().state is State.PAID
    full.crovver.apply(payable)
    full.wait(60)
    full.webhook(full.stripe(payable, PaymentEvent.EXPIRED))
    full.run()
    assert full.upgrade().state is State.CONFIRMED


def test_replayed_webhooks_are_no_news(full: World) -> None:
    full.run()
    payable = full.crovver.payables[0]
    fact = full.stripe(payable, PaymentEvent.COMPLETED, ident="evt_same")
    for _ in range(100):
        full.webhook(fact)
    full.run()
    notes, _ = full.do(full.store.journal("t", before=None, limit=500))
    assert sum(note["kind"] == "payment" for note in notes) == 1


def test_an_expired_checkout_is_asked_for_again_three_times_and_then_an_operator_decides(full: World) -> None:
    full.run()
    for _ in range(6):
        open_ones = [payable for payable in full.crovver.payables if payable.state == "open"]
        for payable in open_ones:
            payable.state = "expired"
            full.webhook(full.stripe(payable, PaymentEvent.EXPIRED, "unpaid"))
        full.run()
    assert full.states() == [State.EXPIRED] * 4
    assert rule(full) is Rule.ASKED_TOO_OFTEN


def test_a_checkout_expires_by_itself_after_a_day_and_an_hour(full: World) -> None:
    full.run()
    full.wait(24 * HOUR)
    assert full.states() == [State.AWAITING_PAYMENT]
    full.wait(2 * HOUR)
    assert full.states() == [State.EXPIRED, State.AWAITING_PAYMENT]
    assert full.tenant().upgrades[0].closing is Closing.LIFETIME_OVER


def test_a_payment_that_is_on_its_way_is_waited_for_beyond_the_links_lifetime(full: World) -> None:
    full.run()
    payable = full.crovver.payables[0]
    full.webhook(full.stripe(payable, PaymentEvent.COMPLETED, "unpaid"))
    full.wait(72 * HOUR)
    assert (full.states(), rule(full)) == ([State.AWAITING_PAYMENT], Rule.PAYMENT_PROCESSING)
    full.crovver.apply(payable)
    full.webhook(full.stripe(payable, PaymentEvent.ASYNC_SUCCEEDED))
    full.run()
    assert full.states() == [State.CONFIRMED]


def test_a_debit_that_fails_is_asked_for_again_after_a_while(full: World) -> None:
    full.run()
    payable = full.crovver.payables[0]
    full.webhook(full.stripe(payable, PaymentEvent.COMPLETED, "unpaid"))
    full.webhook(full.stripe(payable, PaymentEvent.ASYNC_FAILED, "unpaid"))
    full.run()
    assert full.states() == [State.FAILED]
    full.wait(120)
    assert full.states() == [State.FAILED, State.AWAITING_PAYMENT]


def test_need_that_goes_while_a_payment_is_awaited_leaves_the_link_open(full: World) -> None:
    full.run()
    full.leave("t", "new_0", "new_1", "new_2")
    full.wait(HOUR)
    assert full.states() == [State.AWAITING_PAYMENT]


def test_with_a_stripe_key_a_checkout_that_is_no_longer_needed_is_expired() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.leave("t", "a")
    world.wait(14 * 60)
    # The need may come back, and the same link would serve it.
    assert (world.states(), world.crovver.payables[0].state) == ([State.AWAITING_PAYMENT], "open")
    world.wait(6 * 60)
    assert (world.states(), world.crovver.payables[0].state) == ([State.EXPIRED], "expired")
    world.wait(48 * HOUR)
    assert len(world.crovver.checkout_calls) == 1


def test_with_a_stripe_key_a_checkout_that_is_too_small_is_replaced_but_only_once_it_is_dead() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.join("t", "d")
    world.run()
    assert len(world.crovver.checkout_calls) == 1, "a growing team is not sent link after link"
    world.crovver.stripe_faults = ["transient"]
    world.wait(65)
    assert len(world.crovver.checkout_calls) == 1, "as long as the first link may be paid there is no second"
    world.wait(180)
    assert world.crovver.checkout_calls == [("t", 11), ("t", 12)]
    assert world.states() == [State.EXPIRED, State.AWAITING_PAYMENT]
    assert [payable.state for payable in world.crovver.payables] == ["expired", "open"]


def test_a_checkout_that_stripe_will_not_expire_is_as_good_as_paid() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.crovver.payables[0].state = "complete"
    world.join("t", "d")
    world.wait(65)
    assert world.states() == [State.PAID]
    assert len(world.crovver.checkout_calls) == 1


def test_with_a_stripe_key_a_lost_answer_is_found_among_stripes_sessions() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.crovver.checkout_faults = ["unknown_after"]
    world.wait(5)
    assert world.states() == [State.AWAITING_PAYMENT]
    assert world.upgrade().session == world.crovver.payables[0].session
    assert len(world.crovver.checkout_calls) == 1


def test_an_invoice_is_confirmed_by_the_capacity_alone() -> None:
    world = World()
    world.subscribe("t", 10, 8, invoices=True)
    world.join("t", "a", "b", "c")
    world.run()
    assert world.states() == [State.INVOICED]
    world.wait(72 * HOUR)
    assert (world.states(), len(world.crovver.checkout_calls)) == ([State.INVOICED], 1)
    world.crovver.apply(world.crovver.payables[0])
    world.wait(15 * 60)
    assert world.states() == [State.CONFIRMED]


def test_in_approval_mode_nothing_is_called_before_an_operator_approves() -> None:
    world = World(Policy(mode=Mode.APPROVAL))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.wait(HOUR)
    assert (world.states(), world.crovver.checkout_calls) == ([State.AWAITING_APPROVAL], [])
    world.join("t", "d")
    world.run()
    assert world.upgrade().new_capacity == 12, "an open request for approval grows with the need"
    world.operator("t", OperatorAction.APPROVE, world.upgrade().id)
    world.run()
    assert (world.states(), world.crovver.checkout_calls) == ([State.AWAITING_PAYMENT], [("t", 12)])


def test_an_approval_that_is_no_longer_needed_is_cancelled() -> None:
    world = World(Policy(mode=Mode.APPROVAL))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.leave("t", "a")
    world.run()
    assert world.states() == [State.CANCELLED]


def test_what_an_operator_cancelled_is_not_asked_again_until_more_are_needed() -> None:
    world = World(Policy(mode=Mode.APPROVAL))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.operator("t", OperatorAction.CANCEL, world.upgrade().id)
    world.wait(24 * HOUR)
    assert (world.states(), rule(world)) == ([State.CANCELLED], Rule.OPERATOR_CANCELLED)
    world.join("t", "d")
    world.run()
    assert world.states() == [State.CANCELLED, State.AWAITING_APPROVAL]


def test_a_cancelled_link_that_may_still_be_paid_bars_a_second_one_for_its_lifetime(full: World) -> None:
    full.run()
    full.operator("t", OperatorAction.CANCEL, full.upgrade().id)
    full.join("t", "one_more")
    full.wait(HOUR)
    assert (full.states(), rule(full)) == ([State.CANCELLED], Rule.OLD_LINK_PAYABLE)
    full.pay(full.crovver.payables[0], apply=False)
    full.run()
    assert full.states() == [State.PAID], "someone has paid: that is never forgotten"


def test_alert_mode_and_the_cap_buy_nothing() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    assert rule(world) is Rule.ALERT_ONLY
    world.set_policy(Policy(cap=10))
    world.look("t")
    world.run()
    assert rule(world) is Rule.BEYOND_CAP
    assert world.crovver.checkout_calls == []


@pytest.mark.parametrize(
    ("policy", "size"),
    [
        (Policy(block=5), 15),
        (Policy(headroom=2), 13),
        (Policy(block=4, headroom=2), 16),
        (Policy(block=10, cap=12), 12),
        (Policy(headroom=5, cap=11), 11),
    ],
)
def test_the_size_is_need_and_headroom_rounded_up_to_the_block_at_most_the_cap(policy: Policy, size: int) -> None:
    world = World(policy)
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    assert world.crovver.checkout_calls == [("t", size)]


def test_headroom_alone_is_reason_enough_for_an_upgrade() -> None:
    world = World(Policy(headroom=3))
    world.subscribe("t", 10, 8)
    world.look("t")
    world.run()
    assert world.crovver.checkout_calls == [("t", 11)]


def test_a_tenant_without_a_subscription_buys_nothing_until_it_has_one() -> None:
    world = World()
    world.join("t", "a")
    world.wait(HOUR)
    assert rule(world) is Rule.NO_SUBSCRIPTION
    assert status(world.tenant(), world.loaded().counts, Policy()) is Status.NO_SUBSCRIPTION
    world.subscribe("t", 1, 0)
    world.wait(HOUR)
    assert rule(world) is Rule.ENOUGH


def test_users_of_crovver_that_no_event_ever_named_count_and_those_that_left_do_not() -> None:
    world = World()
    world.subscribe("t", 10, 8)
    world.leave("t", "user_1", "user_2")
    world.join("t", "user_3", "new")
    world.run()
    counts = world.loaded().counts
    assert (counts.needed, counts.active, counts.missing, counts.orphaned) == (7, 8, 1, 2)


def test_a_seat_that_vanishes_from_crovver_is_missing_if_an_event_asked_for_it_and_gone_otherwise() -> None:
    world = World()
    known = world.subscribe("t", 10, 3)
    world.join("t", "user_1")
    world.run()
    del known.seats["user_1"], known.seats["user_2"]
    world.look("t")
    world.run()
    counts = world.loaded().counts
    assert (counts.needed, counts.missing, counts.seated) == (2, 1, 1)


def test_repair_records_missing_users_once_there_is_room() -> None:
    world = World(Policy(repair=True))
    known = world.subscribe("t", 10, 8)
    world.join("t", *(f"new_{number}" for number in range(5)))
    world.run()
    assert known.active == 10
    world.pay(world.crovver.payables[0])
    world.wait(120)
    assert (known.active, known.capacity) == (13, 13)
    assert world.loaded().counts.missing == 0
    assert len(world.crovver.checkout_calls) == 1


def test_a_snapshot_removes_whoever_it_does_not_name_and_outranks_older_events() -> None:
    world = World()
    world.subscribe("t", 10, 3)
    world.run()
    world.give("t", RosterFact((RosterUser("user_1"), RosterUser("x")), world.at, "ros_1"))
    world.at -= 10
    world.join("t", "late_and_old")
    world.at += 10
    world.run()
    counts = world.loaded().counts
    assert (counts.needed, counts.orphaned, counts.missing) == (2, 2, 1)
    world.at += 1
    world.join("t", "user_2")
    world.run()
    assert world.loaded().counts.needed == 3


def test_a_drastic_snapshot_of_a_tenant_never_looked_at_is_refused_and_bars_purchases_until_one_is_believed() -> None:
    world = World()
    world.subscribe("t", 30, 30)
    world.give("t", RosterFact((RosterUser("user_1"), RosterUser("x")), world.at, "ros_1"))
    world.join("t", "new")
    world.run()
    assert (world.loaded().counts.needed, rule(world)) == (31, Rule.ROSTER_REFUSED)
    assert "forced" in explain(world.tenant(), world.loaded().counts, Policy())
    named = tuple(RosterUser(f"user_{number}") for number in range(1, 31))
    world.at += 1
    world.give("t", RosterFact((*named, RosterUser("new")), world.at, "ros_2"))
    world.run()
    assert world.crovver.checkout_calls == [("t", 31)]


def test_a_snapshot_that_was_accepted_of_a_known_tenant_is_applied() -> None:
    world = World()
    world.subscribe("t", 30, 30)
    world.look("t")
    world.run()
    world.at += 1
    world.give("t", RosterFact((RosterUser("user_1"), RosterUser("x")), world.at, "ros_1", forced=True))
    world.run()
    assert world.loaded().counts.needed == 2


def test_what_a_worker_claimed_and_never_finished_is_unknown_after_a_while_and_not_called_again(full: World) -> None:
    full.die_in_the_next_call()
    assert full.upgrade().state is State.REQUESTING
    full.wait(60)
    assert full.upgrade().state is State.REQUESTING
    full.wait(60)
    assert full.upgrade().state is State.UNKNOWN
    assert len(full.crovver.checkout_calls) == 1
    full.pay(full.crovver.payables[0])
    full.run()
    assert full.upgrade().state is State.CONFIRMED


def test_a_foreign_stripe_event_is_journaled_and_changes_nothing(full: World) -> None:
    from dataclasses import replace

    full.run()
    event = full.stripe(full.crovver.payables[0], PaymentEvent.COMPLETED)
    full.webhook(replace(event, foreign=True))
    full.run()
    assert full.upgrade().state is State.AWAITING_PAYMENT
    notes, _ = full.do(full.store.journal("t", before=None, limit=50))
    assert any(note.get("foreign") for note in notes)


def test_an_event_about_another_purchase_of_the_tenant_is_not_taken_for_the_lost_one(full: World) -> None:
    from dataclasses import replace

    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    event = full.stripe(full.crovver.payables[0], PaymentEvent.COMPLETED, references=("t",))
    full.webhook(replace(event, purpose="subscription", session="cs_other"))
    full.run()
    assert full.upgrade().state is State.UNKNOWN


def test_a_tenant_that_never_subscribes_is_looked_at_no_more_often_than_the_sweep() -> None:
    world = World()
    world.join("t", "a")
    world.wait(HOUR)
    before = world.crovver.reads
    world.wait(24 * HOUR)
    assert world.crovver.reads - before <= 4 * 24 + 1
    world.subscribe("t", 10, 0)
    world.join("t", "b")
    world.run()
    assert rule(world) is Rule.ENOUGH, "an event is reason to look again"


def test_while_crovver_is_down_a_stream_of_events_does_not_hammer_it() -> None:
    world = World()
    world.subscribe("t", 10, 3)
    world.crovver.read_faults = ["transient"] * 1000
    for number in range(600):
        world.join("t", f"u{number % 5}")
        world.wait(1)
    assert world.crovver.reads < 30


def test_nothing_is_bought_while_facts_wait_that_a_pass_has_not_read() -> None:
    world = World()
    world.subscribe("t", 10, 8)
    world.join("t", *(f"guest_{number}" for number in range(5_100)))
    world.at += 1
    world.leave("t", *(f"guest_{number}" for number in range(5_100)))
    world.run()
    assert (world.loaded().counts.needed, world.loaded().pending) == (8, 0)
    assert world.crovver.checkout_calls == []


def test_a_full_inbox_does_not_cost_the_answer_to_a_checkout(full: World) -> None:
    async def fill(payable: Payable) -> None:
        full.store.inbox_limit = 0

    full.crovver.before_checkout_answers = fill
    full.run()
    assert full.states() == [State.AWAITING_PAYMENT]


def test_a_debit_on_its_way_for_a_lost_checkout_is_waited_for_beyond_the_hold(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    payable = full.crovver.payables[0]
    full.webhook(full.stripe(payable, PaymentEvent.COMPLETED, "unpaid", references=("t",)))
    full.wait(72 * HOUR)
    assert (full.states(), rule(full)) == ([State.AWAITING_PAYMENT], Rule.PAYMENT_PROCESSING)
    full.webhook(full.stripe(payable, PaymentEvent.ASYNC_SUCCEEDED))
    full.crovver.apply(payable)
    full.run()
    assert full.states() == [State.CONFIRMED]


def test_the_end_of_an_older_checkout_is_not_taken_for_the_end_of_the_one_under_way(full: World) -> None:
    async def older_one_expires(payable: Payable) -> None:
        from worker.store.matching import deliver

        older = Payable("t", 11, "cs_older", "proration-older")
        await deliver(full.store, full.stripe(older, PaymentEvent.EXPIRED, "unpaid", references=("t",)))

    full.look("t")
    full.crovver.before_checkout_answers = older_one_expires
    full.wait(HOUR)
    assert (full.states(), len(full.crovver.checkout_calls)) == ([State.AWAITING_PAYMENT], 1)


def test_a_payment_that_comes_between_the_link_and_the_answer_is_kept(full: World) -> None:
    async def half_delivered(payable: Payable) -> None:
        from worker.engine.reconcile import Reconciler
        from worker.store.interface import Wake
        from worker.store.matching import deliver

        await full.store.link_checkout([payable.session], "t")
        payable.state = "complete"
        await deliver(full.store, full.stripe(payable, PaymentEvent.COMPLETED))
        await Reconciler(full.ports).reconcile(Wake("t", ""))

    full.crovver.before_checkout_answers = half_delivered
    full.run()
    assert full.states() == [State.PAID]


def test_a_cancelled_invoice_bars_another_for_as_long_as_it_may_be_paid() -> None:
    world = World()
    world.subscribe("t", 10, 8, invoices=True)
    world.join("t", "a", "b", "c")
    world.run()
    world.operator("t", OperatorAction.CANCEL, world.upgrade().id)
    world.join("t", "d")
    world.wait(30 * 24 * HOUR)
    assert (len(world.crovver.checkout_calls), rule(world)) == (1, Rule.OLD_LINK_PAYABLE)
    world.operator("t", OperatorAction.RETRY, world.upgrade().id)
    world.run()
    assert len(world.crovver.checkout_calls) == 2


def test_a_late_payment_calls_off_what_has_not_been_asked_for_yet(full: World) -> None:
    full.run()
    first = full.crovver.payables[0]
    full.crovver.checkout_faults = ["not_sent"] * 3
    full.webhook(full.stripe(first, PaymentEvent.EXPIRED, "unpaid"))
    full.run()
    assert full.states() == [State.EXPIRED, State.REQUESTING]
    full.pay(first, apply=False)
    full.wait(HOUR)
    assert full.states() == [State.PAID, State.CANCELLED]
    assert len(full.crovver.checkout_calls) == 1


def test_a_payment_for_a_lost_checkout_that_an_operator_had_given_up_is_not_forgotten(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    full.operator("t", OperatorAction.CANCEL, full.upgrade().id)
    full.run()
    full.pay(full.crovver.payables[0], apply=False)
    full.run()
    assert full.states() == [State.PAID]


def test_an_event_that_names_two_tenants_is_nobodys_until_its_session_is_known() -> None:
    world = World()
    for tenant in ("13", "99"):
        world.subscribe(tenant, 10, 8)
        world.look(tenant)
    world.run()
    world.crovver.checkout_faults = ["unknown_after"]
    world.join("13", "a", "b", "c")
    world.run()
    stranger = Payable("99", 13, "cs_stranger", "proration-stranger")
    world.webhook(world.stripe(stranger, PaymentEvent.COMPLETED, references=("99", "13")))
    world.wait(60)
    assert world.states("13") == [State.UNKNOWN]


def test_a_claim_that_grew_old_before_its_call_was_sent_is_not_used(full: World) -> None:
    async def stopped() -> None:
        full.crovver.before_checkout_is_sent = None
        full.at += 120 * 1_000_000

    full.crovver.before_checkout_is_sent = stopped
    full.run()
    assert full.crovver.checkout_calls == []
    full.wait(60)
    assert (full.states(), full.crovver.checkout_calls) == ([State.AWAITING_PAYMENT], [("t", 13)])


def test_an_operator_can_give_up_on_a_payment_that_is_never_applied(full: World) -> None:
    full.run()
    full.pay(full.crovver.payables[0], apply=False)
    full.run()
    full.operator("t", OperatorAction.RETRY, full.upgrade().id)
    full.run()
    assert full.states() == [State.PAID], "not within the first quarter of an hour"
    full.wait(HOUR)
    full.operator("t", OperatorAction.RETRY, full.upgrade().id)
    full.run()
    assert full.states() == [State.FAILED, State.AWAITING_PAYMENT]


def test_with_a_stripe_key_a_debit_whose_end_was_never_told_is_asked_about() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    payable = world.crovver.payables[0]
    world.webhook(world.stripe(payable, PaymentEvent.COMPLETED, "unpaid"))
    world.run()
    payable.state = "complete"
    world.wait(2 * HOUR)
    assert world.states() == [State.PAID]


def test_repair_does_not_spin_on_a_user_that_crovver_says_it_seated_and_never_lists() -> None:
    world = World(Policy(repair=True))
    known = world.subscribe("t", 10, 3)
    calls = 0

    async def seats_nobody(tenant: str, users: object, metadata: object = None) -> object:
        from worker.crovver.results import BulkAllocation

        nonlocal calls
        calls += 1
        return BulkAllocation((), tuple(user.user for user in users), ())  # type: ignore[attr-defined]

    world.crovver.bulk_allocate = seats_nobody  # type: ignore[assignment,method-assign]
    world.join("t", "New@Example.com")
    world.wait(HOUR)
    assert known.active == 3
    assert calls <= 61


def test_a_mode_or_a_cap_that_was_changed_holds_for_calls_not_made_yet(full: World) -> None:
    full.crovver.checkout_faults = ["not_sent"]
    full.run()
    full.set_policy(Policy(mode=Mode.APPROVAL))
    full.wait(HOUR)
    assert (full.states(), full.crovver.checkout_calls) == ([State.CANCELLED, State.AWAITING_APPROVAL], [])
    full.set_policy(Policy(mode=Mode.APPROVAL, cap=12))
    full.operator("t", OperatorAction.APPROVE, full.upgrade().id)
    full.run()
    assert full.crovver.checkout_calls == []


def test_a_wish_to_take_a_checkout_back_that_is_no_longer_held_does_not_count_later() -> None:
    world = World(powers=Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    world.wait(20 * 60)
    world.crovver.stripe_faults = ["transient"]
    world.leave("t", "a")
    world.run()
    assert world.upgrade().closing is Closing.NEED_GONE
    world.at += 1
    world.join("t", "a")
    world.run()
    assert world.upgrade().closing is Closing.NONE


def test_an_expired_event_does_not_end_a_checkout_whose_debit_is_on_its_way(full: World) -> None:
    full.run()
    payable = full.crovver.payables[0]
    full.webhook(full.stripe(payable, PaymentEvent.COMPLETED, "unpaid"))
    full.webhook(full.stripe(payable, PaymentEvent.EXPIRED, "unpaid"))
    full.wait(HOUR)
    assert full.states() == [State.AWAITING_PAYMENT]
    assert len(full.crovver.checkout_calls) == 1


def test_a_second_payment_for_the_same_seats_is_told_to_whoever_asks(full: World) -> None:
    full.run()
    first = full.crovver.payables[0]
    full.webhook(full.stripe(first, PaymentEvent.EXPIRED, "unpaid"))
    full.run()
    second = full.crovver.payables[1]
    full.pay(second)
    full.run()
    assert "given back" not in explain(full.tenant(), full.loaded().counts, Policy())
    full.pay(first)
    full.wait(60)
    assert "given back" in explain(full.tenant(), full.loaded().counts, Policy())


def test_the_capacity_confirms_even_while_the_call_is_under_way(full: World) -> None:
    full.die_in_the_next_call()
    full.pay(full.crovver.payables[0])
    full.wait(30)
    assert full.states() == [State.CONFIRMED]


def test_an_upgrade_that_another_has_taken_the_place_of_can_not_be_retried() -> None:
    world = World(Policy(mode=Mode.APPROVAL))
    world.subscribe("t", 10, 8)
    world.join("t", "a", "b", "c")
    world.run()
    old = world.upgrade()
    world.operator("t", OperatorAction.CANCEL, old.id)
    world.join("t", "d")
    world.run()
    assert not allowed(world.tenant(), world.tenant().upgrades[0], OperatorAction.RETRY, world.at)
    assert allowed(world.tenant(), world.upgrade(), OperatorAction.APPROVE, world.at)


def test_a_payment_that_names_the_tenant_alone_is_not_taken_for_one_that_never_had_a_link(full: World) -> None:
    full.crovver.checkout_faults = ["refused"]
    full.run()
    other = Payable("t", 11, "cs_bought_by_hand", "proration-by-hand")
    full.webhook(full.stripe(other, PaymentEvent.COMPLETED, references=("t",)))
    full.wait(120)
    assert full.states() == [State.FAILED, State.AWAITING_PAYMENT]


def test_a_payment_for_something_else_does_not_pay_an_invoice() -> None:
    world = World()
    world.subscribe("t", 10, 8, invoices=True)
    world.join("t", "a", "b", "c")
    world.run()
    other = Payable("t", 11, "cs_other", "proration-other")
    world.webhook(world.stripe(other, PaymentEvent.COMPLETED, references=("t",)))
    world.run()
    assert world.states() == [State.INVOICED]


def test_an_upgrade_that_was_rightly_paid_is_not_called_superfluous_when_seats_are_given_back(full: World) -> None:
    full.run()
    full.pay(full.crovver.payables[0])
    full.run()
    full.crovver.subscriptions["t"].capacity = 10
    full.leave("t", "new_0", "new_1", "new_2")
    full.look("t")
    full.run()
    assert paid_for_nothing(full.tenant()) == []
    full.at += 1_000_000
    full.join("t", "new_0", "new_1", "new_2")
    full.run()
    full.pay(full.crovver.payables[1])
    full.run()
    assert full.states() == [State.CONFIRMED, State.CONFIRMED]
    assert paid_for_nothing(full.tenant()) == []


def test_the_second_payment_of_two_open_links_is_called_superfluous_whichever_it_was(full: World) -> None:
    full.crovver.checkout_faults = ["unknown_after"]
    full.run()
    full.wait(HOUR)
    lost, second = full.crovver.payables
    full.pay(lost)
    full.run()
    assert full.states() == [State.FAILED, State.CONFIRMED]
    assert paid_for_nothing(full.tenant()) == []
    full.at += 1_000_000
    full.pay(second)
    full.run()
    assert [upgrade.session for upgrade in paid_for_nothing(full.tenant())] == [second.session]


def test_a_full_list_that_comes_before_crovver_could_be_read_waits_until_it_can_be_judged() -> None:
    world = World()
    world.subscribe("t", 40, 40)
    world.crovver.read_faults = ["transient"]
    world.give("t", RosterFact((RosterUser("user_1"),), world.at, "ros_1"))
    world.run()
    assert world.loaded().counts.needed == 0
    world.wait(60)
    assert world.loaded().counts.needed == 40
    assert world.tenant().refused_roster == (39, 40)
    assert world.tenant().waiting_roster is None


def test_a_list_of_a_tenant_without_a_subscription_is_taken_as_it_is() -> None:
    world = World()
    world.give("t", RosterFact(tuple(RosterUser(f"u{number}") for number in range(20)), world.at, "ros_1"))
    world.run()
    assert world.loaded().counts.needed == 20
