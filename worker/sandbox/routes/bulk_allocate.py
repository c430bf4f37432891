"""POST /api/public/capacity/bulk-allocate: give seats to up to 100 users, as far as the capacity goes."""

from collections.abc import Mapping

from starlette.responses import Response

from ..answers import Refused, success
from ..keys import must_be_authorized
from ..public_call import PublicCall
from ..seats import Seat
from ..state import SandboxState
from ..times import now
from .lookup import required_text, subscribed_tenant

MAX_USERS = 100


def bulk_allocate(state: SandboxState, call: PublicCall) -> Response:
    """Allocate in the order given; active users are skipped, those beyond the capacity rejected (then 207)."""
    must_be_authorized(state.config, call)
    tenant_id = required_text(call.body.get("requestingEntityId"), "requestingEntityId")
    users = _users(call.body.get("users"))
    metadata = call.body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Refused(400, "metadata must be an object")
    tenant = subscribed_tenant(state, tenant_id)
    allocated, skipped, rejected = [], [], []
    capacity, moment = tenant.subscription.capacity, now()
    for user, member in users.items():
        if tenant.seats.holds(user):
            skipped.append(user)
        elif tenant.seats.active_count >= capacity:
            rejected.append(user)
        else:
            seat = Seat(user, moment, email=_text(member, "email"), name=_text(member, "name"), metadata=metadata)
            tenant.seats.allocate(seat)
            allocated.append(user)
    data: dict[str, object] = {
        "allocated": allocated,
        "skipped": skipped,
        "rejected": rejected,
        "capacity": {"activeCount": tenant.seats.active_count, "capacityUnits": capacity},
    }
    if not rejected:
        return success(data)
    data["message"] = (
        f"{len(allocated)} user(s) allocated. {len(rejected)} user(s) rejected — capacity limit of {capacity} reached."
    )
    return success(data, 207)


def _users(listed: object) -> dict[str, Mapping[str, object]]:
    """The users by id, in order."""
    if not isinstance(listed, list) or not listed:
        raise Refused(400, "users is required")
    if len(listed) > MAX_USERS:
        raise Refused(400, f"Batch size exceeds limit. Maximum {MAX_USERS} users per request.")
    users: dict[str, Mapping[str, object]] = {}
    for member in listed:
        if not isinstance(member, dict):
            raise Refused(400, "users must be a list of objects")
        user = required_text(member.get("externalUserId"), "externalUserId")
        if user in users:
            raise Refused(400, "Duplicate externalUserId values found within the batch")
        users[user] = member
    return users


def _text(member: Mapping[str, object], name: str) -> str | None:
    value = member.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} must be a string")
    return value
