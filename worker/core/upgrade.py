"""An upgrade's life: its states, the legal moves between them, and what payments do to it.

State only moves forward. What closed an upgrade stays true, with one exception that money forces: a payment that
arrives for a closed upgrade reopens it as paid, because someone has paid.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from worker.core.checkout import Checkout
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.times import DAY, HOUR, MINUTE

CHECKOUT_LIFETIME = DAY + HOUR
"""A Stripe Checkout Session lives 24 hours at most; an hour of margin for clocks and late webhooks."""


CLOCKS_DIFFER = 10 * MINUTE
"""By how much Stripe's clock and the store's may differ."""

PAID_DEADLINE = 15 * MINUTE
"""Paid for longer than this and still not applied: people must be told."""


class State(StrEnum):
    """The states of the public contract."""

    AWAITING_APPROVAL = "awaiting_approval"
    REQUESTING = "requesting"
    UNKNOWN = "unknown"
    AWAITING_PAYMENT = "awaiting_payment"
    INVOICED = "invoiced"
    PAID = "paid"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    FAILED = "failed"
    CANCELLED = "cancelled"


PURPOSE = "seat_proration"
"""What Crovver's metadata ``event_type`` says of a checkout that buys seats."""

CLOSED = frozenset({State.CONFIRMED, State.EXPIRED, State.FAILED, State.CANCELLED})

MOVES: Mapping[State, frozenset[State]] = {
    State.AWAITING_APPROVAL: frozenset({State.REQUESTING, State.CANCELLED}),
    State.REQUESTING: frozenset(State) - {State.REQUESTING, State.AWAITING_APPROVAL},
    State.UNKNOWN: frozenset(State) - {State.UNKNOWN, State.REQUESTING, State.AWAITING_APPROVAL},
    State.AWAITING_PAYMENT: frozenset({State.PAID}) | CLOSED,
    State.INVOICED: frozenset({State.PAID}) | CLOSED,
    State.PAID: frozenset({State.CONFIRMED, State.FAILED, State.CANCELLED}),
    State.CONFIRMED: frozenset(),
    State.EXPIRED: frozenset({State.PAID}),
    State.FAILED: frozenset({State.PAID}),
    State.CANCELLED: frozenset({State.PAID}),
}
"""Every legal move. Anything else is a bug, and asserted against. Only an operator gives up what was paid."""


class Closing(StrEnum):
    """Why an upgrade closed, where the state alone does not say."""

    NONE = ""
    SESSION_EXPIRED = "session_expired"
    LIFETIME_OVER = "lifetime_over"
    SUPERSEDED = "superseded"
    NEED_GONE = "need_gone"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    PAYMENT_FAILED = "payment_failed"
    HOLD_OVER = "hold_over"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """One attempt to get a tenant more seats. Instants are microseconds, None until they happen.

    ``claim`` names the one caller that may make the checkout call; it is saved before the call is made. A
    ``requesting`` upgrade without a claim has provably not reached Crovver and may be claimed again at ``retry_at``.
    An ``abandoned`` one was claimed by someone who never said how the call ended, and may even now be making it.
    """

    id: str
    state: State
    new_capacity: int
    from_capacity: int
    needed: int
    created_at: int
    claim: str | None = None
    claimed_at: int | None = None
    attempts: int = 0
    retry_at: int | None = None
    approved_at: int | None = None
    requested_at: int | None = None
    checkout: Checkout | None = field(default=None, repr=False)
    session: str | None = None
    completed_at: int | None = None
    paid_at: int | None = None
    confirmed_at: int | None = None
    closed_at: int | None = None
    closing: Closing = Closing.NONE
    reason: str | None = None
    session_over: bool = False
    stripe_after: int = 0
    retried_at: int | None = None
    abandoned: bool = False

    @property
    def open(self) -> bool:
        return self.state not in CLOSED

    @property
    def invoiced(self) -> bool:
        """Crovver answered with an invoice: no Stripe event will ever tell of it."""
        return self.checkout is not None and not self.checkout.requires_payment

    def payable(self, now: int) -> bool:
        """Whether money may still come for this upgrade, as far as can be known without asking Stripe.

        An invoice stays payable, and a debit that is on its way may arrive, however old they are.
        """
        if self.session_over or self.requested_at is None:
            return False
        if self.closing in (Closing.REFUSED, Closing.NOT_SENT, Closing.HOLD_OVER):
            return False
        processing = self.completed_at is not None and self.paid_at is None
        return self.invoiced or processing or not self.lifetime_over(now)

    @property
    def counts_as_ask(self) -> bool:
        """Someone was asked to pay and did not, or Crovver refused: what must not go on for ever."""
        return self.closing not in (Closing.SUPERSEDED, Closing.NEED_GONE, Closing.NOT_SENT)

    @property
    def called(self) -> bool:
        """Crovver has been asked, or is being asked at this moment."""
        return self.state is not State.AWAITING_APPROVAL and not (self.state is State.REQUESTING and self.claim is None)

    def lifetime_over(self, now: int) -> bool:
        """The hosted checkout cannot be open any longer, even if no webhook said so."""
        return self.requested_at is not None and now >= self.requested_at + CHECKOUT_LIFETIME


