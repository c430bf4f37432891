"""Looking checkout sessions up in Stripe, finding and expiring them."""

import asyncio
import gzip
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from worker.payments.errors import PaymentsError, StripeRefused, StripeUnavailable
from worker.payments.sessions import ExpireOutcome, SessionState, StripeSessions

from .fake_stripe import FakeStripe, Reply, error, reply, serving

Result = TypeVar("Result")
KEY = "rk_test_TopSecret"
SECOND = 1_000_000


def session(number: int = 1, status: str | None = "open", **members: object) -> dict[str, object]:
    return {
        "id": f"cs_test_{number}", "object": "checkout.session", "status": status, "payment_status": "unpaid",
        "created": 1_777_629_600 + number, "metadata": {"event_type": "seat_proration", "proration": f"p{number}"},
        "client_reference_id": None, "url": "https://checkout.stripe.com/c/pay/cs_test_1#fid", **members,
    }  # fmt: skip


def play(
    answer: Callable[[str, str, str], Reply | None],
    act: Callable[[StripeSessions, FakeStripe], Awaitable[Result]],
    *,
    timeout: float = 5.0,
) -> Result:
    async def run() -> Result:
        async with serving(answer) as fake:
            sessions = StripeSessions(KEY, fake.url, timeout=timeout)
            try:
                return await act(sessions, fake)
            finally:
                await sessions.aclose()

    return asyncio.run(run())


async def get(sessions: StripeSessions, _: FakeStripe) -> SessionState:
    return await sessions.get("cs_test_1")


async def expire(sessions: StripeSessions, _: FakeStripe) -> ExpireOutcome:
    return await sessions.expire("cs_test_1")


def always(answered: Reply | None) -> Callable[[str, str, str], Reply | None]:
    return lambda method, target, form: answered


def test_a_session_is_read_member_by_member() -> None:
    assert play(always(reply(session(client_reference_id="t"))), get) == SessionState(
        id="cs_test_1",
        status="open",
        payment_status="unpaid",
        references=("t", "seat_proration", "p1"),
        created=1_777_629_601 * SECOND,
        purpose="seat_proration",
        url="https://checkout.stripe.com/c/pay/cs_test_1#fid",
    )


@pytest.mark.parametrize(
    "url", [None, "", 5, "javascript:x", "https://x/ y", "https://x/\ud800", "https://x/" + "y" * 9000]
)
def test_a_url_nobody_can_pay_at_is_none(url: object) -> None:
    assert play(always(reply(session(url=url))), get).url is None


def test_a_session_never_shows_its_payable_url() -> None:
    assert "checkout.stripe.com" not in repr(play(always(reply(session())), get))


def test_it_asks_stripes_documented_routes_with_the_key_and_without_telemetry() -> None:
    async def act(sessions: StripeSessions, fake: FakeStripe) -> None:
        await sessions.get("cs_test_1")
        await sessions.expire("cs_test_1")
        await sessions.find({"p"}, 1_777_629_600 * SECOND + 5)
        assert [(method, urlsplit(target).path) for method, target in fake.asked] == [
            ("GET", "/v1/checkout/sessions/cs_test_1"),
            ("POST", "/v1/checkout/sessions/cs_test_1/expire"),
            ("GET", "/v1/checkout/sessions"),
        ]
        assert parse_qs(urlsplit(fake.asked[2][1]).query) == {"limit": ["100"], "created[gte]": ["1777629600"]}
        for headers in fake.headers:
            assert headers["authorization"] == f"Bearer {KEY}"
            assert "x-stripe-client-telemetry" not in headers
            assert "platform" not in headers["x-stripe-client-user-agent"]

    def answer(method: str, target: str, form: str) -> Reply:
        if method == "POST":
            return reply(session(status="expired"), headers={"request-id": "req_1"})
        if "?" in target:
            return reply({"object": "list", "data": [], "has_more": False})
        return reply(session(), headers={"request-id": "req_1"})

    play(answer, act)


def test_an_open_session_is_expired() -> None:
    assert play(always(reply(session(status="expired"))), expire) is ExpireOutcome.EXPIRED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("expired", ExpireOutcome.ALREADY_EXPIRED), ("complete", ExpireOutcome.NOT_OPEN)],
)
def test_why_a_session_could_not_be_expired_is_read_from_the_session(status: str, outcome: ExpireOutcome) -> None:
    def answer(method: str, target: str, form: str) -> Reply:
        return error(400, "not in an expireable state") if method == "POST" else reply(session(status=status))

    assert play(answer, expire) is outcome


@pytest.mark.parametrize("status", ["open", None])
def test_a_session_that_is_open_and_refuses_to_expire_is_looked_at_again_later(status: str | None) -> None:
    def answer(method: str, target: str, form: str) -> Reply:
        return error(400, "no") if method == "POST" else reply(session(status=status))

    with pytest.raises(StripeUnavailable):
        play(answer, expire)


def test_a_200_that_did_not_expire_anything_is_not_believed() -> None:
    with pytest.raises(StripeUnavailable):
        play(always(reply(session(status="open"))), expire)


@pytest.mark.parametrize("act", [get, expire])
@pytest.mark.parametrize(
    ("answered", "credentials", "not_found"),
    [
        (error(401, f"Invalid API Key provided: {KEY}"), True, False),
        (error(403, "The provided key does not have the required permissions"), True, False),
        (error(404, "No such checkout.session", code="resource_missing"), False, True),
        ((404, b"<html>", {}), False, True),
        ((403, b"", {}), True, False),
    ],
)
def test_a_no_is_a_no(
    act: Callable[[StripeSessions, FakeStripe], Awaitable[object]], answered: Reply, credentials: bool, not_found: bool
) -> None:
    with pytest.raises(StripeRefused) as caught:
        play(always(answered), act)
    assert (caught.value.credentials, caught.value.not_found) == (credentials, not_found)
    assert "TopSecret" not in str(caught.value)


