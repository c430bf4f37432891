"""The checkout call: sent at most once, and every end of it told truthfully."""

import asyncio
import json
import socket

import pytest

from worker.core.facts import RosterUser
from worker.crovver.calls import Call, Retries
from worker.crovver.client import CrovverClient
from worker.crovver.credentials import SecretKey, ServiceKey
from worker.crovver.errors import CrovverError, NotSent, OutcomeUnknown, Refused, Transient
from worker.crovver.results import BulkAllocation
from worker.crovver.transport import Answer, Timeouts, Transport, Unsent

from .harness import IMPATIENT, KEY, CountingLimiter, Scene, failure, fixture, play
from .raw_server import Step, answer, chunked, cut, drip, gzipped, hang, head, html, raw, says, serving

CHECKOUT = fixture("proration_checkout")
OK = says(CHECKOUT)
INVOICE = {"success": True, "data": {"prorationId": "p1", "checkoutUrl": None, "requiresPayment": False}}


async def buy(scene: Scene) -> CrovverError:
    return await failure(lambda: scene.client.proration_checkout("workspace_123", 15))


def test_the_seeds_checkout_is_read_field_by_field() -> None:
    checkout = play((OK,), lambda scene: scene.client.proration_checkout("workspace_123", 15))
    assert checkout.proration_id == "uuid"
    assert checkout.url == "https://checkout.stripe.com/pay/cs_..."
    assert checkout.session == "cs_..."
    assert checkout.requires_payment is True
    assert checkout.amount == 1750
    assert checkout.details == {
        "description": "Prorated charge for 5 additional seats",
        "calculation": "5 seats \u00d7 $1.00/seat \u00d7 17/30 days",
    }
    assert checkout.message == "Checkout session created. Capacity will be upgraded after payment confirmation."


def test_an_invoice_needs_no_url() -> None:
    checkout = play((says(INVOICE),), lambda scene: scene.client.proration_checkout("t", 15))
    assert (checkout.url, checkout.requires_payment, checkout.proration_id) == (None, False, "p1")


def test_the_body_is_the_documented_one_and_leaves_out_what_is_not_given() -> None:
    async def act(scene: Scene) -> list[object]:
        await scene.client.proration_checkout("t", 15)
        await scene.client.proration_checkout("t", 15, plan_id="p", success_url="https://s", cancel_url="https://c")
        return [request.json for request in scene.server.requests]

    assert play((OK,), act) == [
        {"externalTenantId": "t", "newCapacity": 15},
        {
            "externalTenantId": "t",
            "newCapacity": 15,
            "planId": "p",
            "successUrl": "https://s",
            "cancelUrl": "https://c",
        },
    ]


def test_a_service_key_names_its_organization_on_the_checkout() -> None:
    async def act(scene: Scene) -> str:
        await scene.client.proration_checkout("t", 15)
        return scene.server.requests[0].target

    target = play((OK,), act, credentials=ServiceKey("svc", "org&1"))
    assert target == "/api/public/capacity/proration-checkout?orgId=org%261"


def with_data(**changes: object) -> Step:
    return says({"success": True, "data": {**CHECKOUT["data"], **changes}})


@pytest.mark.parametrize(
    "trouble",
    [
        html(500), html(502), answer(503, ""), answer(504, ""), answer(408, ""), answer(302, "", {"location": "/x"}),
        answer(304, ""), html(200), answer(200, ""), answer(204, ""), answer(200, b"\xff"), cut(CHECKOUT), hang(),
        hang(head(200, {"content-length": "9"})), raw(b""), raw(b"HTTP/1.1 200 OK\r\n"), raw(b"junk\r\n\r\n"),
        raw(b"HTTP/1.1 101 Switching\r\n\r\n"), chunked(b"{", ends=False), answer(200, " " * 10_000_000),
        gzipped(b"\0" * 50_000_000), gzipped(json.dumps(CHECKOUT).encode(), drop=4),
        answer(200, b"x", {"content-encoding": "gzip"}),
        drip(head(200, {"content-length": "1000000"}), b" ", 0.05), drip(b"HTTP/1.1 100 Continue\r\n\r\n", b"", 0.05),
        says({"success": False, "error": "hm"}), says({"success": "true", "data": CHECKOUT["data"]}),
        says({"success": True, "data": None}), says({"success": True, "data": []}), says([]),
        with_data(checkoutUrl=None), with_data(checkoutUrl=""), with_data(checkoutUrl=5),
        with_data(checkoutUrl="javascript:alert(1)"), with_data(checkoutUrl="https://"), with_data(checkoutUrl="http://["),
        with_data(checkoutUrl="https://x/\ud800"), with_data(checkoutUrl="https://x/" + "a" * 9000),
        with_data(checkoutUrl="https://x/ y"), with_data(checkoutUrl="https://x:99999/"),
        with_data(checkoutUrl=None, requiresPayment=None),
        with_data(checkoutUrl=None, requiresPayment=False, prorationId=None),
    ],
)  # fmt: skip
def test_an_end_that_tells_nothing_is_unknown_and_never_sent_again(trouble: Step) -> None:
    async def act(scene: Scene) -> None:
        error = await buy(scene)
        assert type(error) is OutcomeUnknown
        assert len(scene.server.requests) == scene.limiter.acquired == 1
        assert [call.outcome for call in scene.calls] == ["unknown"]

    play((trouble, OK), act)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 451])
