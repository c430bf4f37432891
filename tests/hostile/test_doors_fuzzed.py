"""The doors as a caller meets them: 2xx and everything is kept, or a problem document and nothing is."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from tests.dashboard.sample import seed
from tests.hostile.counting import Counter, cases
from tests.hostile.documents import CHARACTERS, TEXTS, bodies
from tests.hostile.test_readers_fuzzed import a_batch, a_hint, a_payment, a_roster
from tests.web.site import INGEST_AUTH, OPERATOR_AUTH, Site, an_event, crovver_headers, stripe_headers
from worker.embedded import EmbeddedServer
from worker.web.webhooks import LARGEST_BODY

DEFAULT = 60
NO_TRACE = ("Traceback", 'File "', "worker/", "site-packages", "Error(")


@dataclass(frozen=True, slots=True)
class Door:
    """A deployment on a server of its own, all of whose data can be summed up."""

    site: Site
    client: redis.Redis
    emptied: bool
    """Again after each success, so that it does not fill up."""

    def digest(self) -> bytes:
        """What there is, in one value."""
        found = self.client.execute_command("DEBUG", "DIGEST")  # type: ignore[no-untyped-call]
        assert isinstance(found, bytes)
        return found

    def send(self, method: str, path: str, **options: object) -> httpx.Response:
        """A request's answer, which is documented and has left nothing behind unless it is a success."""
        self.site.log.entries.clear()
        before = self.digest()
        answer = self.site.request(method, path, **options)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert problem["title"]
            assert problem["detail"]
            assert not any(trace in answer.text for trace in NO_TRACE)
            for one in problem.get("errors", ()):
                assert one["reason"]
                assert one["field"] or one["index"] is not None or "must be" in one["reason"]
            assert self.digest() == before
        elif self.emptied:
            self.client.flushall()
        assert not [entry for entry in self.site.log.entries if "failed" in entry[0]]
        return answer


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """One with nothing in it."""
    with opened(emptied=True) as door:
        yield door


@pytest.fixture(scope="module")
def fleet() -> Iterator[Door]:
    """One with something of everything."""
    with opened(emptied=False) as door:
        door.site.do(lambda _: seed(door.site.store))
        yield door


@contextmanager
def opened(*, emptied: bool) -> Iterator[Door]:
    with (
        EmbeddedServer(extra=("enable-debug-command local",)) as server,
        asyncio.Runner() as runner,
        redis.Redis.from_url(server.url) as client,
    ):
        site = Site(runner, server.url)
        yield Door(site, client, emptied)
        site.close()


def in_path(text: str, safe: str = "") -> str:
    """Text as a part of a path; the client would take dots for directories."""
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe).replace(".", "%2E")