def move(upgrade: Upgrade, to: State, at: int, **changes: object) -> Upgrade:
    """The upgrade in its next state, with the instant kept that belongs to it."""
    assert to in MOVES[upgrade.state], f"{upgrade.state} never becomes {to}"
    stamps: dict[str, object] = {}
    if to in CLOSED:
        stamps["closed_at"] = at
    if to is State.CONFIRMED:
        stamps["confirmed_at"] = at
    if to is State.PAID:
        stamps.update(paid_at=at, closed_at=None, closing=Closing.NONE)
    if to in (State.AWAITING_PAYMENT, State.INVOICED, State.PAID, State.CONFIRMED):
        stamps["reason"] = None
    return replace(upgrade, state=to, **{**stamps, **changes})  # type: ignore[arg-type]


def answer(upgrade: Upgrade, checkout: Checkout, at: int) -> Upgrade:
    """Crovver's answer to the checkout call is in. A state that is further along stays."""
    known = replace(upgrade, checkout=checkout, session=checkout.session or upgrade.session, claim=None)
    if upgrade.state in (State.REQUESTING, State.UNKNOWN):
        return move(known, State.AWAITING_PAYMENT if checkout.requires_payment else State.INVOICED, at)
    return known


def is_session_of(upgrade: Upgrade, payment: PaymentFact) -> bool:
    """The event names the upgrade's very session."""
    return upgrade.session == payment.session


def is_proration_of(upgrade: Upgrade, payment: PaymentFact) -> bool:
    """The event refers to the upgrade's proration."""
    proration = upgrade.checkout.proration_id if upgrade.checkout else None
    return payment.purpose in (None, PURPOSE) and proration is not None and proration in payment.references


def may_be_of(tenant: str) -> Callable[[Upgrade, PaymentFact], bool]:
    """Whether an event that refers to the tenant alone is about an upgrade of it whose session is not known.

    The tenant does not say which of its checkouts it was. So only a completed one counts, and only one that was
    completed after the call was made: money that came is never forgotten, but that some checkout has ended or failed is
    no news of this one.
    """

    def fits(upgrade: Upgrade, payment: PaymentFact) -> bool:
        if upgrade.requested_at is None or upgrade.session is not None or tenant not in payment.references:
            return False
        if payment.purpose not in (None, PURPOSE):
            return False
        if (
            upgrade.invoiced
            or upgrade.state is State.CONFIRMED
            or upgrade.closing in (Closing.REFUSED, Closing.NOT_SENT)
        ):
            return False  # no link of it was ever out, or it is done
        if payment.at and payment.at < upgrade.requested_at - CLOCKS_DIFFER:
            return False
        return payment.settles or (payment.event is PaymentEvent.COMPLETED and upgrade.open)

    return fits


def apply_payment(upgrade: Upgrade, payment: PaymentFact, now: int) -> Upgrade:
    """What a matching payment event makes of an upgrade. Late and repeated ones change nothing."""
    known = replace(upgrade, session=upgrade.session or payment.session)
    if payment.settles:
        if State.PAID in MOVES[known.state]:
            return move(known, State.PAID, now, session_over=True)
        return replace(known, paid_at=known.paid_at or now, session_over=True)
    if payment.event is PaymentEvent.COMPLETED:
        if known.state in (State.REQUESTING, State.UNKNOWN):
            known = move(known, State.AWAITING_PAYMENT, now)
        return replace(known, completed_at=known.completed_at or now)
    waiting = known.state in (State.REQUESTING, State.UNKNOWN, State.AWAITING_PAYMENT)
    if payment.event is PaymentEvent.ASYNC_FAILED:
        if waiting:
            failed = move(known, State.FAILED, now, closing=Closing.PAYMENT_FAILED, session_over=True)
            return replace(failed, reason="the payment failed")
        return replace(known, session_over=True)
    if waiting and known.completed_at is None:
        return expire(known, now)
    return replace(known, session_over=True)


def expire(upgrade: Upgrade, now: int) -> Upgrade:
    """The hosted checkout is over unpaid: expired, or cancelled where an operator had asked for that."""
    to = State.CANCELLED if upgrade.closing is Closing.OPERATOR else State.EXPIRED
    closing = upgrade.closing or Closing.SESSION_EXPIRED
    return move(upgrade, to, now, closing=closing, session_over=True)
