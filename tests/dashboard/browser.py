"""Browsers: one without scripts, made of plain requests, and Chromium."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from tests.web.site import OPERATOR, Site

OURS = {"Origin": "http://seats.test", "Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form on our own page."""

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Visitor:
    """Follows links and sends forms as a browser without scripts does. Redirects are its caller's to follow."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._request("GET", path, headers)

    def post(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] = OURS) -> httpx.Response:
        return self._request("POST", path, headers, data=dict(form))

    def sign_in(self, token: str = OPERATOR, **form: str) -> httpx.Response:
        return self.post("/sign-in", {"token": token, **form})

    def form_token(self, path: str = "/") -> str:
        """The token that the page's own forms carry."""
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', self.get(path).text)
        assert found
        return found[1]

    def act(self, path: str) -> httpx.Response:
        """Answer the question of an action with yes."""
        return self.post(path, {"form_token": self.form_token()})

    def text(self, path: str) -> str:
        """What a page says, without its tags."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        body = answer.text.partition("<main")[2]
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    def _request(self, method: str, path: str, headers: Mapping[str, str], **options: Any) -> httpx.Response:
        cookie = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        )
        self.site.client.cookies.clear()
        answer = self.site.request(method, path, headers={**cookie, **headers}, follow_redirects=False, **options)
        self.cookies.update({name: value for name, value in answer.cookies.items() if value})
        return answer


def chromium_binary() -> str:
    """Chromium of the system. Skips where it is missing; CI fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    reason = "no chromium on the PATH: install Debian's package chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium. While it runs, playwright keeps an event loop in this thread."""
    binary = chromium_binary()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A fresh profile that reaches this machine only. Whatever its pages complain about fails the test."""
    context = browser.new_context(**options)
    complaints: list[str] = []
    context.route("**/*", _stay_here)

    def on_console(message: ConsoleMessage) -> None:
        # That an answer was a 404, or that there was none, is for the test to judge.
        if message.type == "error" and not message.text.startswith(("Failed to load resource", "htmx:")):
            complaints.append(message.text)

    context.on("console", on_console)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    try:
        yield context
        assert complaints == []
    finally:
        context.close()


def _stay_here(route: Route) -> None:
    if re.match(r"https?://(127\.0\.0\.1|localhost)[:/]", route.request.url):
        route.continue_()
    else:
        route.abort()


def sign_in(page: Page, url: str, token: str = OPERATOR) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("Operator token").fill(token)
    page.get_by_role("button", name="Sign in").click()
