"""Crovver's answers as typed values: strict on what decides, lenient on what merely decorates.

Each function reads the ``data`` of one endpoint (seeds 000, 003, 004) and raises ``Nonsense`` with the place, never
the value, that can't be what is documented.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from worker.core.allocation import Allocation, Summary
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool, LimitBehavior
from worker.core.times import parse_instant
from worker.crovver.envelope import Nonsense, data_of
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.crovver.words import one_line, plain

_MOST = 1_000_000_000
_EXACT = 2**53
_ID = 1024
_URL = 8192
_POOLS = 1000
_ROWS = 1000


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    if not -_EXACT <= value <= _EXACT:
        raise ValueError("out of range")
    return int(value)


def _count(value: object) -> int:
    number = _whole(value)
    if not 0 <= number <= _MOST:
        raise ValueError("out of range")
    return number


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _name(value: object) -> str:
    # Lone surrogates parse as JSON and then fail wherever the text is written to a wire or a disk.
    if not isinstance(value, str) or not 1 <= len(value) <= _ID or _torn(value):
        raise ValueError("not an id")
    return value


def _torn(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _label(value: object) -> str | None:
    return (one_line(value, 320) or None) if isinstance(value, str) else None


def _remark(value: object) -> str | None:
    return (plain(value) or None) if isinstance(value, str) else None


def _amount(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared, not math.isfinite: that overflows on an integer of 400 digits. NaN compares false.
    return value if abs(value) <= _EXACT else None


def _instant(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_instant(value)
    except (ValueError, OverflowError):
        return None


Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_count)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Id = Annotated[str, BeforeValidator(_name)]
Label = Annotated[str | None, BeforeValidator(_label)]
Remark = Annotated[str | None, BeforeValidator(_remark)]
Amount = Annotated[int | float | None, BeforeValidator(_amount)]
Users = Annotated[tuple[Any, ...], Field(max_length=_ROWS)]
Instant = Annotated[int | None, BeforeValidator(_instant)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Row(_Part):
    external_user_id: Id = Field(alias="externalUserId")
    status: Literal["active", "removed"]
    allocated_at: Instant = Field(default=None, alias="allocatedAt")
    removed_at: Instant = Field(default=None, alias="removedAt")
    email: Label = None
    name: Label = None

    def value(self) -> Allocation:
        active = self.status == "active"
        at = self.allocated_at if active else self.removed_at or self.allocated_at
        return Allocation(self.external_user_id, active, at or 0, self.email, self.name)


class _Capacity(_Part):
    active_count: Count = Field(alias="activeCount")
    capacity_units: Count = Field(alias="capacityUnits")
    exceeded: Flag


class _Pagination(_Part):
    total: Count
    page: Count
    total_pages: Count = Field(alias="totalPages")
    has_next_page: Flag = Field(alias="hasNextPage")


class _Allocations(_Part):
    allocations: Annotated[tuple[_Row, ...], FailFast(), Field(max_length=_ROWS)]
    capacity: _Capacity
    pagination: _Pagination


class _Checkout(_Part):
    proration_id: Any = Field(default=None, alias="prorationId")
    checkout_url: Any = Field(default=None, alias="checkoutUrl")
    requires_payment: Any = Field(default=None, alias="requiresPayment")
    proration_amount: Amount = Field(default=None, alias="prorationAmount")
    proration_details: Any = Field(default=None, alias="prorationDetails")
    message: Remark = None


class _Pool(_Part):
    pool_key: Any = Field(default=None, alias="poolKey")
    display_name: Label = Field(default=None, alias="displayName")
    base_remaining: Whole | None = Field(default=None, alias="baseRemaining")
    addon_remaining: Whole | None = Field(default=None, alias="addonRemaining")
    total: Whole | None = None
    limit: Whole | None = None
    limit_behavior: Any = Field(default=None, alias="limitBehavior")
    next_expiry: Instant = Field(default=None, alias="nextExpiry")
    usage_percent: Amount = Field(default=None, alias="usagePercent")


class _Room(_Part):
    active_count: Count | None = Field(default=None, alias="activeCount")
    capacity_units: Count | None = Field(default=None, alias="capacityUnits")


class _Bulk(_Part):
    allocated: Users = ()
    skipped: Users = ()
    rejected: Users = ()
    capacity: _Room | None = None


_POOL_MAP: TypeAdapter[dict[str, _Pool]] = TypeAdapter(Annotated[dict[str, _Pool], Field(max_length=_POOLS)])

Read = TypeVar("Read")


def allocations_page(body: bytes) -> AllocationsPage:
    """GET /capacity/allocations. A page with one unreadable row is no page: counting on it would lose a seat."""
    page = _fit(_Allocations.model_validate, data_of(body))
    return AllocationsPage(
        rows=tuple(row.value() for row in page.allocations),
        summary=Summary(
            active_count=page.capacity.active_count,
            capacity_units=page.capacity.capacity_units,
            exceeded=page.capacity.exceeded,
            total=page.pagination.total,
        ),
        page=page.pagination.page,
        total_pages=page.pagination.total_pages,
        has_next=page.pagination.has_next_page,
    )


def checkout(body: bytes) -> Checkout:
    """POST /capacity/proration-checkout: a payable link, or an invoice with its id."""
    answer = _fit(_Checkout.model_validate, data_of(body))
    proration = _proration(answer.proration_id)
    if answer.checkout_url is not None:
        if not _payable(answer.checkout_url):
            raise Nonsense("data.checkoutUrl is not an http(s) URL")
        requires = answer.requires_payment if isinstance(answer.requires_payment, bool) else True
        url = str(answer.checkout_url)
    else:
        if answer.requires_payment is not False:
            raise Nonsense("data wants a payment but has no checkoutUrl")
        if proration is None:
            raise Nonsense("data has neither a checkoutUrl nor a prorationId")
        requires, url = False, None
    return Checkout(
        proration_id=proration,
        url=url,
        requires_payment=requires,
        amount=answer.proration_amount,
        details=_details(answer.proration_details),
        message=answer.message,
    )


def credit_pools(body: bytes) -> Mapping[str, CreditPool]:
    """GET /credits/balance: empty where the tenant has no active subscription."""
    pools = _fit(_POOL_MAP.validate_python, data_of(body))
    read = [_pool(key, pool) for key, pool in pools.items()]
    # The keys of the object are the pools' names; two that are cut to the same are told as one.
    return {pool.key: pool for pool in read}


def bulk_allocation(body: bytes, *, status: int) -> BulkAllocation:
    """POST /capacity/bulk-allocate. A 207 is partly refused, so its ``success`` may be either."""
    answer = _fit(_Bulk.model_validate, data_of(body, success_optional=status == 207))
    room = answer.capacity or _Room()
    return BulkAllocation(
        allocated=_users(answer.allocated),
        skipped=_users(answer.skipped),
        rejected=_users(answer.rejected),
        active_count=room.active_count,
        capacity_units=room.capacity_units,
    )


def _fit(read: Callable[[object], Read], data: object) -> Read:
    try:
        return read(data)
    except ValidationError as error:
        place = ".".join(str(part) for part in ("data", *error.errors(include_input=False)[0]["loc"]))
    raise Nonsense(f"{plain(place, 100)} is missing or not as documented")


def _proration(value: object) -> str | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT else value
    return text if isinstance(text, str) and 1 <= len(text) <= 255 and not _torn(text) else None


def _payable(url: object) -> bool:
    # Half a surrogate pair is not printable either.
    if not isinstance(url, str) or len(url) > _URL or " " in url or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _details(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    shown: dict[str, str] = {}
    for key, item in list(value.items())[:20]:
        if isinstance(item, str) or (_amount(item) is not None):
            shown[plain(str(key), 64)] = plain(str(item))
    return shown


def _pool(key: str, pool: _Pool) -> CreditPool:
    behavior = pool.limit_behavior
    return CreditPool(
        key=one_line(key, 255),
        name=pool.display_name or one_line(key, 255),
        base_remaining=pool.base_remaining,
        addon_remaining=pool.addon_remaining,
        total=pool.total,
        limit=pool.limit,
        limit_behavior=LimitBehavior(behavior) if behavior in ("hard", "soft") else None,
        next_expiry=pool.next_expiry,
        usage_percent=pool.usage_percent,
    )


def _users(items: tuple[object, ...]) -> tuple[str, ...]:
    """Ids out of plain ids or objects with ``externalUserId``: the entries' shape is not documented."""
    users: list[str] = []
    for index, item in enumerate(items):
        user = item.get("externalUserId") if isinstance(item, dict) else item
        try:
            users.append(_name(user))
        except ValueError:
            raise Nonsense(f"entry {index} of a list of users names no user") from None
    return tuple(users)
