"""GET /api/public/capacity/allocations (seed 000) and POST /api/public/capacity/count."""

from enum import StrEnum

from starlette.responses import Response

from ..answers import Refused, success
from ..keys import must_be_authorized
from ..public_call import PublicCall
from ..seats import Seat
from ..state import SandboxState
from ..tenants import Tenant
from ..times import iso
from .lookup import required_text, subscribed_tenant

DEFAULT_LIMIT = 50
MAX_LIMIT = 100


class StatusFilter(StrEnum):
    ACTIVE = "active"
    REMOVED = "removed"
    ALL = "all"


def allocations(state: SandboxState, call: PublicCall) -> Response:
    """One page of allocations, oldest first, with the summary of the whole subscription."""
    must_be_authorized(state.config, call)
    tenant_id = required_text(call.query.get("requestingEntityId"), "requestingEntityId")
    wanted = _status(call.query.get("status", "active"))
    page = _number(call.query.get("page", "1"), "page", least=1, most=1_000_000)
    limit = _number(call.query.get("limit", str(DEFAULT_LIMIT)), "limit", least=1, most=MAX_LIMIT)
    tenant = subscribed_tenant(state, tenant_id)
    seats = [seat for seat in tenant.seats if wanted is StatusFilter.ALL or _status_of(seat) == wanted]
    total_pages = -(-len(seats) // limit)
    return success(
        {
            "allocations": [_allocation(seat) for seat in seats[(page - 1) * limit : page * limit]],
            "capacity": capacity_summary(tenant),
            "pagination": {
                "total": len(seats),
                "page": page,
                "limit": limit,
                "totalPages": total_pages,
                "hasNextPage": page < total_pages,
                "hasPreviousPage": page > 1,
            },
        }
    )


def count(state: SandboxState, call: PublicCall) -> Response:
    """The summary alone."""
    must_be_authorized(state.config, call)
    tenant = subscribed_tenant(state, required_text(call.body.get("requestingEntityId"), "requestingEntityId"))
    return success(capacity_summary(tenant) | {"billingMode": "recurring"})


def capacity_summary(tenant: Tenant) -> dict[str, object]:
    return {
        "activeCount": tenant.seats.active_count,
        "capacityUnits": tenant.subscription.capacity,
        "utilizationPercentage": tenant.utilization,
        "exceeded": tenant.exceeded,
    }


def _allocation(seat: Seat) -> dict[str, object]:
    return {
        "externalUserId": seat.user,
        "email": seat.email,
        "name": seat.name,
        "status": _status_of(seat).value,
        "allocatedAt": iso(seat.allocated_at),
        "removedAt": iso(seat.removed_at) if seat.removed_at else None,
        "metadata": dict(seat.metadata),
    }


def _status_of(seat: Seat) -> StatusFilter:
    return StatusFilter.ACTIVE if seat.active else StatusFilter.REMOVED


def _status(text: str) -> StatusFilter:
    try:
        return StatusFilter(text)
    except ValueError:
        raise Refused(400, "status must be one of: active, removed, all") from None


def _number(text: str, name: str, *, least: int, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not least <= number <= most:
        raise Refused(400, f"{name} must be a number from {least} to {most}")
    return number
