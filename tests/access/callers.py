"""Everybody who might come along, and what they carry: nothing, something wrong, somebody else's, the right thing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.access.routes import Door, Key, Row
from tests.dashboard.browser import OURS
from tests.web.site import (
    CROVVER_SECRET,
    INGEST,
    NOW,
    OPERATOR,
    OTHER_INGEST,
    STRIPE_SECRET,
    an_event,
    crovver_headers,
    stripe_event,
    stripe_headers,
)
from worker.web.dashboard.session import COOKIE, LIFETIME_SECONDS, Sessions

FOREIGN = {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}
SESSIONS = Sessions(OPERATOR)
SESSION, _COOKIE = SESSIONS.start(NOW)

BODIES: Mapping[Door, bytes] = {
    Door.STRIPE: json.dumps(stripe_event()).encode(),
    Door.CROVVER: json.dumps({"id": "evt_c", "type": "subscription.updated", "data": {}}).encode(),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """What somebody sends. ``lets_in`` are the doors it opens; ``signs`` makes headers for a body.

    ``form`` are the fields of a form where the route takes one; ``query`` is added to the path.
    """

    name: str
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    lets_in: frozenset[Door] = frozenset()
    form: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    signs: Callable[[bytes], Mapping[str, str]] | None = None

    @property
    def signed_in(self) -> bool:
        return Door.PAGE in self.lets_in

    def body(self, key: Key, row: Row) -> tuple[bytes, dict[str, str | bytes]]:
        """The body of a request and its headers."""
        headers: dict[str, str | bytes] = {}
        if row.door in (Door.FORM, Door.SIGN_IN):
            body = urlencode(self.form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif row.door is Door.INGEST:
            body = json.dumps(an_event(tenantId="other") if key[0] == "POST" else {"users": []}).encode()
            headers["Content-Type"] = "application/json"
        else:
            body = BODIES.get(row.door, b"")
        return body, {**headers, **self.headers, **(self.signs(body) if self.signs else {})}


def _bearer(name: str, token: str | bytes, *doors: Door) -> Caller:
    value = b"Bearer " + token if isinstance(token, bytes) else f"Bearer {token}"
    return Caller(name, {"Authorization": value}, frozenset(doors))


def _cookie(name: str, value: str, *doors: Door, **headers: str) -> Caller:
    return Caller(name, {"Cookie": f"{COOKIE}={value}", **headers}, frozenset(doors))


def _forged() -> str:
    stamp, ident, mark = _COOKIE.split(".")
    return f"{int(stamp) + 1}.{ident}.{mark}"


_CSRF = {"form_token": SESSION.form_token}
_WRONG_CSRF = {"form_token": "0" * 64}
_SIGN_IN = {"token": OPERATOR}
_WITH_COOKIE = {"Cookie": f"{COOKIE}={_COOKIE}"}
_OTHER_SESSION, _ = SESSIONS.start(NOW)

CALLERS: tuple[Caller, ...] = (
    Caller("no credentials"),
    Caller("an empty header", {"Authorization": ""}),
    Caller("a scheme without a token", {"Authorization": "Bearer"}),
    _bearer("an empty token", ""),
    Caller("the token without a scheme", {"Authorization": OPERATOR}),
    Caller("another scheme", {"Authorization": f"Basic {OPERATOR}"}),
    Caller("a comma for a space", {"Authorization": f"Bearer,{OPERATOR}"}),
    Caller("two schemes", {"Authorization": f"Bearer Bearer {OPERATOR}"}),
    _bearer("a wrong token", "wrong-token-of-nobody-01"),
    _bearer("the token's beginning", OPERATOR[:-1]),
    _bearer("the token and more", OPERATOR + "x"),
    _bearer("the token in capitals", OPERATOR.upper()),
    _bearer("the token twice", f"{OPERATOR} {OPERATOR}"),
    _bearer("bytes that are no text", b"\xff\xfe\x80"),
    _bearer("a token that is not ASCII", "жетон-оператора-0001".encode()),
    _bearer("the token and a lone surrogate", OPERATOR.encode() + b"\xed\xa0\x80"),
    _bearer("a very long token", "x" * 8_000),
    _bearer("the ingest token", INGEST, Door.INGEST),
    _bearer("the other ingest token", OTHER_INGEST, Door.INGEST),
    _bearer("both ingest tokens", f"{INGEST},{OTHER_INGEST}"),
    _bearer("the operator token", OPERATOR, Door.OPERATOR),
    Caller("the operator token, shouted", {"Authorization": f"BEARER {OPERATOR}"}, frozenset({Door.OPERATOR})),
    _bearer("Stripe's webhook secret", STRIPE_SECRET),
    _bearer("Crovver's webhook secret", CROVVER_SECRET),
    _bearer("a key of Crovver", "sk_test_of_the_tests_0001"),
    _bearer("the session's cookie", _COOKIE),
    _bearer("the form's token", SESSION.form_token),
    Caller("the token in the query", query=f"?token={OPERATOR}&access_token={OPERATOR}"),
    Caller("the token as a cookie", {"Cookie": f"{COOKIE}={OPERATOR}; token={OPERATOR}"}),
    Caller("the token in another header", {"X-Api-Key": OPERATOR, "Proxy-Authorization": f"Bearer {OPERATOR}"}),
    Caller("a proxy's word for who it is", {"X-Forwarded-User": "operator", "X-Forwarded-For": "127.0.0.1"}),
    Caller("the sign-in form", OURS, frozenset({Door.SIGN_IN}), _SIGN_IN),
    Caller("the sign-in form of another site", FOREIGN, form=_SIGN_IN),
    Caller("the sign-in form of nowhere", form=_SIGN_IN),
    Caller("the sign-in form with a wrong token", OURS, form={"token": "wrong-token-of-nobody-02"}),
    Caller("the sign-in form with the ingest token", OURS, form={"token": INGEST}),
    Caller("the sign-in form with another script", OURS, form={"token": "ключ", "form_token": "ключ"}),
    Caller("a cookie and the form", {**OURS, **_WITH_COOKIE}, frozenset({Door.PAGE, Door.FORM}), _CSRF),
    Caller("a cookie without the form's token", {**OURS, **_WITH_COOKIE}, frozenset({Door.PAGE})),
    Caller("a cookie and a wrong form's token", {**OURS, **_WITH_COOKIE}, frozenset({Door.PAGE}), _WRONG_CSRF),
    Caller(
        "a cookie and the form of another session", {**OURS, **_WITH_COOKIE}, frozenset({Door.PAGE}),
        {"form_token": _OTHER_SESSION.form_token},
    ),
    Caller("a cookie and the form, from another site", {**FOREIGN, **_WITH_COOKIE}, frozenset({Door.PAGE}), _CSRF),
    Caller("a cookie and the form, from nowhere", _WITH_COOKIE, frozenset({Door.PAGE}), _CSRF),
    Caller("the form without a cookie", OURS, form=_CSRF),
    _cookie("a cookie that is over", SESSIONS.start(NOW - LIFETIME_SECONDS)[1], **OURS),
    _cookie("a cookie of tomorrow", SESSIONS.start(NOW + 86_400)[1], **OURS),
    _cookie("a forged cookie", _forged(), **OURS),
    _cookie("a cookie of another server", Sessions("the operator token of another server").start(NOW)[1], **OURS),
    _cookie("a cookie of a server without a token", Sessions("").start(NOW)[1], **OURS),
    _cookie("an empty cookie", "", **OURS),
    Caller("Stripe's signature", lets_in=frozenset({Door.STRIPE}), signs=stripe_headers),
    Caller("Stripe's signature, too old", signs=lambda body: stripe_headers(body, at=NOW - 3_600)),
    Caller("Stripe's signature, too far ahead", signs=lambda body: stripe_headers(body, at=NOW + 3_600)),
    Caller("Stripe's signature of another body", signs=lambda body: stripe_headers(body + b" ")),
    Caller("Stripe's signature with Crovver's secret", signs=lambda body: stripe_headers(body, CROVVER_SECRET)),
    Caller("Stripe's signature with the operator token", signs=lambda body: stripe_headers(body, OPERATOR)),
    Caller("Stripe's signature with no secret", signs=lambda body: stripe_headers(body, "")),
    Caller("Crovver's signature", lets_in=frozenset({Door.CROVVER}), signs=crovver_headers),
    Caller("Crovver's signature of another body", signs=lambda body: crovver_headers(body + b" ")),
    Caller("Crovver's signature with Stripe's secret", signs=lambda body: crovver_headers(body, STRIPE_SECRET)),
    Caller("Crovver's signature with no secret", signs=lambda body: crovver_headers(body, "")),
)  # fmt: skip


def expected(row: Row, caller: Caller) -> int:
    """What a route answers a caller. This is the whole of who may do what."""
    if row.door in caller.lets_in:
        return row.answer
    if row.door is Door.OPEN:
        # Whoever is signed in need not sign in.
        return 303 if row.path == "/sign-in" and caller.signed_in else row.answer
    if row.door in (Door.INGEST, Door.OPERATOR):
        return 401
    if row.door in (Door.STRIPE, Door.CROVVER):
        return 400
    if row.door is Door.PAGE:
        # Whoever follows a link from another site is asked to come again, from here.
        return 200 if caller.headers.get("Sec-Fetch-Site") == "cross-site" else 303
    from_our_page = caller.headers.get("Sec-Fetch-Site") == "same-origin"
    if row.door is Door.FORM and from_our_page and not caller.signed_in:
        return 303
    return 403
