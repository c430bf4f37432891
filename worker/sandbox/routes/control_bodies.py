"""What the control API takes, checked by pydantic; unknown members are refused."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from ..faults import Endpoint, Fault, FaultKind
from ..period import BillingPeriod
from ..seats import Seat, Seats
from ..tenants import CreditPool, LimitBehavior, Provider, Subscription, Tenant, WebhookFate

MAX_TAKEN = 50_000
DAYS_REMAINING = 17
Id = Annotated[str, Field(min_length=1, max_length=255)]
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
_COMMITS_BY_ITSELF = frozenset({FaultKind.LOST, FaultKind.CUT})


class Body(BaseModel):
    """camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class UserBody(Body):
    """A user with a seat. A plain string in its place is a user id."""

    external_user_id: Id
    email: str | None = None
    name: str | None = None
    allocated_at: AwareDatetime | None = None
    removed_at: AwareDatetime | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_id(cls, value: object) -> object:
        return {"externalUserId": value} if isinstance(value, str) else value

    def seat(self, now: datetime) -> Seat:
        return Seat(
            self.external_user_id, self.allocated_at or now, self.removed_at, self.email, self.name, self.metadata
        )


class PoolBody(Body):
    display_name: str | None = None
    base_remaining: Count
    addon_remaining: Count = 0
    limit: Count
    limit_behavior: LimitBehavior = LimitBehavior.HARD
    next_expiry: str | None = None

    def pool(self, key: str) -> CreditPool:
        return CreditPool(
            self.display_name or key.replace("_", " ").title(),
            self.base_remaining,
            self.addon_remaining,
            self.limit,
            self.limit_behavior,
            self.next_expiry,
        )


class SubscriptionBody(Body):
    """Settings of a subscription; those left out keep their default (PUT) or their value (PATCH)."""

    capacity: Count = 10
    provider: Provider = Provider.STRIPE
    subscribed: bool = True
    price_per_seat: Count = 100
    currency: Literal["usd", "eur", "gbp", "npr"] | None = None
    min_seats: Count = 1
    max_seats: Count | None = None
    plan_id: str | None = None
    period_days: Annotated[int, Field(ge=1, le=366)] = 30
    days_remaining: Annotated[int, Field(ge=1, le=366)] | None = None
    apply_delay_seconds: Seconds | None = 0
    checkout_lifetime_seconds: Seconds | None = None
    webhooks: WebhookFate = WebhookFate.DELIVER
    credits: Annotated[dict[str, PoolBody], Field(max_length=100)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _days_fit(self) -> Self:
        if self.days_remaining and "period_days" in self.model_fields_set and self.days_remaining > self.period_days:
            raise ValueError("daysRemaining is more than periodDays")
        return self

    def subscription(self, now: datetime) -> Subscription:
        days_left = min(self.days_remaining or DAYS_REMAINING, self.period_days)
        return Subscription(
            capacity=self.capacity,
            provider=self.provider,
            period=BillingPeriod.with_days_left(self.period_days, days_left, now),
            active=self.subscribed,
            price_per_seat=self.price_per_seat,
            currency=self.currency or ("usd" if self.provider is Provider.STRIPE else "npr"),
            min_seats=self.min_seats,
            max_seats=self.max_seats,
            plan_id=self.plan_id,
            apply_delay=self.apply_delay_seconds,
            checkout_lifetime=self.checkout_lifetime_seconds,
            webhooks=self.webhooks,
            credits={key: pool.pool(key) for key, pool in self.credits.items()},
        )


class TenantBody(SubscriptionBody):
    """A whole tenant. ``taken`` seats are filled up with invented users behind those named."""

    taken: Annotated[int, Field(ge=0, le=MAX_TAKEN)] | None = None
    users: Annotated[list[UserBody], Field(max_length=MAX_TAKEN)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _users_fit(self) -> Self:
        if len({user.external_user_id for user in self.users}) < len(self.users):
            raise ValueError("a user is named twice")
        if self.taken is not None and self.taken < sum(user.removed_at is None for user in self.users):
            raise ValueError("taken is less than the users named")
        return self

    def tenant(self, tenant_id: str, now: datetime) -> Tenant:
        seats = Seats(user.seat(now) for user in self.users)
        number = len(self.users)
        while seats.active_count < (self.taken or 0):
            number += 1
            moment = now + timedelta(microseconds=number)
            seats.allocate(Seat(f"member_{number}", moment, email=f"member_{number}@example.com", name=None))
        return Tenant(tenant_id, self.subscription(now), seats)


class SeatsBody(Body):
    users: Annotated[list[UserBody], Field(min_length=1, max_length=MAX_TAKEN)]


class WebhooksBody(Body):
    stripe_url: str | None = None
    stripe_secret: str | None = None
    crovver_url: str | None = None
    crovver_secret: str | None = None


class FaultBody(Body):
    """A fault. ``times`` of null lasts until it is deleted; ``afterCommit`` is true by itself for cut and lost."""

    endpoint: Endpoint | Literal["*"] = "*"
    tenant: str | None = None
    kind: FaultKind
    seconds: Seconds | None = None
    retry_after: Seconds | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    times: Annotated[int, Field(ge=1, le=1_000_000)] | None = 1
    after_commit: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _kind_may_be_a_number(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("kind"), int):
            return value | {"kind": str(value["kind"])}
        return value

    def fault(self) -> Fault:
        patience = {FaultKind.HANG: 3600.0, FaultKind.LATENCY: 1.0}
        return Fault(
            endpoint=str(self.endpoint),
            kind=self.kind,
            tenant=self.tenant,
            seconds=patience.get(self.kind, 0.0) if self.seconds is None else self.seconds,
            retry_after=self.retry_after,
            status=self.status,
            times=self.times,
            after_commit=self.kind in _COMMITS_BY_ITSELF if self.after_commit is None else self.after_commit,
        )
