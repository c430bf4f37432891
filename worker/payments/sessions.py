"""Checkout sessions in Stripe: look them up, find them, expire them."""

import asyncio
import uuid
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog

from worker.core.times import SECOND
from worker.payments.document import is_text
from worker.payments.errors import PaymentsError, StripeRefused, StripeUnavailable
from worker.payments.references import references_of

if TYPE_CHECKING:
    import stripe
    from stripe.checkout import SessionService
    from stripe.params.checkout import SessionListParams

    from worker.payments.stripe_http import BoundedClient

log = structlog.get_logger(__name__)

MAX_PAGES: Final = 10
_PAGE_SIZE: Final = 100
_LONGEST_URL: Final = 8192


class ExpireOutcome(StrEnum):
    """How asking Stripe to expire a session ended. After ``NOT_OPEN`` it is as good as paid."""

    EXPIRED = "expired"
    ALREADY_EXPIRED = "already_expired"
    NOT_OPEN = "not_open"


@dataclass(frozen=True, slots=True)
class SessionState:
    """A checkout session as Stripe has it: ``status`` open, complete or expired; ``created`` in microseconds.

    ``purpose`` is metadata ``event_type``. ``url`` is where an open session is paid, a bearer secret.
    """

    id: str
    status: str | None
    payment_status: str | None
    references: tuple[str, ...]
    created: int
    purpose: str | None = None
    url: str | None = field(default=None, repr=False)


