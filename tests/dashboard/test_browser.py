"""In Chromium: signing in, live pages, questions, the keyboard, and what axe finds."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser import chromium, sign_in, window
from tests.dashboard.sample import TRICKY
from tests.dashboard.serving import served
from tests.web.site import OPERATOR

PAGES = {
    "overview": "/",
    "search": "/?q=a",
    "nothing found": "/?q=zzz",
    "tenant": "/tenants/acme",
    "over capacity": "/tenants/initech",
    "payable": "/tenants/umbrella",
    "awaits approval": "/tenants/hooli",
    "tricky id": f"/tenants/{quote(TRICKY, safe='')}",
    "journal": "/tenants/acme/journal",
    "upgrades": "/upgrades",
    "stuck": "/upgrades?state=stuck",
    "approvals": "/approvals",
    "question": "/upgrades/upg_wait/approve",
    "payments": "/payments",
    "dead letters": "/dead-letters",
    "alerts": "/alerts",
    "not found": "/tenants/nobody",
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def url(sample: tuple[str, str]) -> Iterator[str]:
    with served(*sample) as running:
        yield running


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page that is signed in, at the overview."""
    with window(browser) as context:
        page = context.new_page()
        sign_in(page, url)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        yield page


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody from using the page."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_and_nothing_sticks_out(browser: Browser, url: str, look: str) -> None:
    # axe is put into the page by evaluating it, which the pages' own policy forbids to everybody else.
    with window(browser, bypass_csp=True, **LOOKS[look]) as context:
        page = context.new_page()
        page.goto(f"{url}/sign-in")
        assert serious(page) == []
        sign_in(page, url)
        for name, path in PAGES.items():
            page.goto(url + path)
            assert serious(page) == [], name
            broad = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert broad <= 0, f"{name} has to be moved sideways by {broad} pixels"
        page.goto(f"{url}/tenants/hooli")
        page.get_by_role("link", name="Approve").click()
        expect(page.get_by_role("dialog").get_by_role("button", name="Approve")).to_be_visible()
        assert serious(page) == [], "the dialog"


def test_what_is_pressed_is_large_enough_for_a_finger(browser: Browser, url: str) -> None:
    with window(browser, **LOOKS["phone"]) as context:
        page = context.new_page()
        sign_in(page, url)
        for path in ("/", "/tenants/initech", "/tenants/umbrella", "/approvals", "/dead-letters"):
            page.goto(url + path)
            sizes = page.eval_on_selector_all(
                "button, .button, select, input, nav a, summary",
                """all => all.filter(e => e.checkVisibility())
                .map(e => [e.textContent.trim(), e.getBoundingClientRect().height])""",
            )
            assert sizes
            assert [(text, height) for text, height in sizes if 0 < height < 43.5] == []


def test_a_wrong_token_gets_nowhere(browser: Browser, url: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, url, "not the token")
    expect(page.get_by_role("alert")).to_have_text("That is not the operator token.")
    page.goto(f"{url}/tenants/acme")
    expect(page.get_by_label("Operator token")).to_be_visible()
    expect(page.get_by_text("Seats needed")).to_have_count(0)
    context.close()


def test_signing_in_leads_back_to_where_one_wanted_to_go_and_signing_out_ends_it(browser: Browser, url: str) -> None:
    with window(browser) as context:
        page = context.new_page()
        page.goto(f"{url}/tenants/{quote(TRICKY, safe='')}")
        page.get_by_label("Operator token").fill(OPERATOR)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Seats over time")).to_be_visible()
        assert page.url == f"{url}/tenants/{quote(TRICKY, safe='')}"
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Operator token")).to_be_visible()
        page.goto(url)
        expect(page.get_by_label("Operator token")).to_be_visible()


