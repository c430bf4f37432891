"""Every route against every caller: what each is answered, and that nothing else happens.

A route or a method that is new has to be given its row in ``tests.access.routes`` first.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.access.callers import CALLERS, SESSION, Caller, expected
from tests.access.routes import ROWS, Door, Key, Row, served
from tests.dashboard.sample import put_dead_letter
from tests.web.conftest import Open
from tests.web.site import (
    CROVVER_SECRET,
    INGEST,
    OPERATOR,
    OTHER_INGEST,
    SECRETS,
    STRIPE_SECRET,
    Site,
    an_upgrade,
    looked,
    seat,
)
from worker.core.tenant import Tenant
from worker.core.upgrade import State
from worker.web.guesses import Guesses
from worker.web.openapi import document

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
DOORS_OF = {
    "ingest_tokens": {Door.INGEST},
    "operator_token": {Door.OPERATOR, Door.PAGE, Door.FORM, Door.SIGN_IN},
    "stripe_secrets": {Door.STRIPE},
    "crovver_secret": {Door.CROVVER},
}
TOLD_NOBODY = (INGEST, OTHER_INGEST, OPERATOR, STRIPE_SECRET, CROVVER_SECRET, "upg_1", "pay.test", "dead_1", "user_7")


class NoLimit(Guesses):
    """Thousands of wrong tokens come from one address here."""

    def wait(self, address: str, now: float) -> float:
        return 0


@pytest.fixture(scope="module")
def fleet(state_url: str) -> Iterator[Site]:
    """A deployment with a tenant, an upgrade and a dead letter; nothing reconciles it."""
    with asyncio.Runner() as runner:
        site = Site(runner, state_url, guesses=NoLimit())
        upgrade = an_upgrade("upg_1", State.AWAITING_APPROVAL)
        site.put_tenant(Tenant("acme", look=looked(1, 2), upgrades=(upgrade,)), {"user_7": seat(active=False)})
        site.do(lambda _: put_dead_letter(site.store))
        yield site
        site.close()


def ask(site: Site, key: Key, row: Row, caller: Caller) -> httpx.Response:
    content, headers = caller.body(key, row)
    site.client.cookies.clear()
    answer = site.request(key[0], row.path + caller.query, content=content, headers=headers, follow_redirects=False)
    if key == ("POST", "/sign-out"):
        # The others come with the same session.
        site.do(lambda _: site.store.client.delete(site.store.keys.ended_session(SESSION.id)))
    return answer


def kept(site: Site) -> tuple[Any, ...]:
    """What a request could have changed."""
    inboxes = [site.inbox(tenant) for tenant in ("acme", "other")]
    census = site.do(lambda store: store.census())
    return inboxes, census.tenants, census.upgrades, census.parked, site.do(lambda _: site.dead_letters.count())


def test_the_table_holds_every_route_and_so_does_the_openapi_document(site: Site) -> None:
    routes = list(served(site.app))
    assert sorted(routes) == sorted(ROWS)
    described = {(method.upper(), path) for path, item in document()["paths"].items() for method in item}
    api = {(method, path.replace(":id}", "}")) for (method, path), row in ROWS.items() if row.api}
    assert described == api


@pytest.mark.parametrize("key", ROWS, ids=" ".join)
def test_each_caller_gets_what_it_may_and_no_more(fleet: Site, key: Key) -> None:
    row, before = ROWS[key], kept(fleet)
    turned_away = [caller for caller in CALLERS if row.door not in caller.lets_in]
    for caller in turned_away:
        answer = ask(fleet, key, row, caller)
        assert answer.status_code == expected(row, caller), f"{caller.name}: {answer.text[:300]}"
        if row.door is not Door.OPEN:
            check_refusal(row, caller, answer)
    assert kept(fleet) == before
    let_in = [caller for caller in CALLERS if row.door in caller.lets_in]
    assert bool(let_in) is (row.door is not Door.OPEN), "nobody gets in: the table is wrong"
    for caller in let_in:
        answer = ask(fleet, key, row, caller)
        assert answer.status_code == expected(row, caller), f"{caller.name}: {answer.text[:300]}"


def check_refusal(row: Row, caller: Caller, answer: httpx.Response) -> None:
    """A refusal tells nothing, gives no session, and is of the kind its door gives."""
    told = f"{answer.headers.multi_items()} {answer.text}"
    # A browser is told again which address it asked for, for after it has signed in.
    brought = f"{row.path}{caller.query}"
    assert not [secret for secret in TOLD_NOBODY if secret in told and secret not in brought], caller.name
    assert "set-cookie" not in answer.headers, caller.name
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer"), caller.name
    if row.door in (Door.INGEST, Door.OPERATOR, Door.STRIPE, Door.CROVVER):
        assert answer.headers["content-type"] == "application/problem+json", caller.name
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/sign-in"), caller.name


@pytest.mark.parametrize("pattern", sorted({pattern for _, pattern in ROWS}))
def test_other_methods_are_refused_whoever_asks(fleet: Site, pattern: str) -> None:
    rows = {method: row for (method, path), row in ROWS.items() if path == pattern}
    right = {*rows, "HEAD"} if "GET" in rows else {*rows}
    path, before = next(iter(rows.values())).path, kept(fleet)
    for method in METHODS:
        for caller in CALLERS if method not in right else ():
            if caller.name in ("no credentials", "the operator token", "the ingest token", "a cookie and the form"):
                answer = fleet.request(method, path, headers=dict(caller.headers))
                assert answer.status_code == 405, f"{method}, {caller.name}"
                # Of two routes on one path the first names its own.
                assert set() < set(re.split(", *", answer.headers["allow"])) <= right, method
    assert kept(fleet) == before


@pytest.mark.parametrize("left_out", DOORS_OF)
def test_a_route_whose_setting_is_absent_is_not_there_for_anybody(open_site: Open, left_out: str) -> None:
    absent = () if isinstance(SECRETS[left_out], tuple) else None
    site = open_site(guesses=NoLimit(), **{left_out: absent})
    there = set(served(site.app))
    for key, row in ROWS.items():
        gone = row.door in DOORS_OF[left_out] or (left_out == "operator_token" and not row.api)
        assert (key in there) is not gone, key
        if not gone:
            continue
        nothing = site.request("GET", "/nowhere")
        asked = [(key[0], caller) for caller in CALLERS if caller.lets_in] + [
            (key[0], CALLERS[0]),
            ("DELETE", CALLERS[0]),
        ]
        for method, caller in asked:
            answer = ask(site, (method, key[1]), row, caller)
            assert (answer.status_code, answer.content) == (404, nothing.content), f"{method} {key}: {caller.name}"
            assert answer.headers.keys() == nothing.headers.keys()


NOTHINGS = [caller for caller in CALLERS if re.search(r"\b(no|empty|without a)\b", caller.name)]


@pytest.mark.parametrize("empty", [{"operator_token": ""}, {"ingest_tokens": ("",)}, {"stripe_secrets": ("",)}])
def test_an_empty_secret_lets_nobody_in(open_site: Open, empty: dict[str, Any]) -> None:
    site = open_site(guesses=NoLimit(), **empty)
    doors = DOORS_OF[next(iter(empty))]
    for key, row in ROWS.items():
        for caller in NOTHINGS if row.door in doors else ():
            assert ask(site, key, row, caller).status_code in (400, 401, 404), f"{key}: {caller.name}"


STRANGERS = [caller for caller in CALLERS if caller.name in ("no credentials", "a wrong token", "a forged cookie")]
THERE = {"acme": "nobody", "upg_1": "upg_0", "dead_1": "dead_0", "other": "nobody", "gone_1": "dead_1"}


ADDRESSED = [key for key, row in ROWS.items() if "{" in key[1] and row.door is not Door.OPEN]


@pytest.mark.parametrize("key", ADDRESSED, ids=" ".join)
def test_a_stranger_cannot_tell_what_is_there_from_what_is_not(fleet: Site, key: Key) -> None:
    there, absent = next(pair for pair in THERE.items() if pair[0] in ROWS[key].path)
    for caller in STRANGERS:
        answers = []
        for ident in (there, absent):
            row = Row(ROWS[key].door, ROWS[key].path.replace(there, ident), 0)
            answer = ask(fleet, key, row, caller)
            headers = [pair for pair in answer.headers.multi_items() if pair[0] != "x-request-id"]
            answers.append((answer.status_code, str(headers).replace(ident, "…"), answer.text.replace(ident, "…")))
        one, other = answers
        # A page's address is told back, and its length with it.
        length = re.compile(r"\('content-length', '\d+'\)")
        assert (one[0], length.sub("", one[1]), one[2]) == (other[0], length.sub("", other[1]), other[2]), caller.name


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/events/", "/v2/events", "/index.html", "/v1/tenants/", "/%", "/v1%2Fevents", "//v1/tenants",
             "/V1/TENANTS", "/v1/tenants%00", "/admin", "/docs"]
)  # fmt: skip
def test_an_unknown_path_is_a_problem_document_for_anybody(fleet: Site, path: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {OPERATOR}"}):
        answer = fleet.request("GET", path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.json()["status"] == 404


def test_secrets_are_in_no_repr(site: Site) -> None:
    shown = f"{site.services!r} {site.app!r} {site.app.routes!r}"
    assert not [secret for secret in TOLD_NOBODY[:5] if secret in shown]