class StripeSessions:
    """Stripe's checkout sessions, for one API key, all in one event loop. Errors and reprs never show the key.

    Every HTTP call is made once and ends within ``timeout`` seconds: whoever asks will ask again anyway, and then sees
    what the first call did.

    Raises:
        ValueError: the key is no header value, or the base URL is none.
    """

    def __init__(self, api_key: str, base_url: str | None = None, *, timeout: float = 30.0) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise ValueError("the Stripe API key must be plain ASCII without spaces or line ends")
        self._api_key = api_key
        self._base_url = _checked(base_url)
        self._timeout = timeout
        self._opened: tuple[SessionService, BoundedClient] | None = None

    async def get(self, session: str) -> SessionState:
        """The session as it is now.

        Raises:
            StripeUnavailable, StripeRefused (``not_found`` where there is none)
        """
        what = "look a checkout session up"
        return _state(await self._call(what, self._sessions.retrieve_async(_id(session))), what)

    async def expire(self, session: str) -> ExpireOutcome:
        """Make the session unpayable. Safe to repeat.

        Raises:
            StripeUnavailable: no usable answer; it may be expired or not.
            StripeRefused: the key may not do this, or there is no such session.
        """
        what = "expire a checkout session"
        try:
            answer = await self._call(what, self._sessions.expire_async(_id(session)))
        except StripeRefused as refused:
            if refused.status != 400 or refused.not_found:
                raise
        else:
            if _state(answer, what).status != "expired":
                raise StripeUnavailable(what, "it answered with a session that is not expired")
            return ExpireOutcome.EXPIRED
        # A 400 says in prose only that the session is not open; which of the two it is, the session itself says.
        match (await self.get(session)).status:
            case "expired":
                return ExpireOutcome.ALREADY_EXPIRED
            case "complete":
                return ExpireOutcome.NOT_OPEN
        raise StripeUnavailable(what, "it refused, although the session is neither expired nor complete", status=400)

    async def find(self, references: set[str], created_after: int) -> tuple[SessionState, ...]:
        """Sessions created at or after an instant (microseconds) that carry one of ``references``, newest first.

        An empty answer is proof that there is none: where the account has more sessions than are read (1,000) and
        none of those fits, that is ``StripeUnavailable``, not an empty answer.

        Raises:
            StripeUnavailable, StripeRefused
        """
        what = "list checkout sessions"
        found: list[SessionState] = []
        params: SessionListParams = {"limit": _PAGE_SIZE, "created": {"gte": max(created_after, 0) // SECOND}}
        for _ in range(MAX_PAGES):
            page = await self._call(what, self._sessions.list_async(params))
            states = [_state(row, what) for row in _rows(page, what)]
            found += [state for state in states if not references.isdisjoint(state.references)]
            if page.get("has_more") is not True:
                return tuple(found)
            if not states or states[-1].id == params.get("starting_after"):
                raise StripeUnavailable(what, "its list of sessions does not come to an end")
            params = {**params, "starting_after": states[-1].id}
        if not found:
            raise StripeUnavailable(what, f"more than {MAX_PAGES * _PAGE_SIZE} sessions since then, none of them fits")
        return tuple(found)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened[1].aclose()

    @property
    def _sessions(self) -> "SessionService":
        if self._opened is None:
            import stripe

            from worker.payments.stripe_http import BoundedClient

            http = BoundedClient(timeout=self._timeout)
            client = stripe.StripeClient(
                self._api_key,
                http_client=http,
                max_network_retries=0,
                base_addresses={"api": self._base_url} if self._base_url else {},
            )
            self._opened = client.v1.checkout.sessions, http
        return self._opened[0]

    async def _call(self, what: str, call: Awaitable["stripe.StripeObject"]) -> Mapping[str, object]:
        ident = uuid.uuid4().hex[:12]
        try:
            answer = await self._once(what, call)
        except PaymentsError as error:
            log.info("Stripe was called", call=ident, what=what, outcome="failed", reason=str(error))
            raise
        log.debug("Stripe was called", call=ident, what=what, outcome="ok")
        return answer

    async def _once(self, what: str, call: Awaitable["stripe.StripeObject"]) -> Mapping[str, object]:
        trouble: PaymentsError = StripeUnavailable(what, "its answer makes no sense")
        try:
            async with asyncio.timeout(self._timeout):
                answer = await call
            response = answer.last_response
            data: object = response.data if response is not None else None
            if isinstance(data, dict):
                return data
        except TimeoutError:
            trouble = StripeUnavailable(what, f"it took longer than {self._timeout:g} s")
        except Exception as error:
            # The library meets an answer that makes no sense with AttributeError, RecursionError and others.
            trouble = self._trouble(what, error)
        # Raised out here so that no library exception, whose request holds the key, stays attached as a context.
        raise trouble

    def _trouble(self, what: str, error: Exception) -> PaymentsError:
        import stripe

        if isinstance(error, stripe.APIConnectionError):
            return StripeUnavailable(what, "it could not be reached, or its answer was cut")
        if not isinstance(error, stripe.StripeError) or error.http_status is None or error.http_status < 300:
            return StripeUnavailable(what, "its answer makes no sense")
        status = error.http_status
        wait = _wait(error.headers)
        if isinstance(error, stripe.RateLimitError) or status == 429:
            return StripeUnavailable(what, "too many calls", status=status, retry_after=wait)
        # 409: another call works on the same object at this moment.
        if not 400 <= status < 500 or status in (408, 409):
            return StripeUnavailable(what, f"answer {status}", status=status, retry_after=wait)
        said = error.user_message if error.error is not None else None
        words = said.replace(self._api_key, "[key]") if isinstance(said, str) else f"answer {status}"
        return StripeRefused(what, words, status=status, code=_text(error.code))


def _rows(page: Mapping[str, object], what: str) -> list[Mapping[str, object]]:
    rows = page.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise StripeUnavailable(what, "its answer makes no sense")
    return rows


def _state(row: Mapping[str, object], what: str) -> SessionState:
    session, created, metadata = row.get("id"), row.get("created"), row.get("metadata")
    if not is_text(session) or isinstance(created, bool) or not isinstance(created, int) or created < 0:
        raise StripeUnavailable(what, "its answer makes no sense")
    known = metadata if isinstance(metadata, dict) else {}
    return SessionState(
        id=str(session),
        status=_text(row.get("status")),
        payment_status=_text(row.get("payment_status")),
        references=references_of(known, row.get("client_reference_id")),
        created=created * SECOND,
        purpose=_text(known.get("event_type")),
        url=_link(row.get("url")),
    )


def _link(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not value.isprintable() or " " in value:
        return None
    return value if value.startswith(("https://", "http://")) else None


def _text(value: object) -> str | None:
    return str(value) if is_text(value) else None


def _id(session: str) -> str:
    if not is_text(session) or session in (".", ".."):
        raise StripeRefused("find a checkout session", "that is no session id", status=404)
    return session


def _wait(headers: Mapping[str, str] | None) -> int | None:
    value = (headers or {}).get("retry-after", "")
    return min(int(value), 24 * 3600) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _checked(base_url: str | None) -> str | None:
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError("the Stripe base URL must look like https://api.stripe.com")
    return base_url.rstrip("/")
