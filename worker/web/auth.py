"""Bearer tokens."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.web.problems import Problem

Endpoint = Callable[[Request], Awaitable[Response]]


def signed_in(request: Request, tokens: Sequence[str]) -> bool:
    """Whether the request carries one of ``tokens``. Takes as long whichever it is."""
    # Starlette reads headers as Latin-1, which gives back the very bytes that were sent.
    header = request.headers.get("authorization", "").encode("latin-1")
    scheme, _, given = header.partition(b" ")
    matched = False
    for token in tokens:
        # Anyone can send the empty token.
        matched |= hmac.compare_digest(given.strip(b" "), token.encode()) and bool(token)
    return matched and scheme.lower() == b"bearer"


def guarded(endpoint: Endpoint, tokens: Sequence[str], what: str) -> Endpoint:
    """The endpoint behind bearer tokens; ``what`` names the setting they stand in."""

    async def guard(request: Request) -> Response:
        if not signed_in(request, tokens):
            detail = f"this needs the header Authorization: Bearer, with {what}"
            raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="seats"'})
        return await endpoint(request)

    return guard


def operator_routes(token: str | None, routes: Iterable[tuple[str, str, Endpoint]]) -> list[Route]:
    """Routes, each a method, a path and an endpoint, behind the operator token; none at all where it is not set."""
    if not token:
        return []
    return [
        Route(path, guarded(endpoint, [token], "SEATS_OPERATOR_TOKEN"), methods=[method])
        for method, path, endpoint in routes
    ]