@pytest.mark.parametrize("body", ["", "<html>gateway</html>", '{"success":false,"error":"too small"}'])
def test_a_4xx_is_refused_whatever_its_body(status: int, body: str) -> None:
    async def act(scene: Scene) -> None:
        error = await buy(scene)
        assert type(error) is Refused
        assert error.status == status
        assert error.credentials is (status in (401, 403))
        assert error.message == ("too small" if body.startswith("{") else "no reason given")
        assert len(scene.server.requests) == 1

    play((answer(status, body),), act)


def test_a_4xx_is_refused_even_if_its_body_never_ends() -> None:
    error = play((hang(head(400, {"content-length": "100"})),), buy)
    assert type(error) is Refused


def test_the_rate_limit_turned_it_away_so_it_was_not_sent() -> None:
    async def act(scene: Scene) -> None:
        error = await buy(scene)
        assert type(error) is NotSent
        assert (error.status, error.retry_after) == (429, 7)
        assert len(scene.server.requests) == 1

    play((answer(429, "", {"retry-after": "7"}),), act)


def lonely(base_url: str, timeouts: Timeouts = IMPATIENT) -> tuple[CrovverError, list[Call]]:
    """A checkout towards an address where no Crovver answers."""
    calls: list[Call] = []

    async def run() -> CrovverError:
        client = CrovverClient(
            base_url=base_url,
            credentials=SecretKey(KEY),
            limiter=CountingLimiter(),
            timeouts=timeouts,
            on_call=calls.append,
        )
        try:
            return await failure(lambda: client.proration_checkout("t", 15))
        finally:
            await client.aclose()

    return asyncio.run(run()), calls


