"""The part of Stripe's API that concerns checkout sessions, under ``/stripe/v1/``.

``stripe.StripeClient(key, base_addresses={"api": base + "/stripe"})`` works against it. Lists are newest first.
"""

from starlette.responses import JSONResponse, Response

from ..answers import Refused
from ..checkouts import Checkout
from ..payments import NotPossible
from ..public_call import PublicCall
from ..state import SandboxState
from ..stripe_objects import session_object

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
_COMPARISONS = ("gt", "gte", "lt", "lte")


class StripeRefused(Refused):
    """A refusal in Stripe's own shape."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(status, message)
        given = {"code": code, "message": message, "param": param, "type": "invalid_request_error"}
        self._error = {name: value for name, value in given.items() if value is not None}

    def answer(self) -> JSONResponse:
        return JSONResponse({"error": self._error}, self.status)


def list_sessions(state: SandboxState, call: PublicCall) -> Response:
    """Sessions newest first: ``limit``, ``starting_after``, ``status``, ``created[gte]`` and its like."""
    _must_have_key(call)
    limit = _whole(call, "limit") or DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise StripeRefused(400, f"This value must be between 1 and {MAX_LIMIT}.", param="limit")
    sessions = [checkout for checkout in state.checkouts.newest_first() if not checkout.is_invoice]
    after = call.query.get("starting_after")
    if after is not None:
        sessions = sessions[sessions.index(_session(state, after, "starting_after")) + 1 :]
    wanted = call.query.get("status")
    sessions = [session for session in sessions if _created_fits(call, session) and wanted in (None, session.state)]
    return JSONResponse(
        {
            "object": "list",
            "data": [session_object(session) for session in sessions[:limit]],
            "has_more": len(sessions) > limit,
            "url": "/v1/checkout/sessions",
        }
    )


def retrieve_session(state: SandboxState, call: PublicCall) -> Response:
    """One session by id."""
    _must_have_key(call)
    return JSONResponse(session_object(_session(state, call.path["session"], "session")))


def expire_session(state: SandboxState, call: PublicCall) -> Response:
    """Expire an open session; anything else is refused with 400, as Stripe does."""
    _must_have_key(call)
    session = _session(state, call.path["session"], "session")
    try:
        return JSONResponse(session_object(state.payments.expire(session)))
    except NotPossible as error:
        raise StripeRefused(
            400,
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Session has a status of {session.state}.",
        ) from error


def _must_have_key(call: PublicCall) -> None:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith(("sk_test_", "rk_test_")):
        raise StripeRefused(401, "Invalid API Key provided.")


def _session(state: SandboxState, session_id: str, param: str) -> Checkout:
    checkout = state.checkouts.get(session_id)
    if checkout is None or checkout.is_invoice:
        raise StripeRefused(404, f"No such checkout.session: {session_id}", "resource_missing", param)
    return checkout


def _created_fits(call: PublicCall, session: Checkout) -> bool:
    created = int(session.created_at)
    gt, gte, lt, lte = (_whole(call, f"created[{comparison}]") for comparison in _COMPARISONS)
    return (
        (gt is None or created > gt)
        and (gte is None or created >= gte)
        and (lt is None or created < lt)
        and (lte is None or created <= lte)
    )


def _whole(call: PublicCall, name: str) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise StripeRefused(400, f"Invalid integer: {text}", "parameter_invalid_integer", name)
    return int(text)