@pytest.mark.parametrize("act", [get, expire])
@pytest.mark.parametrize(
    "answered",
    [
        None, (500, b"", {}), (502, b"<html>", {}), error(500, "x"), error(409, "locked", code="lock_timeout"),
        error(429, "slow"), error(400, "slow", code="rate_limit"), (408, b"", {}), (302, b"", {"location": "http://x/"}),
        (200, b"", {}), (200, b"<html>", {}), reply([]), reply(None), reply(5), reply({}), reply({"id": 5}),
        reply(session(created="x")), reply(session(created=True)), reply(session(id=None)), (200, b"[" * 100_000, {}),
        (200, b"\xff", {}), reply({"error": []}, 400), reply({"error": {"message": 5, "code": []}}, 500),
        (200, gzip.compress(b"{}"), {"content-encoding": "gzip"}), (200, b" " * 9_000_000, {}),
    ],
)  # fmt: skip
def test_what_may_pass_is_unavailable_and_asked_once(
    act: Callable[[StripeSessions, FakeStripe], Awaitable[object]], answered: Reply | None
) -> None:
    async def once(sessions: StripeSessions, fake: FakeStripe) -> int:
        with pytest.raises(StripeUnavailable) as caught:
            await act(sessions, fake)
        assert str(caught.value).isprintable()
        trace: BaseException | None = caught.value
        while trace is not None:
            assert isinstance(trace, PaymentsError)
            trace = trace.__cause__ or trace.__context__
        return len(fake.asked)

    assert play(always(answered), once) == 1


def test_a_rate_limit_says_how_long() -> None:
    answered = reply({"error": {"message": "slow"}}, 429, {"Retry-After": "7"})
    with pytest.raises(StripeUnavailable) as caught:
        play(always(answered), get)
    assert caught.value.retry_after == 7


def test_a_stripe_that_is_not_there_or_silent_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StripeUnavailable):
            asyncio.run(StripeSessions(KEY, url, timeout=0.2).get("cs_1"))
    with pytest.raises(StripeUnavailable, match="could not be reached"):
        asyncio.run(StripeSessions(KEY, url, timeout=2).get("cs_1"))


def listing(total: int, wanted: set[int]) -> Callable[[str, str, str], Reply]:
    """Sessions numbered from ``total`` down to 1, newest first, as Stripe pages them."""

    def answer(method: str, target: str, form: str) -> Reply:
        query = parse_qs(urlsplit(target).query)
        after = query.get("starting_after")
        start = total if after is None else int(after[0].removeprefix("cs_test_")) - 1
        numbers = range(start, max(start - 100, 0), -1)
        rows = [session(n, metadata={"x": "wanted" if n in wanted else "other"}) for n in numbers]
        return reply({"object": "list", "data": rows, "has_more": start > 100, "url": "/v1/checkout/sessions"})

    return answer


async def find(sessions: StripeSessions, fake: FakeStripe) -> tuple[list[str], int]:
    return [state.id for state in await sessions.find({"wanted"}, 0)], len(fake.asked)


def test_sessions_are_found_on_any_page_newest_first() -> None:
    assert play(listing(250, {3, 150, 249}), find) == (["cs_test_249", "cs_test_150", "cs_test_3"], 3)


def test_an_empty_list_means_that_there_is_none() -> None:
    assert play(listing(250, set()), find) == ([], 3)


def test_no_more_than_ten_pages_are_read_and_finding_none_there_proves_nothing() -> None:
    assert play(listing(5000, {4999}), find) == (["cs_test_4999"], 10)
    with pytest.raises(StripeUnavailable):
        play(listing(5000, {1}), find)


@pytest.mark.parametrize(
    "page",
    [{"data": [], "has_more": True}, {"data": [session()], "has_more": True}, {"data": 5}, {}, {"data": [5]}],
)
def test_a_list_that_makes_no_sense_is_unavailable(page: object) -> None:
    with pytest.raises(StripeUnavailable):
        play(always(reply(page)), find)


@pytest.mark.parametrize("odd", ["", ".", "..", "\ud800", "x" * 256])
def test_what_is_no_session_id_is_not_asked_for(odd: str) -> None:
    async def act(sessions: StripeSessions, fake: FakeStripe) -> int:
        with pytest.raises(StripeRefused):
            await sessions.get(odd)
        return len(fake.asked)

    assert play(always(None), act) == 0


def test_a_session_id_cannot_reach_another_route() -> None:
    async def act(sessions: StripeSessions, fake: FakeStripe) -> str:
        with pytest.raises(StripeRefused):
            await sessions.get("../customers?x=1#y")
        return fake.asked[0][1]

    target = play(always(error(404, "no", code="resource_missing")), act)
    assert target == "/v1/checkout/sessions/..%2Fcustomers%3Fx%3D1%23y"


def test_neither_key_nor_payable_link_reaches_a_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        play(always(reply(session())), get)
    assert "TopSecret" not in caplog.text
    assert "checkout.stripe.com" not in caplog.text


@pytest.mark.parametrize("key", ["", "sk_é", "sk\n", "s k"])
def test_a_key_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="plain ASCII"):
        StripeSessions(key)


def test_a_base_url_that_is_none_is_refused() -> None:
    for base_url in ("", "api.stripe.com", "https://u@x", "https://x?y"):
        with pytest.raises(ValueError, match="base URL"):
            StripeSessions(KEY, base_url)
    assert "TopSecret" not in repr(StripeSessions(KEY))
