"""Signing in with the operator token, and out again."""

import math
import re
import time
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.secret import same
from worker.web.auth import address_of
from worker.web.dashboard.forms import read_form
from worker.web.dashboard.gate import SIGN_IN, Gate, check_origin
from worker.web.dashboard.render import page, redirect
from worker.web.dashboard.session import LIFETIME_SECONDS, Session, Sessions, drop_cookie, set_cookie
from worker.web.services import Services

# A path of ours, as browsers send it. Two slashes, or a slash and a backslash, would lead to another site.
_OUR_PATH: Final = re.compile(r"/(?![/\\])[!-~]{0,2000}")


def sign_in_routes(services: Services, gate: Gate, sessions: Sessions) -> list[Route]:
    """The way in and the way out."""
    token, guesses = services.operator_token or "", services.guesses

    def form(request: Request, back: str, problem: str = "", status: int = 200) -> Response:
        now = services.now()
        return page(request, "sign_in.html", session=None, now=now, status=status, back=back, problem=problem)

    async def ask(request: Request) -> Response:
        back = _back(request.query_params.get("next"))
        return redirect(back) if await gate.session(request) else form(request, back)

    async def sign_in(request: Request) -> Response:
        check_origin(request)
        address = address_of(request)
        fields = await read_form(request)
        back = _back(fields.get("next"))
        # Another clock than the wall's, which may be set back.
        wait = guesses.wait(address, time.monotonic())
        if wait > 0:
            seconds = math.ceil(wait)
            answer = form(request, back, f"Too many failed sign-ins. Try again in {seconds} s.", 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        given = fields.get("token", "").strip().encode("utf-8", "surrogatepass")
        if not same(given, token):
            guesses.wrong(address, given, time.monotonic())
            services.log.warning("a sign-in failed", address=address)
            return form(request, back, "That is not the operator token.", 403)
        _, cookie = sessions.start(services.clock())
        answer = redirect(back)
        set_cookie(answer, request, cookie)
        return answer

    async def sign_out(request: Request, session: Session, _: Mapping[str, str]) -> Response:
        # A cookie that somebody has copied is worth nothing from here on either.
        await services.store.end_session(session.id, LIFETIME_SECONDS)
        answer = redirect(SIGN_IN)
        drop_cookie(answer, request)
        return answer

    return [
        Route(SIGN_IN, ask, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route("/sign-out", gate.action(sign_out), methods=["POST"]),
    ]


def _back(text: str | None) -> str:
    """Where to go after signing in: a path of ours, or the overview."""
    return text if text and _OUR_PATH.fullmatch(text) else "/"
