"""Bearer tokens."""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.secret import same
from worker.web.guesses import Guesses
from worker.web.problems import Problem
from worker.web.services import Services

Endpoint = Callable[[Request], Awaitable[Response]]


def bearer(request: Request) -> bytes:
    """The token the request carries; empty where it carries none."""
    # Starlette reads headers as Latin-1, which gives back the very bytes that were sent.
    header = request.headers.get("authorization", "").encode("latin-1")
    scheme, _, given = header.partition(b" ")
    return given.strip(b" ") if scheme.lower() == b"bearer" else b""


def is_one_of(given: bytes, tokens: Sequence[str]) -> bool:
    """Whether it is one of ``tokens``. Takes as long whichever it is."""
    matched = False
    for token in tokens:
        matched |= same(given, token)
    return matched


def guarded(endpoint: Endpoint, tokens: Sequence[str], what: str, guesses: Guesses | None = None) -> Endpoint:
    """The endpoint behind bearer tokens; ``what`` names the setting they stand in.

    ``guesses`` limits how many wrong ones an address may show. Without it there is no limit: where what is sent must
    not be lost, nobody may be able to keep others out.
    """

    async def guard(request: Request) -> Response:
        given = bearer(request)
        right = _guess(given, tokens, guesses, address_of(request)) if guesses else is_one_of(given, tokens)
        if not right:
            detail = f"this needs the header Authorization: Bearer, with {what}"
            raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="seats"'})
        return await endpoint(request)

    return guard


def _guess(given: bytes, tokens: Sequence[str], guesses: Guesses, address: str) -> bool:
    """Whether a token is right, and a note of it.

    Raises:
        Problem: 429, where this address has tried too many.
    """
    now = time.monotonic()
    wait = 0 if guesses.is_known(address, now) else guesses.wait(address, now)
    if wait > 0:
        headers = {"Retry-After": str(math.ceil(wait))}
        raise Problem(429, "too many different tokens have been tried from this address", headers=headers)
    right = is_one_of(given, tokens)
    if right:
        guesses.right(address, now)
    elif given:
        guesses.wrong(address, given, now)
    return right


def operator_routes(services: Services, routes: Iterable[tuple[str, str, Endpoint]]) -> list[Route]:
    """Routes, each a method, a path and an endpoint, behind the operator token; none at all where it is not set."""
    token = services.operator_token
    if not token:
        return []
    return [
        Route(path, guarded(endpoint, [token], "SEATS_OPERATOR_TOKEN", services.guesses), methods=[method])
        for method, path, endpoint in routes
    ]


def address_of(request: Request) -> str:
    """Where the request comes from: the peer, or who a trusted proxy says it speaks for (SEATS_TRUSTED_PROXIES)."""
    return request.client.host if request.client else ""
