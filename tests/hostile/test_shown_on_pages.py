"""The dashboard, full of traps: what can't be seen is made visible, what looks like HTML is text, ids keep to
themselves, and links lead where they should."""

import re
import time
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.canaries import INGEST
from tests.dashboard.browser import Visitor, chromium, window
from tests.dashboard.browser import sign_in as sign_in_at
from tests.dashboard.serving import served
from tests.hostile.nasty import ANYTHING, LETTER, TENANT, UPGRADE, USER, seed
from tests.web.conftest import Open
from tests.web.site import Site

PATH = f"/tenants/{quote(TENANT, safe='')}"
TRICK = quote(ANYTHING)
PAGES = [
    "/", "/?q=evil", f"/?q={quote(TENANT)}", f"/?sort={TRICK}&status={TRICK}&page={TRICK}", PATH,
    f"{PATH}?done={TRICK}", f"{PATH}/journal", f"{PATH}/reconcile", "/upgrades", "/upgrades?state=failed",
    "/upgrades?state=stuck", f"/upgrades/{UPGRADE}/retry", "/approvals", "/payments", "/alerts", "/dead-letters",
    f"/dead-letters/{LETTER}/requeue", f"/dead-letters/{quote(LETTER + ANYTHING)}/discard",
]  # fmt: skip
LOST = [
    f"{PATH}x",
    f"/tenants/{quote(ANYTHING)}",
    f"/upgrades/{quote(ANYTHING)}",
    f"/{quote(ANYTHING)}",
    "/upgrades/upg_x",
]


class Elements(HTMLParser):
    """The elements of a page, and the text of each."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def visitor(open_site: Open) -> Visitor:
    site = open_site(clock=time.time)
    site.do(lambda _: seed(site.store))
    visitor = Visitor(site)
    visitor.sign_in()
    return visitor


def elements(answer: httpx.Response) -> list[tuple[str, dict[str, str | None]]]:
    """Those of a page that is safe to show."""
    page = answer.text
    # What was looked for stands in its field again, as it was typed: an attribute, which a browser shows as one value.
    shown = re.sub(r'(id="q"[^>]* value=)"[^"]*"', r"\1", page)
    assert {char for char in unescape(shown) if not char.isprintable()} <= {"\n"}, ascii(shown)
    parser = Elements()
    parser.feed(page)
    for tag, attributes in parser.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
        if tag == "script":
            assert str(attributes["src"]).startswith("/static/")
        if tag == "img":
            assert str(attributes["src"]).startswith("/static/")
        for name in ("href", "action", "hx-get", "hx-post"):
            where = attributes.get(name) or "/"
            assert where.isascii()
            assert urlsplit(where).scheme == "" == urlsplit(where).netloc or where.startswith("#"), where
    return parser.tags


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path[:24])
def test_pages(visitor: Visitor, path: str) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        answer = visitor.get(path, **headers)
        assert answer.status_code in (200, 303, 404, 409), path
        elements(answer)
        for name, value in answer.headers.items():
            assert (name + value).isprintable()
            assert value.isascii()


@pytest.mark.parametrize("path", LOST, ids=ascii)
def test_pages_that_are_not_there(visitor: Visitor, path: str) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        answer = visitor.get(path, **headers)
        assert answer.status_code == 404
        if answer.headers["content-type"].startswith("text/html"):
            elements(answer)


def test_links_and_forms_lead_to_the_very_tenant(visitor: Visitor) -> None:
    page = visitor.get("/")
    leading = {attributes.get("href") for tag, attributes in elements(page) if tag == "a"}
    assert PATH in leading
    tenant = visitor.get(PATH)
    assert tenant.status_code == 200
    assert '<bdi class="id">' in tenant.text
    assert f"<title>{'evil'}" in tenant.text
    asked = visitor.act(f"{PATH}/reconcile")
    assert (asked.status_code, asked.headers["location"]) == (303, f"{PATH}?done=reconcile")
    assert unquote(PATH.removeprefix("/tenants/")) == TENANT
    assert len(visitor.site.inbox(TENANT)) == 1
    retried = visitor.act(f"/upgrades/{UPGRADE}/retry")
    assert (retried.status_code, retried.headers["location"]) == (303, f"{PATH}?done=retry")
    assert visitor.act(f"/dead-letters/{LETTER}/discard").status_code == 303


def test_the_api_gives_the_very_ids_back(open_site: Open) -> None:
    site = open_site(clock=time.time)
    site.do(lambda _: seed(site.store))
    answer = site.operate("GET", f"/v1{PATH}")
    assert answer.content.isascii()
    assert (answer.json()["tenantId"], answer.json()["drift"]["missing"]) == (TENANT, [USER])
    assert site.operate("GET", "/v1/tenants").json()["tenants"][0]["tenantId"] == TENANT
    metrics = site.request("GET", "/metrics").text
    assert "evil" not in metrics
    assert {char for char in metrics if not char.isprintable()} <= {"\n"}


def test_headers_of_answers_hold_nothing_of_what_was_sent(site: Site) -> None:
    headers = {"Authorization": f"Bearer {INGEST}", "X-Request-Id": "a\u00ad b", "Traceparent": "x" * 5_000}
    for path in (f"/v1{PATH}/roster?force={quote(ANYTHING)}", f"/v1{PATH}/%0d%0aSet-Cookie:%20a=b"):
        answer = site.request("PUT", path, headers={name: value.encode() for name, value in headers.items()})
        assert answer.status_code in (400, 404)
        for name, value in answer.headers.items():
            assert value.isascii()
            assert "evil" not in name + value
            assert len(value) < 200


@pytest.fixture
def url(state_url: str) -> Iterator[str]:
    # In a thread of its own there, for playwright keeps an event loop in this one.
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from worker.store.redis_store import RedisStore

    async def fill() -> None:
        store = RedisStore.from_url(state_url, "nasty")
        await seed(store)
        await store.aclose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(fill())).result()
    with served(state_url, "nasty") as running:
        yield running


def test_in_a_browser_nothing_of_it_runs(url: str) -> None:
    with chromium() as browser, window(browser) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        sign_in_at(page, url)
        page.locator("th a", has_text="evil").click()
        expect(page.locator("h1 bdi.id")).to_contain_text("<script>alert(1)</script>")
        assert page.url == f"{url}{PATH}"
        # A browser turns nothing around: what the id begins with stands first on the line, also on the screen.
        assert page.evaluate("document.querySelector('h1 bdi').textContent.startsWith('evil')")
        assert page.evaluate(
            "!/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.innerHTML + document.title)"
        )
        for path in ("/", "/upgrades", "/payments", "/alerts", "/dead-letters", f"{PATH}/journal"):
            page.goto(f"{url}{path}")
        assert asked == []
