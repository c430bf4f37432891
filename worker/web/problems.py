"""Problems: every error answer is a problem document (RFC 9457)."""

import random
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from worker.core.journal import Json
from worker.store.errors import InboxFull, StoreBroken, StoreUnavailable, TenantBroken, TooFewReplicas
from worker.web.answers import answer

log = structlog.get_logger("worker.web")

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that is answered by a problem document.

    ``kind`` is the last part of its ``type``, for programs to tell problems of one status apart; '' where the status
    says it all. ``members`` stand in the document beside the standard ones.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        errors: Sequence[Mapping[str, Json]] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Json] | None = None,
    ) -> None:
        self.status, self.detail, self.kind = status, detail, kind
        self.errors, self.headers, self.members = errors, headers, members
        super().__init__(detail)

    def response(self) -> Response:
        """The problem as an answer."""
        document: dict[str, Json] = {
            "type": f"urn:seat-reconciler:problem:{self.kind}" if self.kind else "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [{**error} for error in self.errors]
        return answer({**document, **(self.members or {})}, self.status, media_type=MEDIA_TYPE, headers=self.headers)


def not_found(what: str) -> Problem:
    return Problem(404, f"{what} is not known here")


def come_back(detail: str, kind: str = "") -> Problem:
    """503 with a Retry-After of 1 to 5 seconds, so that those who were turned away do not all return at once."""
    return Problem(503, detail, kind=kind, headers={"Retry-After": str(random.randint(1, 5))})


PAGE: Final = "seats.problem_page"
"""Where a request's scope says how to show a problem to people: a function of the request and the problem."""


def respond(request: Request, problem: Problem) -> Response:
    """The problem as a document, or as a page where people asked."""
    page: Callable[[Request, Problem], Response] | None = request.scope.get(PAGE)
    return problem.response() if page is None else page(request, problem)


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return respond(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    details = {404: "there is nothing at this path", 405: "this path takes other methods: see the Allow header"}
    detail = details.get(error.status_code, error.detail)
    return respond(request, Problem(error.status_code, detail, headers=error.headers))


async def on_store_unavailable(request: Request, error: Exception) -> Response:
    # The reason may name the server's address, which is nobody's business out there: the log tells operators.
    log.warning("a request was turned away", reason=str(error))
    if isinstance(error, TooFewReplicas):
        return respond(request, come_back("the store can't promise to keep this just now: send it again"))
    return respond(request, come_back("the store can't be reached just now, nothing is promised: send it again"))


async def on_tenant_broken(request: Request, error: Exception) -> Response:
    assert isinstance(error, TenantBroken)
    log.error("a request met a tenant that can't be used", reason=str(error))
    detail = f"what is kept of tenant {error.tenant!r} can't be used until somebody mends it: the log says what"
    return respond(request, come_back(detail, kind="tenant-broken"))


async def on_store_broken(request: Request, error: Exception) -> Response:
    log.error("a request was turned away until somebody mends the store", reason=str(error))
    return respond(request, come_back("the store can't be used until somebody mends it: send it again later"))


async def on_inbox_full(request: Request, error: Exception) -> Response:
    assert isinstance(error, InboxFull)
    return respond(request, come_back(f"{error}: send it again later"))


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    StoreUnavailable: on_store_unavailable,
    InboxFull: on_inbox_full,
    TenantBroken: on_tenant_broken,
    StoreBroken: on_store_broken,
}
"""Which exception is answered how; anything else is a bug and answered by ``boundary``."""