def test_a_foreign_page_can_neither_act_nor_look(browser: Browser, url: str, sample: tuple[str, str]) -> None:
    """Another origin on this machine, in a browser that is signed in."""
    with served(*sample) as elsewhere:
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, url)
        other = elsewhere.replace("127.0.0.1", "localhost")
        page.goto(f"{other}/healthz")
        with page.expect_navigation() as sent:
            page.evaluate(
                """url => { const form = document.createElement("form"); form.method = "post";
                form.action = url + "/tenants/acme/reconcile"; document.body.append(form); form.submit(); }""",
                url,
            )
        assert sent.value is not None
        assert sent.value.status == 403
        page.goto(f"{other}/healthz")
        framed = page.evaluate(
            """url => new Promise(done => { const frame = document.createElement("iframe"); frame.src = url;
            frame.onload = () => done(frame.contentDocument === null); document.body.append(frame); })""",
            url,
        )
        assert framed is True
        looked = page.evaluate("url => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'kept out')", url)
        assert looked == "kept out"
        context.close()


def test_a_link_from_another_site_arrives_signed_in(browser: Browser, url: str) -> None:
    with window(browser) as context:
        page = context.new_page()
        sign_in(page, url)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        page.goto(url.replace("127.0.0.1", "localhost") + "/healthz")
        page.evaluate("url => { location.href = url }", f"{url}/tenants/acme")
        expect(page.get_by_text("Seats over time")).to_be_visible()


def test_pages_bring_themselves_up_to_date_and_say_when_they_cannot(page: Page, url: str) -> None:
    page.goto(f"{url}/tenants/acme")
    page.evaluate("window.marker = 'still the same page'")
    page.locator("summary", has_text="The same as a table").click()
    expect(page.get_by_text("Facts waiting")).to_have_count(0)
    bearer = {"Authorization": f"Bearer {OPERATOR}"}
    assert httpx.post(f"{url}/v1/tenants/acme/reconcile", headers=bearer).status_code == 202
    expect(page.get_by_text("Facts waiting")).to_be_visible(timeout=8000)
    # What a visitor has opened stays open, and the chart stays.
    expect(page.locator("table.small caption").first).to_be_visible()
    expect(page.locator("svg.chart.broad")).to_be_visible()
    page.context.unroute("**/*")
    page.route("**/*", lambda route: route.abort())
    expect(page.get_by_text("This page is not live just now")).to_be_visible(timeout=8000)
    page.unroute("**/*")
    expect(page.get_by_text("This page is not live just now")).to_be_hidden(timeout=8000)
    assert page.evaluate("window.marker") == "still the same page"


def test_a_question_is_asked_in_a_dialog_and_can_be_left_by_the_keyboard(page: Page, url: str) -> None:
    page.goto(f"{url}/tenants/hooli")
    page.get_by_role("link", name="Approve").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Approve this upgrade?")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent").strip() == "Approve"
    page.keyboard.press("Enter")
    dialog.get_by_role("link", name="Back").click()
    expect(dialog).to_be_hidden()
    assert page.url == f"{url}/tenants/hooli"


def test_the_keyboard_reaches_the_content_first_and_everything_after_it(page: Page, url: str) -> None:
    page.goto(url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert "tile" in page.evaluate("document.activeElement.className")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_search_that_is_being_typed_is_left_alone(page: Page) -> None:
    page.get_by_label("Id begins with").fill("umb")
    page.wait_for_timeout(5600)  # longer than the overview takes to ask again
    expect(page.get_by_label("Id begins with")).to_have_value("umb")
    expect(page.get_by_label("Id begins with")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("rowheader", name="umbrella")).to_be_visible()


def test_the_link_can_be_copied(browser: Browser, url: str) -> None:
    with window(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        sign_in(page, url)
        page.goto(f"{url}/tenants/umbrella")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == page.get_by_label("Checkout link").input_value()


def test_without_scripts_everything_is_there_too(browser: Browser, url: str) -> None:
    with window(browser, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, url)
        page.get_by_role("link", name="Approvals").click()
        page.get_by_role("link", name="Approve").click()
        expect(page.get_by_role("heading", name="Approve this upgrade?")).to_be_visible()
        page.get_by_role("link", name="Back").click()
        expect(page.get_by_text("Seats over time")).to_be_visible()
        page.get_by_role("link", name="Reconcile now").click()
        page.get_by_role("button", name="Reconcile").click()
        expect(page.get_by_text("It will be looked at in a moment.")).to_be_visible()
