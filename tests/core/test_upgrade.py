"""An upgrade's life: only legal moves, whatever is said about it and however late."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.checkout import Checkout, session_of
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.fold import match_payment
from worker.core.tenant import Tenant
from worker.core.upgrade import CLOSED, MOVES, State, Upgrade, answer, apply_payment, move

PAYMENTS = st.builds(
    PaymentFact,
    event=st.sampled_from(PaymentEvent),
    session=st.just("cs_1"),
    at=st.just(1),
    id=st.text(min_size=1, max_size=3),
    payment_status=st.sampled_from(["paid", "unpaid", "no_payment_required", None]),
)
UPGRADES = st.builds(
    Upgrade,
    id=st.just("upg_1"),
    state=st.sampled_from(State),
    new_capacity=st.just(13),
    from_capacity=st.just(10),
    needed=st.just(13),
    created_at=st.just(0),
    claim=st.sampled_from([None, "clm_1"]),
    requested_at=st.sampled_from([None, 1]),
    session=st.sampled_from([None, "cs_1"]),
)
LINK = "https://checkout.stripe.com/c/pay/cs_test_a1B2#fid123"


@given(UPGRADES, st.lists(PAYMENTS))
def test_payments_only_ever_move_an_upgrade_along_a_legal_move(upgrade: Upgrade, payments: list[PaymentFact]) -> None:
    for payment in payments:
        after = apply_payment(upgrade, payment, 9)
        assert after.state is upgrade.state or after.state in MOVES[upgrade.state]
        upgrade = after


@given(UPGRADES, st.lists(PAYMENTS))
def test_once_money_has_come_nothing_else_is_said_of_an_upgrade(upgrade: Upgrade, payments: list[PaymentFact]) -> None:
    for payment in payments:
        paid = upgrade.state in (State.PAID, State.CONFIRMED)
        upgrade = apply_payment(upgrade, payment, 9)
        assert not paid or upgrade.state in (State.PAID, State.CONFIRMED)


@given(UPGRADES, PAYMENTS)
def test_a_repeated_payment_event_changes_nothing(upgrade: Upgrade, payment: PaymentFact) -> None:
    once = apply_payment(upgrade, payment, 9)
    assert apply_payment(once, payment, 9) == once


@given(UPGRADES, PAYMENTS, st.booleans())
def test_the_answer_and_a_webhook_give_the_same_in_either_order(
    upgrade: Upgrade, payment: PaymentFact, url: bool
) -> None:
    checkout = Checkout("p", "https://pay.example/c/cs_1", requires_payment=True)
    upgrade = replace(upgrade, state=State.REQUESTING, session=None)
    answered_first = apply_payment(answer(upgrade, checkout, 9), payment, 9)
    webhook_first = answer(apply_payment(upgrade, payment, 9), checkout, 9)
    assert answered_first.state is webhook_first.state


def test_closed_means_closed_but_for_money() -> None:
    for state in CLOSED - {State.CONFIRMED}:
        assert MOVES[state] == {State.PAID}
    assert not MOVES[State.CONFIRMED]
    assert MOVES[State.PAID] == {State.CONFIRMED, State.FAILED, State.CANCELLED}, "the latter by an operator alone"


def test_an_illegal_move_is_a_bug_that_is_caught() -> None:
    upgrade = Upgrade("upg_1", State.CONFIRMED, 13, 10, 13, 0)
    with pytest.raises(AssertionError, match="confirmed never becomes expired"):
        move(upgrade, State.EXPIRED, 1)


def test_a_checkout_url_names_its_session_and_stays_out_of_every_repr() -> None:
    assert session_of(LINK) == "cs_test_a1B2"
    assert session_of("https://checkout.stripe.com/pay/cs_123") == "cs_123"
    assert session_of("https://example.com/pay/123") is None
    checkout = Checkout("p", LINK, requires_payment=True)
    upgrade = replace(Upgrade("upg_1", State.AWAITING_PAYMENT, 13, 10, 13, 0), checkout=checkout)
    assert "cs_test" not in repr(checkout) + repr(upgrade)


def event(session: str, *references: str, purpose: str | None = None) -> PaymentFact:
    return PaymentFact(PaymentEvent.COMPLETED, session, 1, "evt", "paid", purpose=purpose, references=references)


def test_an_event_is_matched_by_session_then_by_proration_and_by_tenant_only_while_no_session_is_known() -> None:
    called = Upgrade("upg_1", State.UNKNOWN, 13, 10, 13, 0, requested_at=1)
    answered = answer(called, Checkout("p", LINK, requires_payment=True), 2)

    def matches(upgrade: Upgrade, payment: PaymentFact) -> bool:
        return match_payment(Tenant("t", upgrades=(upgrade,)), payment) is not None

    assert matches(answered, event("cs_test_a1B2"))
    assert matches(answered, event("cs_other", "p"))
    assert not matches(answered, event("cs_other", "t"))
    assert matches(called, event("cs_other", "t"))
    assert not matches(called, event("cs_other", "t", purpose="subscription"))
    assert not matches(called, event("cs_other", "u"))
    for ended in (PaymentEvent.EXPIRED, PaymentEvent.ASYNC_FAILED):
        assert not matches(called, replace(event("cs_other", "t"), event=ended)), "it may be another's end"
    long_before = replace(called, requested_at=10**12)
    assert not matches(long_before, event("cs_other", "t")), "paid before this was ever asked for"
