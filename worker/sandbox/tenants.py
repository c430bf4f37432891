"""A tenant and its subscription, as the sandbox keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .period import BillingPeriod
from .seats import Seats


class Provider(StrEnum):
    """Who takes the tenant's payments. Only Stripe has checkouts; the others get invoices."""

    STRIPE = "stripe"
    KHALTI = "khalti"
    ESEWA = "esewa"


class WebhookFate(StrEnum):
    """What becomes of the Stripe events of a tenant."""

    DELIVER = "deliver"
    LOST = "lost"
    TWICE = "twice"


class LimitBehavior(StrEnum):
    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class CreditPool:
    """A pool of credits. How much is used follows from ``limit`` and ``base_remaining``."""

    display_name: str
    base_remaining: int
    addon_remaining: int
    limit: int
    limit_behavior: LimitBehavior = LimitBehavior.HARD
    next_expiry: str | None = None

    @property
    def usage_percent(self) -> int:
        """Percent of the plan's credits consumed, whole, from 0 to 100."""
        if self.limit <= 0:
            return 0
        return max(0, min(100, (self.limit - self.base_remaining) * 100 // self.limit))


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a tenant pays for, and how the sandbox is to treat it.

    ``capacity`` counts seats, ``price_per_seat`` is in minor units of ``currency``. ``apply_delay`` is how many seconds
    after a payment the capacity follows, None for never. ``checkout_lifetime`` of None takes the sandbox's.
    """

    capacity: int
    provider: Provider
    period: BillingPeriod
    active: bool = True
    price_per_seat: int = 100
    currency: str = "usd"
    min_seats: int = 1
    max_seats: int | None = None
    plan_id: str | None = None
    apply_delay: float | None = 0
    checkout_lifetime: float | None = None
    webhooks: WebhookFate = WebhookFate.DELIVER
    credits: Mapping[str, CreditPool] = field(default_factory=dict)


@dataclass(slots=True)
class Tenant:
    """A tenant: its subscription is replaced as a whole when anything about it changes."""

    id: str
    subscription: Subscription
    seats: Seats

    @property
    def exceeded(self) -> bool:
        return self.seats.active_count > self.subscription.capacity

    @property
    def utilization(self) -> int | float:
        """Active seats in percent of the capacity: whole where it is whole, else two digits."""
        if self.subscription.capacity == 0:
            return 100 if self.seats.active_count else 0
        percent = round(self.seats.active_count * 100 / self.subscription.capacity, 2)
        return int(percent) if percent.is_integer() else percent
