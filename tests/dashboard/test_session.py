"""Sessions are signed, bound to the token and to time; foreign pages are told apart."""

import pytest
from starlette.requests import Request

from worker.web.dashboard.same_site import from_another_site, from_our_pages
from worker.web.dashboard.session import LIFETIME_SECONDS, Sessions, is_https

NOW = 1_790_000_000.0


def request(method: str = "POST", **headers: str) -> Request:
    named = {"host": "seats.test:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw, "scheme": "http"}
    return Request({**scope, "server": ("127.0.0.1", 8000)})


def test_a_session_is_read_back_until_it_is_over() -> None:
    sessions = Sessions("a token of sixteen")
    session, cookie = sessions.start(NOW)
    assert sessions.read(cookie, NOW) == session
    assert sessions.read(cookie, NOW + LIFETIME_SECONDS - 1) == session
    assert sessions.read(cookie, NOW + LIFETIME_SECONDS) is None
    assert sessions.read(cookie, NOW - 3600) is None


def test_each_session_is_another_and_so_is_its_form_token() -> None:
    sessions = Sessions("a token of sixteen")
    (one, _), (other, _) = sessions.start(NOW), sessions.start(NOW)
    assert one.id != other.id
    assert one.form_token != other.form_token


def test_another_operator_token_signs_everybody_out() -> None:
    _, cookie = Sessions("a token of sixteen").start(NOW)
    assert Sessions("another token of it").read(cookie, NOW) is None


def test_nothing_of_a_cookie_can_be_changed() -> None:
    sessions = Sessions("a token of sixteen")
    _, cookie = sessions.start(NOW)
    for at, char in enumerate(cookie):
        changed = cookie[:at] + ("1" if char != "1" else "2") + cookie[at + 1 :]
        assert sessions.read(changed, NOW) is None, f"character {at}"
    for forged in (
        None,
        "",
        "..",
        cookie + "0",
        cookie[:-1],
        "9" * 400,
        cookie.replace(".", "é"),
        "1.2.3",
        f" {cookie}",
    ):
        assert sessions.read(forged, NOW) is None


def test_the_form_token_does_not_tell_the_cookie() -> None:
    sessions = Sessions("a token of sixteen")
    session, cookie = sessions.start(NOW)
    assert session.form_token not in cookie
    assert session.id not in repr(session)


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "same-origin", "origin": "http://elsewhere.test"}, True),  # a proxy may rename the host
        ({"sec_fetch_site": "same-site", "origin": "http://seats.test:8000"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "http://seats.test:8000"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"origin": "http://seats.test:8000"}, True),
        ({"origin": "https://SEATS.test:8000"}, True),
        ({"origin": "http://seats.test"}, False),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_form_of_another_page_is_told_apart(headers: dict[str, str], ours: bool) -> None:
    assert from_our_pages(request(**headers)) is ours


def test_a_link_from_elsewhere_is_told_apart() -> None:
    assert from_another_site(request("GET", sec_fetch_site="cross-site"))
    assert not from_another_site(request("GET", sec_fetch_site="same-origin"))
    assert not from_another_site(request("POST", sec_fetch_site="cross-site"))


@pytest.mark.parametrize(
    ("headers", "https"),
    [
        ({}, False),
        ({"x_forwarded_proto": "https"}, True),
        ({"origin": "https://x.test"}, True),
        ({"origin": "http://x.test"}, False),
    ],
)
def test_cookies_are_for_https_alone_where_the_browser_speaks_it(headers: dict[str, str], https: bool) -> None:
    assert is_https(request(**headers)) is https