def test_a_refused_connection_was_not_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error, calls = lonely(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert type(error) is NotSent
    assert "refused" in error.message
    assert [call.outcome for call in calls] == ["not_sent"]


def test_a_name_that_does_not_resolve_was_not_sent() -> None:
    error, _ = lonely("http://crovver.invalid", Timeouts(connect=5))
    assert type(error) is NotSent


def test_a_connection_that_is_never_accepted_was_not_sent() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        error, _ = lonely(f"http://127.0.0.1:{address[1]}", Timeouts(connect=0.3, checkout=5))
        for filler in fillers:
            filler.close()
    assert type(error) is NotSent
    assert "connecting took too long" in error.message


def test_a_call_that_found_no_free_connection_was_not_sent() -> None:
    async def run() -> tuple[BaseException | Answer, int]:
        async with serving(hang()) as server:
            timeouts = Timeouts(pool=0.1, checkout=5)
            transport = Transport(base_url=server.url, headers={}, timeouts=timeouts, max_connections=1)
            first = asyncio.create_task(transport.post("/", b"{}"))
            await server.asked.wait()
            (second,) = await asyncio.gather(transport.post("/", b"{}"), return_exceptions=True)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await transport.aclose()
            return second, len(server.requests)

    second, requests = asyncio.run(run())
    assert type(second) is Unsent
    assert requests == 1


@pytest.mark.parametrize("greeting", [raw(b"no TLS here\r\n\r\n"), raw(b""), hang()])
def test_a_failed_tls_handshake_was_not_sent(greeting: Step) -> None:
    async def run() -> CrovverError:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await greeting(writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = CrovverClient(
            base_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            credentials=SecretKey(KEY),
            limiter=CountingLimiter(),
            timeouts=Timeouts(connect=0.3),
        )
        try:
            return await failure(lambda: client.proration_checkout("t", 15))
        finally:
            await client.aclose()
            server.close()

    assert type(asyncio.run(run())) is NotSent


def test_every_checkout_has_a_connection_of_its_own_so_none_is_stale() -> None:
    async def act(scene: Scene) -> list[int]:
        await scene.client.proration_checkout("t", 15)
        await scene.client.proration_checkout("t", 15)
        return [request.connection for request in scene.server.requests]

    assert play((OK,), act) == [1, 2]


def test_a_cancelled_checkout_is_told_as_cancelled_and_not_sent_again() -> None:
    async def act(scene: Scene) -> tuple[int, list[str]]:
        task = asyncio.create_task(scene.client.proration_checkout("t", 15))
        await scene.server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(scene.server.requests), [call.outcome for call in scene.calls]

    patient = Timeouts(checkout=5, checkout_total=5)
    assert play((hang(),), act, timeouts=patient) == (1, ["cancelled"])


def test_a_broken_counter_does_not_cost_the_checkout() -> None:
    def broken(call: Call) -> None:
        raise RuntimeError(call.outcome)

    async def run() -> str | None:
        async with serving(OK) as server:
            client = CrovverClient(
                base_url=server.url, credentials=SecretKey(KEY), limiter=CountingLimiter(), on_call=broken
            )
            try:
                return (await client.proration_checkout("t", 15)).proration_id
            finally:
                await client.aclose()

    assert asyncio.run(run()) == "uuid"


def test_an_odd_amount_is_dropped_and_the_link_kept() -> None:
    for odd in ("NaN", "Infinity", "1e999", "9" * 4000, '"17.50"', "true", "null", "[]"):
        body = json.dumps(CHECKOUT).replace("1750", odd)
        checkout = play((answer(200, body),), lambda scene: scene.client.proration_checkout("t", 15))
        assert checkout.url
        assert checkout.amount is None


USERS = [RosterUser("u1", "u1@acme.com", "One"), RosterUser("u2")]


def test_bulk_allocation_tells_each_users_end() -> None:
    reply = {
        "success": True,
        "data": {
            "allocated": ["u1"],
            "skipped": [{"externalUserId": "u2"}],
            "rejected": [],
            "capacity": {"activeCount": 9, "capacityUnits": 10},
        },
    }

    async def act(scene: Scene) -> tuple[BulkAllocation, object]:
        return await scene.client.bulk_allocate("t", USERS, {"addedBy": "w"}), scene.server.requests[0].json

    result, sent = play((says(reply),), act)
    assert result == BulkAllocation(("u1",), ("u2",), (), 9, 10)
    assert sent == {
        "requestingEntityId": "t",
        "users": [{"externalUserId": "u1", "email": "u1@acme.com", "name": "One"}, {"externalUserId": "u2"}],
        "metadata": {"addedBy": "w"},
    }


def test_a_partly_refused_bulk_allocation_is_an_answer_not_an_error() -> None:
    reply = {"success": False, "data": {"allocated": [], "skipped": [], "rejected": [{"externalUserId": "u1"}]}}
    assert play((says(reply, 207),), lambda scene: scene.client.bulk_allocate("t", USERS)).rejected == ("u1",)


def test_bulk_allocation_is_sent_once() -> None:
    async def act(scene: Scene) -> None:
        assert type(await failure(lambda: scene.client.bulk_allocate("t", USERS))) is OutcomeUnknown
        assert len(scene.server.requests) == 1

    play((html(503),), act)


@pytest.mark.parametrize("users", [[], [RosterUser("u")] * 2, [RosterUser(str(n)) for n in range(101)]])
def test_a_batch_crovver_would_refuse_whole_is_not_sent(users: list[RosterUser]) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        play((OK,), lambda scene: scene.client.bulk_allocate("t", users))


@pytest.mark.parametrize(
    "echo",
    [
        f"Invalid API key {KEY}", f"Bearer {KEY} is wrong", "see https://checkout.stripe.com/c/pay/cs_live_abc#fid now",
        "whsec_abc123 leaked", "pay checkout.stripe.com/c/pay/cs_test_abc#fidPay now\x00\x1b[31m\u202e", "x" * 5000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 401, 429, 500, 200])
def test_no_error_shows_keys_links_control_characters_or_long_texts(echo: str, status: int) -> None:
    step = says({"success": False, "error": {"message": echo, "code": echo}}, status)

    async def act(scene: Scene) -> list[CrovverError]:
        return [await buy(scene), await failure(lambda: scene.client.allocations_page("t"))]

    for error in play((step,), act, retries=Retries(attempts=1)):
        shown = f"{error}{error!r}{error.message}{error.code}"
        for secret in (KEY, "TopSecret", "cs_live", "cs_test", "fid", "https:", "whsec_abc", "\x1b", "\u202e"):
            assert secret not in shown
        assert len(error.message) <= 300
        assert "\n" not in str(error)
        cause: BaseException | None = error
        while cause is not None:
            assert "httpx" not in type(cause).__module__
            cause = cause.__cause__ or cause.__context__


def test_a_service_key_of_any_shape_is_hidden_too() -> None:
    step = says({"success": False, "error": "no such key plainwordskey"}, 401)
    error = play((step,), buy, credentials=ServiceKey("plainwordskey", "org"))
    assert "plainwordskey" not in str(error)


def test_errors_say_what_to_do() -> None:
    said = {str(play((step,), buy)) for step in (answer(401, ""), answer(429, "", {"retry-after": "3"}), html(500))}
    assert said == {
        "Crovver refused proration-checkout for tenant workspace_123 (401, no reason given); check the Crovver API "
        "key, or the service key and its organization",
        "Crovver did not take proration-checkout for tenant workspace_123 (429, too many calls); nothing was changed, "
        "it can be tried again in 3 s",
        "nobody can tell whether Crovver acted on proration-checkout for tenant workspace_123 (500, no reason given); "
        "look for its effect before it is tried again",
    }


def test_transient_is_never_what_a_checkout_ends_with() -> None:
    assert not isinstance(play((html(503),), buy), Transient)
