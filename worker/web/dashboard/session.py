"""Sessions: a signed cookie. All the server keeps is which ones have been ended before their time.

The key is made from the operator token, so whoever changes the token signs everybody out. Every form carries a token
that is bound to the session (CSRF), made with the same key.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from worker.core.secret import same

COOKIE: Final = "seats_session"
LIFETIME_SECONDS: Final = 12 * 3600
CLOCKS_DIFFER_SECONDS: Final = 60
"""By how much the clocks of web processes may differ."""

_FORM: Final = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. ``form_token`` proves that a form was made for this very session."""

    id: str = field(repr=False)
    issued: int
    form_token: str = field(repr=False)


class Sessions:
    """Makes and reads sessions for one operator token."""

    def __init__(self, operator_token: str) -> None:
        self._key = hmac.digest(operator_token.encode(), b"seats dashboard: sessions", "sha256")

    def start(self, now: float) -> tuple[Session, str]:
        """A new session, and the cookie's value that stands for it."""
        ident, issued = secrets.token_urlsafe(16), int(now)
        return self._session(ident, issued), f"{issued}.{ident}.{self._mark('cookie', f'{issued}.{ident}')}"

    def read(self, cookie: str | None, now: float) -> Session | None:
        """The session that a cookie stands for; None where it is none, not ours, or over."""
        parts = _FORM.fullmatch(cookie or "")
        if parts is None:
            return None
        issued, ident, mark = parts.groups()
        if not same(mark, self._mark("cookie", f"{issued}.{ident}")):
            return None
        if not -CLOCKS_DIFFER_SECONDS <= now - int(issued) < LIFETIME_SECONDS:
            return None
        return self._session(ident, int(issued))

    def _session(self, ident: str, issued: int) -> Session:
        return Session(ident, issued, self._mark("form", ident))

    def _mark(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def set_cookie(response: Response, request: Request, value: str) -> None:
    """Give the browser its session. ``Strict``: no other site's link or form ever uses it."""
    response.set_cookie(
        COOKIE, value, max_age=LIFETIME_SECONDS, path="/", httponly=True, samesite="strict", secure=is_https(request)
    )


def drop_cookie(response: Response, request: Request) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=is_https(request))


def is_https(request: Request) -> bool:
    """Whether the browser speaks https to us or to the proxy before us. Who lies here only harms its own cookie."""
    said = (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())
    return "https" in said or request.headers.get("origin", "").lower().startswith("https://")