KINDS = st.sampled_from(
    ["application/json"] * 4
    + ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json; charset=utf-8"]
    + ["text/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "", "\xff", "a" * 5_000]
)


@given(body=bodies(an_event, a_batch), kind=KINDS)
@example(body=b"[" * 100_000, kind="application/json")
@cases(DEFAULT)
def test_events(counter: Counter, door: Door, body: bytes, kind: str) -> None:
    with counter.case():
        headers = {**INGEST_AUTH, "Content-Type": kind.encode("latin-1")}
        answer = door.send("POST", "/v1/events", content=body, headers=headers)
        assert answer.status_code in (202, 400, 413, 415)


@given(
    body=bodies(a_roster),
    tenant=st.sampled_from(TEXTS) | st.text(),
    force=st.sampled_from(["", "?force=true", "?force=2"]),
)
@cases(DEFAULT)
def test_rosters(counter: Counter, door: Door, body: bytes, tenant: str, force: str) -> None:
    with counter.case():
        path = f"/v1/tenants/{in_path(tenant)}/roster{force}"
        headers = {**INGEST_AUTH, "Content-Type": "application/json"}
        answer = door.send("PUT", path, content=body, headers=headers)
        assert answer.status_code in (202, 400, 413) or (tenant == "" and answer.status_code == 404)


@given(body=bodies(a_payment))
@cases(DEFAULT)
def test_stripe(counter: Counter, door: Door, body: bytes) -> None:
    with counter.case():
        answer = door.send("POST", "/webhooks/stripe", content=body, headers=stripe_headers(body))
        assert answer.status_code in (200, 400) or (answer.status_code == 413 and len(body) > LARGEST_BODY)


@given(body=bodies(a_hint))
@cases(DEFAULT)
def test_crovver(counter: Counter, door: Door, body: bytes) -> None:
    with counter.case():
        answer = door.send("POST", "/webhooks/crovver", content=body, headers=crovver_headers(body))
        assert answer.status_code in (200, 400) or (answer.status_code == 413 and len(body) > LARGEST_BODY)


LISTS = ["/v1/tenants", "/v1/upgrades", "/v1/dead-letters", "/v1/tenants/acme/journal"]
CURSORS = st.one_of(
    st.sampled_from(TEXTS),
    st.text(max_size=20),
    st.from_regex(r"\A[0-9]{0,20}-[0-9]{0,20}\Z"),
    st.sampled_from(
        ["0-0", "9" * 16 + "-1", "9" * 19 + "-" + "9" * 19, "1-", "-1", "٣-٣", "+", "-", "(1-1", "$", "1-\n"]
    ),
    st.sampled_from(["0", "1", "200", "201", "-1", "1e2", "٣", " 1", "9" * 5_000]),
)
QUERY = st.dictionaries(st.sampled_from(["cursor", "limit", "state", "queue", "force", "x"]), CURSORS, max_size=3)


@given(
    path=st.sampled_from(LISTS), query=QUERY, torn=st.sampled_from(["", "&", "&cursor=%ff", "&limit=%00", "&=%", ";;"])
)
@example(path="/v1/tenants/acme/journal", query={"cursor": "0-0"}, torn="")
@example(path="/v1/tenants/acme/journal", query={"cursor": "9" * 19 + "-" + "9" * 19}, torn="")
@cases(DEFAULT)
def test_parameters_of_lists(counter: Counter, fleet: Door, path: str, query: dict[str, str], torn: str) -> None:
    written = "&".join(f"{name}={in_path(value)}" for name, value in query.items())
    with counter.case():
        answer = fleet.send("GET", f"{path}?{written}{torn}", headers=OPERATOR_AUTH)
        assert answer.status_code in (200, 400, 404)


IDS = st.sampled_from(TEXTS) | st.text(max_size=8) | st.sampled_from(CHARACTERS).map("{}x".format)
PATHS = ["/v1/tenants/{}", "/v1/tenants/{}/journal", "/v1/credits/{}", "/v1/upgrades/{}", "/v1/dead-letters/{}"]
ACTS = [
    "/v1/tenants/{}/reconcile", "/v1/credits/{}/read", "/v1/upgrades/{}/approve", "/v1/upgrades/{}/cancel",
    "/v1/upgrades/{}/retry", "/v1/dead-letters/{}/requeue", "/v1/dead-letters/{}/discard",
]  # fmt: skip
REQUESTS = st.sampled_from([("GET", path) for path in PATHS] + [("POST", path) for path in ACTS])


@given(request=REQUESTS, ident=IDS, raw=st.booleans())
@example(request=("GET", "/v1/tenants/{}"), ident="../..", raw=True)
@cases(DEFAULT)
def test_ids_in_paths(counter: Counter, fleet: Door, request: tuple[str, str], ident: str, raw: bool) -> None:
    method, path = request
    shown = in_path(ident, "/%~!$&'()*+,;=:@" if raw else "")
    with counter.case():
        assert fleet.send(method, path.format(shown), headers=OPERATOR_AUTH).status_code in (200, 202, 404, 405, 409)


def test_what_is_kept_is_what_was_sent(door: Door) -> None:
    tenants = ["\u202e" * 255, "a\u200bb", "<b>", "'; --", "é" * 255, "\U0001f600" * 255]
    events = [an_event(id=f"e{number}", tenantId=tenant) for number, tenant in enumerate(tenants)]
    assert door.site.publish(events).json() == {"accepted": len(tenants)}
    for tenant in tenants:
        assert len(door.site.inbox(tenant)) == 1
    assert json.dumps(events)


@pytest.mark.parametrize(
    "ident", ["", " ", "\x00", "a\nb", "a\x1b[2J", "\x7f", "a\x9b2J", "x" * 256, "\ud800"], ids=ascii
)
def test_an_id_that_could_steer_a_terminal_is_refused_with_its_place(door: Door, ident: str) -> None:
    for field, event in (("data.tenantId", an_event(tenantId=ident)), ("id", an_event(id=ident))):
        answer = door.send(
            "POST", "/v1/events", content=json.dumps([an_event(id="good"), event]).encode(),
            headers={**INGEST_AUTH, "Content-Type": "application/json"},
        )  # fmt: skip
        assert answer.status_code == 400
        assert [(one["index"], one["field"]) for one in answer.json()["errors"]] == [(1, field)]
