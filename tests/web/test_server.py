"""The web process itself: real sockets, real signals."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.web.site import INGEST, INGEST_AUTH, OPERATOR, OPERATOR_AUTH, STRIPE_SECRET, an_event, eventually
from worker.embedded import EmbeddedServer
from worker.settings import Settings
from worker.telemetry import NoSpans
from worker.web import bodies, connection
from worker.web.server import WebServer, build_app

PROGRAM = """
from worker.settings import Settings
from worker.web.server import run
run(Settings.load(), "127.0.0.1", 0, lambda url: print(url, flush=True))
"""


def environment(redis_url: str) -> dict[str, str]:
    return {
        "SEATS_REDIS_URL": redis_url,
        "SEATS_NAMESPACE": "served",
        "SEATS_INGEST_TOKENS": INGEST,
        "SEATS_OPERATOR_TOKEN": OPERATOR,
        "SEATS_STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
    }


@contextmanager
def serving(redis_url: str) -> Iterator[str]:
    """The URL of a server in a thread, which is gone at the end."""
    server = WebServer(build_app(Settings.load(environ=environment(redis_url)), NoSpans()), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, "the server starts")
        yield server.url
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def url(state_url: str) -> Iterator[str]:
    with serving(state_url) as running:
        yield running


def publish(url: str, content: object = None) -> httpx.Response:
    return httpx.post(f"{url}/v1/events", json=content or an_event(), headers=INGEST_AUTH, timeout=20)


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port or 0), timeout=15) as client:
        yield client


def test_events_are_accepted_over_a_socket_and_the_server_does_not_name_itself(url: str) -> None:
    answer = publish(url, [an_event(), an_event(id="evt_2")])
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    assert "server" not in answer.headers


def test_a_tenant_id_with_a_slash_works_over_a_socket(url: str) -> None:
    body = {"users": [{"userId": "u1"}]}
    assert httpx.put(f"{url}/v1/tenants/a%2Fb/roster", json=body, headers=INGEST_AUTH).status_code == 202
    assert httpx.put(f"{url}/v1/tenants/a/b/roster", json=body, headers=INGEST_AUTH).status_code == 404


@pytest.mark.parametrize("path", ["/webhooks/stripe", "/v1/events"])
def test_an_8_mib_body_gets_its_413_whether_or_not_its_length_is_declared(url: str, path: str) -> None:
    headers = {**INGEST_AUTH, "Content-Type": "application/json"}
    chunk = b" " * 65_536
    with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
        assert client.post(path, content=chunk * 128).status_code == 413
        assert client.post(path, content=(chunk for _ in range(128))).status_code == 413
        assert client.get("/healthz").status_code == 200


def test_whoever_asks_before_sending_too_much_is_told_before_sending_it(url: str) -> None:
    head = (
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8388608\r\n"
        f"Authorization: Bearer {INGEST}\r\nExpect: 100-continue\r\n\r\n"
    )
    with connected(url) as client:
        client.sendall(head.encode())
        answer = b""
        while part := client.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_head_without_end_is_refused(url: str) -> None:
    with connected(url) as client:
        answer = b""
        # A connection that is closed on what is still being sent may be reset, and then takes the answer with it.
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            for _ in range(64):
                client.sendall(b"X-Pad: " + b"a" * 8_000 + b"\r\n")
            answer = client.recv(65_536)
    assert answer[:12] in (b"", b"HTTP/1.1 431")


def test_a_large_head_that_ends_in_time_is_read(url: str) -> None:
    assert httpx.get(f"{url}/healthz", headers={"X-Pad": "a" * 16_000}).status_code == 200


def test_a_connection_that_says_nothing_is_closed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHo"):
        with connected(url) as client:
            client.sendall(said)
            assert client.recv(1024) == b""


def test_a_body_that_does_not_arrive_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {INGEST}\r\n"
    )
    with connected(url) as client:
        client.sendall(f"{head}Content-Length: 100\r\n\r\n[".encode())
        assert client.recv(1024).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "request_", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_what_is_no_http_is_refused(url: str, request_: bytes) -> None:
    with connected(url) as client:
        client.sendall(request_)
        assert client.recv(1024).startswith(b"HTTP/1.1 400")


def test_a_server_that_is_away_gives_503_and_comes_back_by_itself(valkey: EmbeddedServer) -> None:
    with serving(valkey.url) as url:
        assert publish(url).status_code == 202
        valkey.kill()
        answer = publish(url)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert 1 <= int(answer.headers["retry-after"]) <= 5
        assert httpx.get(f"{url}/healthz").status_code == 200
        ready = httpx.get(f"{url}/readyz", timeout=20)
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert httpx.get(f"{url}/v1/tenants", headers=OPERATOR_AUTH).status_code == 503
        valkey.restart()
        eventually(lambda: publish(url).status_code == 202, "events are accepted again")
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, "it is ready again")


def test_a_stalled_server_gives_503_in_bounded_time(valkey: EmbeddedServer) -> None:
    with serving(valkey.url) as url:
        assert publish(url).status_code == 202
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with ThreadPoolExecutor() as pool:
                published = pool.submit(publish, url)
                assert httpx.get(f"{url}/readyz", timeout=20).status_code == 503
                assert time.monotonic() - began < 4
                assert published.result().status_code == 503
            assert time.monotonic() - began < 15
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
        eventually(lambda: publish(url).status_code == 202, "events are accepted again")


@contextmanager
def process(redis_url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The web process and its URL."""
    env = {**os.environ, **environment(redis_url)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_stop_finishes_what_it_has_begun_and_exits_with_0(
    state_url: str, told: signal.Signals
) -> None:
    body = json.dumps(an_event()).encode()
    head = (
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nAuthorization: Bearer {INGEST}\r\n\r\n"
    )
    with process(state_url) as (running, url), connected(url) as client, connected(url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        client.sendall(head.encode())
        time.sleep(0.2)
        running.send_signal(told)
        eventually(lambda: refuses(url), "no new connections are taken")
        client.sendall(body)
        assert client.recv(1024).startswith(b"HTTP/1.1 202")
        assert running.wait(12) == 0
        assert running.stderr is not None
        log = running.stderr.read()
    assert "Traceback" not in log
    assert not any(secret in log for secret in (INGEST, OPERATOR, STRIPE_SECRET))


def refuses(url: str) -> bool:
    try:
        with connected(url):
            return False
    except OSError:
        return True


def test_a_process_starts_although_redis_is_away() -> None:
    with process("redis://127.0.0.1:1/0") as (running, url):
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.get(f"{url}/readyz", timeout=20).status_code == 503
        assert publish(url).status_code == 503
        running.send_signal(signal.SIGTERM)
        assert running.wait(12) == 0
