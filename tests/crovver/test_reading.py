"""Reads: what is sent, what comes back, and what is tried again."""

import asyncio

import pytest

from worker.core.allocation import Allocation, Summary
from worker.core.credits import LimitBehavior
from worker.core.times import parse_instant
from worker.crovver.calls import Retries
from worker.crovver.credentials import ServiceKey
from worker.crovver.errors import CrovverError, Refused, Transient

from .harness import KEY, Scene, failure, fixture, play
from .raw_server import Step, answer, chunked, cut, drip, gzipped, hang, head, html, raw, says

PAGE = fixture("allocations")
OK = says(PAGE)


async def read(scene: Scene) -> CrovverError:
    return await failure(lambda: scene.client.allocations_page("workspace_123"))


def test_the_seeds_page_is_read_field_by_field() -> None:
    page = play((OK,), lambda scene: scene.client.allocations_page("workspace_123"))
    assert page.rows == (
        Allocation("user_1", True, parse_instant("2026-05-01T10:00:00.000Z"), "alice@acme.com", "Alice"),
        Allocation("user_2", True, parse_instant("2026-05-03T14:30:00.000Z"), "bob@acme.com", "Bob"),
    )
    assert page.summary == Summary(active_count=8, capacity_units=10, exceeded=False, total=8)
    assert (page.page, page.total_pages, page.has_next) == (1, 1, False)


def test_the_seeds_credit_pool_is_read_field_by_field() -> None:
    pools = play((says(fixture("credits_balance")),), lambda scene: scene.client.credits_balance("workspace_123"))
    pool = pools["api_calls"]
    assert (pool.key, pool.name) == ("api_calls", "API Calls")
    assert (pool.base_remaining, pool.addon_remaining, pool.total, pool.limit) == (850, 500, 1350, 1000)
    assert pool.limit_behavior is LimitBehavior.SOFT
    assert pool.next_expiry == parse_instant("2025-02-01T00:00:00Z")
    assert pool.usage_percent == 15


def test_no_pools_means_no_subscription_and_is_no_error() -> None:
    assert play((says({"success": True, "data": {}}),), lambda scene: scene.client.credits_balance("t")) == {}


def test_a_read_asks_for_exactly_the_documented_query_whatever_the_tenant_is_called() -> None:
    async def act(scene: Scene) -> str:
        await scene.client.allocations_page("a/b&status=removed#é +%2F", page=3, limit=50, status="removed")
        return scene.server.requests[0].target

    assert play((OK,), act) == (
        "/api/public/capacity/allocations"
        "?requestingEntityId=a%2Fb%26status%3Dremoved%23%C3%A9%20%2B%252F&status=removed&page=3&limit=50"
    )


def test_a_secret_key_is_a_bearer_and_a_service_key_has_its_own_header_without_orgid() -> None:
    async def act(scene: Scene) -> tuple[str | None, str | None, str]:
        await scene.client.allocations_page("t")
        request = scene.server.requests[0]
        return request.headers.get("authorization"), request.headers.get("x-service-key"), request.target

    assert play((OK,), act)[:2] == (f"Bearer {KEY}", None)
    authorization, service, target = play((OK,), act, credentials=ServiceKey("svc_1", "org_1"))
    assert (authorization, service) == (None, "svc_1")
    assert "orgId" not in target


@pytest.mark.parametrize(
    "trouble",
    [
        html(500), html(502), answer(503, ""), answer(504, "oops"), answer(408, ""), answer(429, "slow down"),
        answer(302, "", {"location": "http://127.0.0.1:1/"}), answer(302, "", {"location": "http://[bad"}), html(200),
        answer(200, ""), answer(204, ""), says({"success": False, "error": "later"}), says([]), says({"success": True}),
        says({"success": True, "data": {"allocations": []}}), cut(PAGE), hang(),
        hang(head(200, {"content-length": "9"})),
        raw(b""), raw(b"HTTP/1.1 200 OK\r\ncontent-le"), raw(b"nonsense\r\n\r\n"), raw(b"HTTP/1.1 999999 x\r\n\r\n"),
        chunked(b'{"success": true', ends=False), answer(200, b"\xff\xfe"), gzipped(b"{}", drop=3),
        answer(200, b"junk", {"content-encoding": "gzip"}), answer(200, b"junk", {"content-encoding": "br"}),
    ],
)  # fmt: skip
def test_whatever_may_pass_is_tried_again_and_forgotten(trouble: Step) -> None:
    async def act(scene: Scene) -> int:
        assert (await scene.client.allocations_page("t")).summary.capacity_units == 10
        return scene.limiter.acquired

    assert play((trouble, OK), act) == 2


@pytest.mark.parametrize("trouble", [html(500), cut(PAGE), raw(b""), says({"success": False})])
def test_what_does_not_pass_is_transient_after_three_attempts(trouble: Step) -> None:
    async def act(scene: Scene) -> None:
        error = await read(scene)
        assert type(error) is Transient
        assert (error.tenant, error.endpoint) == ("workspace_123", "allocations")
        assert len(scene.server.requests) == scene.limiter.acquired == 3
        assert [call.outcome for call in scene.calls] == ["transient"] * 3

    play((trouble,), act)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 418, 422, 451])
