"""Facts: everything that may happen to a tenant, as values in its inbox.

A fact says what happened, never what to do. Applying one twice, late or out of order changes nothing that a newer one
has already said; that is what makes an at-least-once inbox safe.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from worker.core.checkout import Checkout
from worker.core.credits import CreditPool


class Membership(StrEnum):
    """What a fact says about a user's seat."""

    ADDED = "added"
    REMOVED = "removed"


class UserFact(NamedTuple):
    """The host app added or removed a user. The newest one wins, by ``(at, id)``."""

    user: str
    membership: Membership
    at: int
    id: str
    email: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RosterUser:
    """A user as a roster snapshot names it."""

    user: str
    email: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RosterFact:
    """The full list of a tenant's users as of ``at``: whoever it does not name was removed by then."""

    users: tuple[RosterUser, ...]
    at: int
    id: str
    forced: bool = False


class PaymentEvent(StrEnum):
    """The Stripe events a checkout session goes through, without their ``checkout.session.`` prefix."""

    COMPLETED = "completed"
    ASYNC_SUCCEEDED = "async_payment_succeeded"
    ASYNC_FAILED = "async_payment_failed"
    EXPIRED = "expired"


SETTLED = ("paid", "no_payment_required")
"""The payment statuses of a completed session that leave nothing to wait for."""


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """Stripe said something about a checkout session.

    ``references`` are the values that may name a proration or a tenant: every metadata value and
    ``client_reference_id``. ``livemode`` is None where the event does not say. ``purpose`` is metadata ``event_type``
    (``seat_proration`` for ours). ``foreign`` marks an event of the other mode (live against test): it is journaled
    and changes nothing.
    """

    event: PaymentEvent
    session: str
    at: int
    id: str
    payment_status: str | None = None
    livemode: bool | None = None
    purpose: str | None = None
    references: tuple[str, ...] = ()
    foreign: bool = False

    @property
    def settles(self) -> bool:
        """Money has arrived (or none was due)."""
        if self.event is PaymentEvent.ASYNC_SUCCEEDED:
            return True
        return self.event is PaymentEvent.COMPLETED and self.payment_status in SETTLED


class OperatorAction(StrEnum):
    """What an operator can decide about an upgrade."""

    APPROVE = "approve"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class OperatorFact:
    """An operator decided about one upgrade."""

    action: OperatorAction
    upgrade: str
    at: int
    id: str


@dataclass(frozen=True, slots=True)
class HintFact:
    """Something suggests a look at Crovver: its webhook, an operator's reconcile, a sweep. Never truth by itself."""

    source: str
    at: int
    id: str
    credits: bool = False
    """The credit balances are wanted afresh, too."""


class CallOutcome(StrEnum):
    """How a call that changes something ended, as far as the caller can know."""

    STARTED = "started"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CheckoutFact:
    """How the checkout call that ``claim`` stands for ended."""

    upgrade: str
    claim: str
    outcome: CallOutcome
    at: int
    id: str
    checkout: Checkout | None = field(default=None)
    reason: str | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class SessionFact:
    """What Stripe answered when asked about an upgrade's session, or to find or expire it.

    ``open`` is None where that is not known: no answer, none that says so, or a search that met no session.
    """

    upgrade: str
    at: int
    id: str
    open: bool | None = None
    session: str | None = None
    url: str | None = field(default=None, repr=False)
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class AllocateFact:
    """How a bulk-allocate call ended: who holds a seat now, and who was turned away.

    ``complete`` says that every one of a full batch was newly seated, so that there may be more to do at once.
    """

    outcome: CallOutcome
    at: int
    id: str
    seated: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    reason: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True)
class CreditsFact:
    """What reading a tenant's credit balances brought: its pools, or else (None) why there was no answer."""

    at: int
    id: str
    pools: tuple[CreditPool, ...] | None = None
    reason: str | None = None


Outcome = CheckoutFact | SessionFact | AllocateFact | CreditsFact
"""How a call of our own ended: no news of a tenant that nobody knows."""

Fact = UserFact | RosterFact | PaymentFact | OperatorFact | HintFact | Outcome
