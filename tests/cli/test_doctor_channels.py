"""`seats doctor` and the channels alerts go to: real HTTP and real sockets behind them."""

import builtins
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.cli.conftest import Outcome, Run
from worker.cli.loopback import free_port


class Service:
    """A service that takes messages, or answers 500 at paths that begin with /broken."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                broken = self.path.startswith("/broken")
                if not broken:
                    service.received.append(json.loads(body))
                self.send_response(500 if broken else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.http.server_port}"


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    thread = threading.Thread(target=running.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.http.shutdown()
    running.http.server_close()
    thread.join(5)


def channels(outcome: Outcome) -> list[str]:
    """What was said of each channel, without its name."""
    found = [line.split(": ", 2) for line in outcome.out.splitlines() if ": alert channel json" in line]
    return [f"{verdict}: {said}" for verdict, _, said in found]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_channel_is_looked_at_and_sent_nothing(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_ALERT_URLS", f"json://ann:hunter2@{service.host}/x")
    outcome = run("doctor")
    assert channels(outcome) == [
        "good: understood by Apprise, and its server can be reached; `--send-test` sends a message"
    ]
    assert service.received == []
    assert "hunter2" not in outcome.out


def test_a_test_message_says_what_it_is_and_each_channel_is_told_apart(
    run: Run, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = f"warning=json://{service.host}/x,json://{service.host}/broken?hunter2"
    monkeypatch.setenv("SEATS_ALERT_URLS", urls)
    outcome = run("doctor", "--send-test")
    works, broken = channels(outcome)
    assert works == "good: took a test message; see that it has arrived"
    assert broken == (
        "must be fixed: it did not take a test message: the service answered with HTTP 500"
        " → check its URL in SEATS_ALERT_URLS"
    )
    (message,) = service.received
    assert message["title"] == "Seat Reconciler: a test"
    assert "severity warning and worse" in message["message"]
    assert outcome.code == 1
    assert "hunter2" not in outcome.out


@pytest.mark.parametrize("arguments", [(), ("--send-test",)])
@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("json://:hunter2@127.0.0.1:{closed}/", "the connection was refused"),
        ("jsons://:hunter2@nobody.invalid/", "the host name can't be resolved"),
    ],
)
def test_a_channel_that_cannot_be_reached_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], url: str, seen: str
) -> None:
    monkeypatch.setenv("SEATS_ALERT_LINK_URLS", url.format(closed=free_port()))
    outcome = run("doctor", *arguments)
    (said,) = channels(outcome)
    assert said.startswith(f"must be fixed: its server can't be reached: {seen} → ")
    assert "SEATS_ALERT_LINK_URLS" in said
    assert outcome.code == 1
    assert "hunter2" not in outcome.out


def test_a_channel_that_says_nothing_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SEATS_ALERT_URLS", f"json://127.0.0.1:{silent.getsockname()[1]}/")
        (said,) = channels(run("doctor", "--send-test"))
    assert said.startswith("must be fixed: it did not take a test message: ")


def test_a_url_that_no_service_has_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_ALERT_URLS", "jsonn://hunter2/x")
    outcome = run("doctor")
    (said,) = channels(outcome)
    assert said.startswith("must be fixed: SEATS_ALERT_URLS holds a URL that Apprise does not take")
    assert "hunter2" not in outcome.out


def test_without_apprise_its_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "apprise":
            raise ImportError(name)
        return there(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setenv("SEATS_ALERT_URLS", "json://127.0.0.1/")
    (said,) = channels(run("doctor"))
    assert "seat-reconciler[alerts]" in said.split(" → ")[1]
