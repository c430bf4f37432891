"""Behind proxies: whose word is taken for whom a request comes from."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest

from tests.canaries import OPERATOR
from tests.web.site import eventually
from worker.settings import ConfigError, Settings
from worker.telemetry import NoSpans
from worker.web.guesses import EACH
from worker.web.server import WebServer, build_app


@contextmanager
def serving(redis_url: str, trusted: Sequence[str]) -> Iterator[str]:
    environ = {"SEATS_REDIS_URL": redis_url, "SEATS_NAMESPACE": "proxied", "SEATS_OPERATOR_TOKEN": OPERATOR}
    app = build_app(Settings.load(environ=environ), NoSpans())
    server = WebServer(app, "127.0.0.1", 0, trusted_proxies=trusted)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, "the server starts")
        yield server.url
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def asked(url: str, token: str, forwarded: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": forwarded}
    return httpx.get(f"{url}/v1/tenants", headers=headers, timeout=20).status_code


def test_a_trusted_proxy_says_who_it_speaks_for(state_url: str) -> None:
    with serving(state_url, ["127.0.0.0/8"]) as url:
        for number in range(EACH):
            assert asked(url, f"guess-{number}", "198.51.100.7") == 401
        assert asked(url, OPERATOR, "198.51.100.7") == 429
        # What a client claims stands before what the proxy adds.
        assert asked(url, OPERATOR, "203.0.113.5, 198.51.100.7") == 429
        assert asked(url, OPERATOR, "203.0.113.5") == 200


@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8"]])
def test_anybody_else_speaks_for_itself(state_url: str, trusted: list[str]) -> None:
    with serving(state_url, trusted) as url:
        for number in range(EACH):
            assert asked(url, f"guess-{number}", f"198.51.100.{number}") == 401
        assert asked(url, OPERATOR, "203.0.113.5") == 429


def test_a_proxy_tells_whether_the_browser_speaks_https(state_url: str) -> None:
    with serving(state_url, ["127.0.0.1"]) as url:
        headers = {"Origin": url, "Sec-Fetch-Site": "same-origin", "X-Forwarded-Proto": "https"}
        answer = httpx.post(f"{url}/sign-in", data={"token": OPERATOR}, headers=headers, timeout=20)
        assert "; secure" in answer.headers["set-cookie"].lower()


def proxies(text: str) -> tuple[str, ...]:
    return Settings.load(environ={"SEATS_TRUSTED_PROXIES": text}).trusted_proxies


def test_addresses_and_networks_are_read() -> None:
    assert proxies("10.0.0.7, 192.168.1.1/16,fd00::1/64,10.0.0.7") == ("10.0.0.7/32", "192.168.0.0/16", "fd00::/64")


@pytest.mark.parametrize("text", ["*", "proxy.internal", "0.0.0.0/0", "::/0", "10.0.0.7,", "10.0.0.256", "10.0.0.0/33"])
def test_what_would_trust_everybody_or_nobody_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SEATS_TRUSTED_PROXIES must be addresses or networks of proxies"):
        proxies(text)
