"""PUT /v1/tenants/{tenantId}/roster: a tenant's full list of users."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Annotated, Final, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import TypedDict

from worker.core.facts import RosterFact, RosterUser
from worker.core.journal import Json
from worker.core.roster import MOST_USERS
from worker.events import Email, Ident, Name, NotJSON, Time, details, field_of, read_json, reason_of
from worker.metrics.catalogue import FACTS_ACCEPTED
from worker.store.interface import Store
from worker.store.snapshot import effect_of
from worker.web.answers import answer
from worker.web.auth import guarded
from worker.web.bodies import media_type, read_body
from worker.web.paths import id_in_path
from worker.web.problems import Problem
from worker.web.queries import flag
from worker.web.services import Services

LARGEST_BODY: Final = 16 * 1_048_576
ERRORS_LISTED: Final = 1_000


class RosterBodyUser(TypedDict):
    """A user of the snapshot."""

    userId: Ident
    email: NotRequired[Email]
    name: NotRequired[Name]


class RosterBody(TypedDict):
    """Every user of the tenant as of a time; whoever is not named was removed by then."""

    users: Annotated[list[RosterBodyUser], Field(max_length=MOST_USERS)]
    asOf: NotRequired[Time]


ROSTER: Final[TypeAdapter[RosterBody]] = TypeAdapter(RosterBody)


def roster_routes(services: Services) -> list[Route]:
    """The route, where ingest tokens are set."""

    async def put_roster(request: Request) -> Response:
        forced = flag(request, "force")
        tenant = id_in_path(request, "tenantId")
        if tenant is None:
            raise Problem(400, "the tenant id in the path must be 1 to 255 characters, no control characters")
        media_type(request, ("application/json",))
        body = await read_body(request, LARGEST_BODY)
        # A large roster takes a good part of a second to read, and others are waiting.
        lifetime = services.policy.retention.tombstones
        fact = await asyncio.to_thread(read_roster, body, services.now(), forced, lifetime)
        if not forced:
            await _refuse_drastic(services.store, tenant, fact)
        await services.store.append({tenant: [fact]}, settle=services.settle)
        services.meters.count(FACTS_ACCEPTED.name, door="roster")
        return answer({"accepted": len(fact.users)}, 202)

    if not services.ingest_tokens:
        return []
    guard = guarded(put_roster, services.ingest_tokens, "one of SEATS_INGEST_TOKENS")
    return [Route("/v1/tenants/{tenantId:id}/roster", guard, methods=["PUT"])]


def read_roster(body: bytes, now: int, forced: bool, lifetime: int | None = None) -> RosterFact:
    """The fact in a snapshot's JSON.

    Raises:
        Problem: 400 or 413, naming what is wrong.
    """
    try:
        roster = read_json(ROSTER, body, now, lifetime)
    except NotJSON as error:
        raise Problem(400, str(error)) from None
    except ValidationError as error:
        found = details(error)
        if any(one["type"] == "too_long" for one in found):
            raise Problem(413, f"a roster holds at most {MOST_USERS:,} users") from None
        raise _bad_roster([_error(one) for one in found]) from None
    users = roster["users"]
    if repeated := _repeated([user["userId"] for user in users]):
        raise _bad_roster([{"index": at, "field": "userId", "reason": "is named twice"} for at in repeated])
    as_of = roster.get("asOf")
    return RosterFact(
        tuple(RosterUser(user["userId"], user.get("email"), user.get("name")) for user in users),
        now if as_of is None else as_of,
        f"ros_{uuid.uuid4().hex}",
        forced,
    )


async def _refuse_drastic(store: Store, tenant: str, fact: RosterFact) -> None:
    effect = await effect_of(store, tenant, fact)
    if not effect.drastic:
        return
    raise Problem(
        409,
        f"this roster would remove {effect.removed} of the {effect.needed} users, which is more likely a mistake than "
        "a wish: nothing was taken. If it is meant, send it again with ?force=true",
        kind="drastic-roster",
        members={"removed": effect.removed, "needed": effect.needed, "named": len(fact.users)},
    )


def _repeated(users: Sequence[str]) -> list[int]:
    """The indexes of users that have been named before."""
    if len(set(users)) == len(users):
        return []
    seen: set[str] = set()
    return [index for index, user in enumerate(users) if user in seen or seen.add(user)]  # type: ignore[func-returns-value]


def _error(error: ErrorDetails) -> dict[str, Json]:
    """The index is that of the user; null where the error is about the roster as a whole."""
    place = error["loc"]
    if len(place) >= 2 and place[0] == "users" and isinstance(place[1], int):
        return {"index": place[1], "field": field_of(place[2:]), "reason": reason_of(error)}
    return {"index": None, "field": field_of(place), "reason": reason_of(error)}


def _bad_roster(errors: list[dict[str, Json]]) -> Problem:
    more = "" if len(errors) <= ERRORS_LISTED else f"; the first {ERRORS_LISTED:,} of {len(errors):,} errors are listed"
    detail = f"the roster can't be understood, so nothing was accepted{more}"
    return Problem(400, detail, kind="bad-roster", errors=errors[:ERRORS_LISTED])
