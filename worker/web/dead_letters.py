"""The operator API's dead letters: the messages of the queue that gave up."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.journal import Json
from worker.store.dead_letters import QUEUES
from worker.store.letters import letter_row, letter_view
from worker.web.answers import answer
from worker.web.auth import Endpoint, operator_routes
from worker.web.paths import id_in_path
from worker.web.problems import not_found
from worker.web.queries import bad_parameter, dead_letter_cursor, limit
from worker.web.services import Services

_PATH: Final = "/v1/dead-letters"


def dead_letter_routes(services: Services) -> list[Route]:
    """The routes, where an operator token is set."""
    dead_letters = services.dead_letters

    async def list_letters(request: Request) -> Response:
        queue = request.query_params.get("queue")
        if queue is not None and queue not in QUEUES:
            raise bad_parameter("queue", f"one of {', '.join(QUEUES)}")
        found, following = await dead_letters.list(queue, dead_letter_cursor(request), limit(request))
        rows: list[Json] = [letter_row(letter) for letter in found]
        return answer({"deadLetters": rows, "next": following})

    async def get_letter(request: Request) -> Response:
        letter = await dead_letters.get(_ident(request))
        if letter is None:
            raise not_found("this dead letter")
        return answer(letter_view(letter))

    def settled(settle: Callable[[str], Awaitable[bool]], outcome: str) -> Endpoint:
        async def done(request: Request) -> Response:
            ident = _ident(request)
            if not await settle(ident):
                raise not_found("this dead letter")
            return answer({"id": ident, "outcome": outcome})

        return done

    return operator_routes(
        services,
        [
            ("GET", _PATH, list_letters),
            ("GET", f"{_PATH}/{{deadLetterId:id}}", get_letter),
            ("POST", f"{_PATH}/{{deadLetterId:id}}/requeue", settled(dead_letters.requeue, "requeued")),
            ("POST", f"{_PATH}/{{deadLetterId:id}}/discard", settled(dead_letters.discard, "discarded")),
        ],
    )


def _ident(request: Request) -> str:
    ident = id_in_path(request, "deadLetterId")
    if ident is None:
        raise not_found("this dead letter")
    return ident
