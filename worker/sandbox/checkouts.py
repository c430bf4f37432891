"""Checkouts and invoices: what was asked for, and how its payment stands."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from .proration import Proration

MAX_CHECKOUTS = 10_000


class CheckoutState(StrEnum):
    """The states of a Stripe checkout session; an invoice is only ever open or complete."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class PaymentStatus(StrEnum):
    PAID = "paid"
    UNPAID = "unpaid"
    NOT_REQUIRED = "no_payment_required"


class Debit(StrEnum):
    """A bank debit: the customer is done, the money comes later or not at all."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Checkout:
    """One proration. ``session`` and ``url`` are None where the provider gets an invoice instead."""

    proration_id: str
    tenant: str
    new_capacity: int
    proration: Proration
    session: str | None
    url: str | None = field(repr=False)
    created_at: float
    expires_at: float
    plan_id: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    state: CheckoutState = CheckoutState.OPEN
    payment: PaymentStatus = PaymentStatus.UNPAID
    debit: Debit | None = None
    declines: int = 0
    applied: bool = False

    @property
    def key(self) -> str:
        """What it is called by: the session id, or the proration id of an invoice."""
        return self.session or self.proration_id

    @property
    def is_invoice(self) -> bool:
        return self.session is None


class TooManyCheckouts(Exception):
    """Every checkout that the sandbox keeps is still open."""

    def __init__(self) -> None:
        super().__init__(f"the sandbox keeps {MAX_CHECKOUTS:,} open checkouts at most; POST /sandbox/reset")


class Checkouts:
    """Checkouts in the order they were made; the oldest that is not open makes room for a new one."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Checkout] = OrderedDict()

    def __iter__(self) -> Iterator[Checkout]:
        return iter(list(self._by_key.values()))

    def newest_first(self) -> list[Checkout]:
        return list(reversed(self._by_key.values()))

    def get(self, key: str) -> Checkout | None:
        return self._by_key.get(key)

    def add(self, checkout: Checkout) -> None:
        """Keep a new checkout.

        Raises:
            TooManyCheckouts: no closed one to drop for it.
        """
        if len(self._by_key) >= MAX_CHECKOUTS:
            closed = next((kept.key for kept in self if kept.state is not CheckoutState.OPEN), None)
            if closed is None:
                raise TooManyCheckouts
            del self._by_key[closed]
        self._by_key[checkout.key] = checkout

    def put(self, checkout: Checkout) -> Checkout:
        """Replace a checkout by its next state."""
        self._by_key[checkout.key] = checkout
        return checkout

    def clear(self) -> None:
        self._by_key.clear()
