"""History: a tenant's past, in the form in which it can be replayed (``worker.core.replay``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.checkout import Checkout
from worker.core.facts import CallOutcome, OperatorAction, PaymentEvent
from worker.core.tenant import Tenant, TroubleKind


@dataclass(frozen=True, slots=True)
class Instant:
    """What was known from ``at`` on, until the next one.

    ``bought`` is by how much the capacity had just grown through an upgrade of ours. ``refused`` is a full list of
    users that was not believed: how many it would have removed, of how many.
    """

    at: int
    needed: int = 0
    active: int = 0
    missing: int = 0
    orphaned: int = 0
    capacity: int | None = None
    bought: int = 0
    trouble: TroubleKind | None = None
    trouble_since: int = 0
    refused: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a checkout call ended, ``after`` so long (microseconds). ``outcome`` None: nobody ever said."""

    after: int = 0
    outcome: CallOutcome | None = CallOutcome.STARTED
    invoice: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Stripe said something about a checkout."""

    event: PaymentEvent
    status: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A search at Stripe met the checkout whose answer was lost, open or expired."""

    open: bool


@dataclass(frozen=True, slots=True)
class Granted:
    """Crovver showed the seats that were asked for."""


What = Said | Found | Granted | OperatorAction


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to a checkout, ``after`` so long since its first call (microseconds)."""

    after: int
    what: What


@dataclass(frozen=True, slots=True)
class Fate:
    """How one checkout fared: the answers to its calls, in order, and what happened to it after the first of them."""

    answers: tuple[Answer, ...] = ()
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """What an operator said ``after`` being asked for so long. ``action`` None: nothing, until the end.

    ``later`` is what was said of it after that: a word to ask again, say.
    """

    after: int
    action: OperatorAction | None
    later: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert that was raised."""

    at: int
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class History:
    """A tenant's past from ``start`` to ``until``.

    ``tenant`` is its record as it stood at ``start``, as far as that is known. ``instants`` are at least one, the first
    at ``start``. ``fates`` are of the checkouts first called for from then on, in order, ``carried`` of those that
    were under way, by upgrade; ``usual`` stands in for a checkout beyond them. ``approvals`` likewise.
    """

    tenant: Tenant
    start: int
    until: int
    instants: tuple[Instant, ...]
    fates: tuple[Fate, ...] = ()
    carried: Mapping[str, Fate] = field(default_factory=dict)
    usual: Fate = Fate()
    approvals: tuple[Approval, ...] = ()
    usual_approval: Approval = Approval(0, OperatorAction.APPROVE)
    raised: tuple[Raised, ...] = ()


def imaginary_session(upgrade: str) -> str:
    """The id of a session that exists nowhere."""
    return f"cs_{upgrade}"


def imaginary_checkout(upgrade: str, *, invoice: bool) -> Checkout:
    """A checkout that exists nowhere: nobody can pay it."""
    url = None if invoice else f"https://replay.invalid/{imaginary_session(upgrade)}"
    return Checkout(f"proration_{upgrade}", url, requires_payment=not invoice)
