"""What waits elsewhere: payments that match nothing, messages that gave up, and the history of alerts."""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.web.dashboard import badges
from worker.web.dashboard.gate import Action, Gate, Page
from worker.web.dashboard.render import is_partial, message, page, redirect
from worker.web.dashboard.session import Session
from worker.web.problems import not_found
from worker.web.queries import bad_parameter, dead_letter_cursor
from worker.web.services import Services

PAYMENTS_SHOWN: Final = 200
LETTERS: Final = 50
ALERTS: Final = 100

_QUESTIONS: Final = {
    "requeue": (
        "Put this message back on its queue?",
        "It is worked on again as if it had just been sent. Doing something twice does no harm here.",
    ),
    "discard": (
        "Drop this message for good?",
        "It can't be brought back. What it asked for is not done, unless something else asks for it too.",
    ),
}
_DONE: Final = {"requeue": "Put back on its queue.", "discard": "Dropped."}


def queue_routes(services: Services, gate: Gate) -> list[Route]:
    """The pages and what can be done on them."""
    store, letters = services.store, services.dead_letters

    async def payments(request: Request, session: Session) -> Response:
        parked, (census, counts) = await asyncio.gather(store.parked(PAYMENTS_SHOWN), badges.count(services))
        return page(
            request, "payments.html", session=session, now=services.now(), badges=counts,
            total=census.parked, payments=parked,
        )  # fmt: skip

    async def dead_letters(request: Request, session: Session) -> Response:
        (found, following), (_, counts) = await asyncio.gather(
            letters.list(None, dead_letter_cursor(request), LETTERS), badges.count(services)
        )
        return page(
            request, "dead_letters.html", session=session, now=services.now(), badges=counts,
            letters=found, following=following, done=_DONE.get(request.query_params.get("done", "")),
        )  # fmt: skip

    async def alerts(request: Request, session: Session) -> Response:
        (found, following), (_, counts) = await asyncio.gather(
            store.alerts(_alert_cursor(request), ALERTS), badges.count(services)
        )
        return page(
            request, "alerts.html", session=session, now=services.now(), badges=counts,
            alerts=found, following=following,
        )  # fmt: skip

    def question(action: str) -> Page:
        async def ask(request: Request, session: Session) -> Response:
            letter = await letters.get(request.path_params["letterId"])
            if letter is None:
                raise not_found("this message")
            title, explanation = _QUESTIONS[action]
            return page(
                request, "confirm_letter.html", session=session, now=services.now(), back="/dead-letters",
                title=title, letter=letter, action=action, explanation=explanation,
            )  # fmt: skip

        return ask

    def settle(action: str) -> Action:
        async def act(request: Request, _: Session, __: Mapping[str, str]) -> Response:
            work = letters.requeue if action == "requeue" else letters.discard
            if not await work(request.path_params["letterId"]):
                raise not_found("this message")
            if is_partial(request):
                return message(_DONE[action], good=True, refresh=True)
            return redirect(f"/dead-letters?done={action}")

        return act

    return [
        Route("/payments", gate.page(payments), methods=["GET"]),
        Route("/alerts", gate.page(alerts), methods=["GET"]),
        Route("/dead-letters", gate.page(dead_letters), methods=["GET"]),
        *(Route(f"/dead-letters/{{letterId:id}}/{a}", gate.page(question(a)), methods=["GET"]) for a in _QUESTIONS),
        *(Route(f"/dead-letters/{{letterId:id}}/{a}", gate.action(settle(a)), methods=["POST"]) for a in _QUESTIONS),
    ]


def _alert_cursor(request: Request) -> str | None:
    text = request.query_params.get("cursor")
    if text is not None and not re.fullmatch(r"[0-9]{1,15}", text):
        raise bad_parameter("cursor", "the next of an earlier page")
    return text