@pytest.mark.parametrize("body", ["", "<html>sk_live_abc</html>", "[[[[", '{"success":false,"error":{"code":7}}'])
def test_a_4xx_is_final_and_asked_once_whatever_its_body(status: int, body: str) -> None:
    async def act(scene: Scene) -> None:
        error = await read(scene)
        assert type(error) is Refused
        assert (error.status, error.message, error.code) == (status, "no reason given", None)
        assert len(scene.server.requests) == 1

    play((answer(status, body),), act)


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        ({"success": False, "error": "Unknown key"}, "Unknown key", None),
        ({"success": False, "data": None, "error": {"message": "Nope.", "code": "X_1"}}, "Nope", "X_1"),
        ({"message": "gateway words"}, "gateway words", None),
    ],
)
def test_crovvers_words_are_kept_in_both_shapes(document: object, message: str, code: str | None) -> None:
    error = play((says(document, 400),), read)
    assert (error.message, error.code) == (message, code)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (404, "No active subscription found for this tenant", True),
        (404, "no active SUBSCRIPTION", True),
        (404, {"message": "?", "code": "tenant_not_found"}, True),
        (404, {"message": "?", "code": "TENANT_NOT_FOUND"}, True),
        (404, "Not Found", False),
        (400, "No active subscription found", False),
    ],
)
def test_a_tenant_without_subscription_is_told_apart(status: int, error: object, expected: bool) -> None:
    refused = play((says({"success": False, "error": error}, status),), read)
    assert isinstance(refused, Refused)
    assert refused.no_subscription is expected
    assert not refused.credentials


def test_retry_after_within_patience_is_waited_for() -> None:
    async def act(scene: Scene) -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await scene.client.allocations_page("t")
        return loop.time() - started

    later = answer(429, "", {"retry-after": "1"})
    assert play((later, OK), act, retries=Retries(wait=0, jitter=0, patience=1.0)) >= 1.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "60"}, 60),
        ({"retry-after": "9" * 5000}, 86_400),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
    ],
)
def test_a_longer_retry_after_is_the_callers_business(headers: dict[str, str], seconds: int) -> None:
    async def act(scene: Scene) -> None:
        error = await read(scene)
        assert type(error) is Transient
        assert error.retry_after == seconds
        assert len(scene.server.requests) == 1

    play((answer(503, "", headers),), act)


@pytest.mark.parametrize("value", ["soon", "-1", "1e3", "٣", "Wed, 99 Foo 2026", ""])
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    step = raw(head(503, {"content-length": "0"})[:-2] + f"retry-after: {value}\r\n\r\n".encode())
    assert play((step,), read, retries=Retries(attempts=1)).retry_after is None


def test_a_server_that_drips_is_left_at_the_total_deadline() -> None:
    async def act(scene: Scene) -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        error = await read(scene)
        assert type(error) is Transient
        assert "in all" in error.message
        return loop.time() - started

    step = drip(head(200, {"content-length": "1000000"}), b" ", 0.05)
    assert 0.4 < play((step,), act, retries=Retries(attempts=1)) < 2


def test_a_drip_of_headers_ends_too() -> None:
    error = play((drip(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", 0.05),), read, retries=Retries(attempts=1))
    assert type(error) is Transient


def test_ten_megabytes_are_not_read() -> None:
    error = play((answer(200, b" " * 10_000_000),), read, retries=Retries(attempts=1))
    assert "larger than 2048 KiB" in error.message


def test_a_gzip_bomb_is_stopped_by_what_it_unpacks_to() -> None:
    error = play((gzipped(b"\0" * 200_000_000),), read, retries=Retries(attempts=1))
    assert "larger than 2048 KiB" in error.message


def test_honest_gzip_and_chunks_are_read() -> None:
    import json

    content = json.dumps(PAGE).encode()
    for step in (gzipped(content), chunked(content[:7], content[7:])):
        assert len(play((step,), lambda scene: scene.client.allocations_page("t")).rows) == 2


def test_reads_share_a_kept_alive_connection() -> None:
    async def act(scene: Scene) -> int:
        for _ in range(3):
            await scene.client.allocations_page("t")
        return scene.server.connections

    assert play((OK,), act) == 1


def test_no_proxy_of_the_environment_gets_to_see_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert play((OK,), lambda scene: scene.client.allocations_page("t"), retries=Retries(attempts=1)).rows


def test_no_tenants_cookie_travels_with_the_next_call() -> None:
    async def act(scene: Scene) -> set[str | None]:
        await scene.client.allocations_page("a")
        await scene.client.allocations_page("b")
        return {request.headers.get("cookie") for request in scene.server.requests}

    assert play((says(PAGE, headers={"set-cookie": "tenant=a; Path=/"}),), act) == {None}


def test_a_redirect_is_not_followed_with_the_key() -> None:
    async def act(scene: Scene) -> None:
        error = await read(scene)
        assert "base URL" in str(error)
        assert len(scene.server.requests) == 1

    play((answer(302, "", {"location": "/elsewhere"}), OK), act, retries=Retries(attempts=1))


def test_concurrency_is_bounded() -> None:
    async def act(scene: Scene) -> int:
        await asyncio.gather(*(scene.client.allocations_page(str(number)) for number in range(20)))
        return scene.server.connections

    assert play((OK,), act, max_concurrency=3) <= 3


def test_the_fleets_rate_is_not_spent_on_calls_that_still_wait_for_a_slot() -> None:
    async def act(scene: Scene) -> int:
        reads = [asyncio.create_task(read(scene)) for _ in range(5)]
        await scene.server.asked.wait()
        acquired = scene.limiter.acquired
        for one in reads:
            one.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        return acquired

    assert play((hang(),), act, max_concurrency=1) == 1


def test_a_tenant_id_that_is_no_text_is_refused_without_a_call() -> None:
    async def act(scene: Scene) -> None:
        error = await failure(lambda: scene.client.allocations_page("\ud800"))
        assert type(error) is Refused
        assert str(error).isprintable()
        assert scene.server.connections == 0

    play((OK,), act)
