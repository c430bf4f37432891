"""POST /v1/events: the door for seat events."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.events import BadEvents, Batch, NotJSON, TooManyEvents, read_event, read_events
from worker.metrics.catalogue import FACTS_ACCEPTED
from worker.web.answers import answer
from worker.web.auth import guarded
from worker.web.bodies import media_type, read_body
from worker.web.problems import Problem
from worker.web.services import Services

LARGEST_BODY: Final = 1_048_576

JSON: Final = "application/json"
ONE: Final = "application/cloudevents+json"
MANY: Final = "application/cloudevents-batch+json"


def event_routes(services: Services) -> list[Route]:
    """The route, where ingest tokens are set."""

    async def publish(request: Request) -> Response:
        kind = media_type(request, (ONE, MANY, JSON))
        body = await read_body(request, LARGEST_BODY)
        caller = request.headers.get("traceparent", "")
        with services.spans.span("POST /v1/events", "server", parent=caller) as trace:
            batch = _batch(kind, body, services.now(), services.policy.retention.tombstones)
            if batch.facts:
                await services.store.append(batch.facts, settle=services.settle, trace=trace)
                services.meters.count(FACTS_ACCEPTED.name, batch.count, door="events")
            services.spans.note(accepted=batch.count)
        return answer({"accepted": batch.count}, 202)

    if not services.ingest_tokens:
        return []
    guard = guarded(publish, services.ingest_tokens, "one of SEATS_INGEST_TOKENS")
    return [Route("/v1/events", guard, methods=["POST"])]


def _batch(kind: str, body: bytes, now: int, lifetime: int | None) -> Batch:
    is_array = body.lstrip(b" \t\r\n")[:1] == b"["
    if is_array and kind == ONE:
        raise Problem(400, f"{ONE} is one event, not an array: send {MANY}")
    if not is_array and kind == MANY:
        raise Problem(400, f"{MANY} is a JSON array of events")
    try:
        return read_events(body, now, lifetime) if is_array else read_event(body, now, lifetime)
    except NotJSON as error:
        raise Problem(400, f"{error}; nothing was accepted") from None
    except TooManyEvents as error:
        raise Problem(413, f"{error}; nothing was accepted") from None
    except BadEvents as error:
        bad = len({problem.index for problem in error.problems})
        raise Problem(
            400,
            f"{bad} of the events can't be understood, so nothing was accepted",
            kind="bad-events",
            errors=[{"index": one.index, "field": one.field, "reason": one.reason} for one in error.problems],
        ) from None
