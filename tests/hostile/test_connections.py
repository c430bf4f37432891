"""Callers that are slow, endless, many or no HTTP at all, against a real `seats web`; it goes on serving others.

Its bounds are the same as ever, only shorter, so that nobody has to wait for them.
"""

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.canaries import INGEST
from tests.hostile.web_process import Web, web_process
from tests.processes import eventually
from tests.web.site import INGEST_AUTH, an_event
from worker.web.bodies import BODY_SECONDS
from worker.web.connection import HEAD_SECONDS, LARGEST_HEAD, MOST_CONNECTIONS
from worker.web.events import LARGEST_BODY

HEAD, BODY, MOST = 1.0, 2.0, 400
FILES = 128
SHORTER = f"""
import resource
from worker.web import bodies, connection
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
bodies.BODY_SECONDS, connection.HEAD_SECONDS, connection.MOST_CONNECTIONS = {BODY}, {HEAD}, {MOST}
"""
GROWTH_MIB = 96
PROBLEM = b"content-type: application/problem+json"
POST = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {INGEST}\r\nContent-Type: application/json\r\n"
STRANGER = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def web(state_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    directory = tmp_path_factory.mktemp("web")
    with web_process(state_url, directory, {"SEATS_NAMESPACE": "connected"}, SHORTER) as web:
        yield web
        assert web.growth < GROWTH_MIB
        assert not [entry for entry in web.entries() if entry["level"] in ("error", "critical")]


@pytest.fixture(autouse=True)
def _others_are_served(web: Web) -> Iterator[None]:
    """Whatever somebody does, others publish at the end of it, and the process has not grown."""
    yield
    assert publish(web, [an_event()]).status_code == 202
    assert web.growth < GROWTH_MIB


def publish(web: Web, content: object) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {**INGEST_AUTH, "Content-Type": "application/json"}
    return httpx.post(f"{web.url}/v1/events", content=body, headers=headers, timeout=30)


@contextmanager
def connected(web: Web) -> Iterator[socket.socket]:
    with socket.create_connection(web.address, timeout=30) as client:
        yield client


def rest(client: socket.socket) -> bytes:
    """Everything until the server closes; a reset may take some of it along."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while part := client.recv(65_536):
            got += part
    return got


def talk(web: Web, said: bytes) -> bytes:
    """What is answered, once the server has closed."""
    with connected(web) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(said)
        return rest(client)


def drip(client: socket.socket, pieces: bytes, every: float = 0.1) -> float:
    """Send a byte now and then until the server closes; how long that took, in seconds."""
    began = time.monotonic()
    client.settimeout(every)
    while time.monotonic() - began < 30:
        try:
            client.sendall(pieces)
            if client.recv(65_536) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


def test_the_bounds_are_what_is_documented() -> None:
    assert (HEAD_SECONDS, BODY_SECONDS, LARGEST_HEAD, MOST_CONNECTIONS) == (20, 60, 65_536, 2_000)


def test_a_batch_holds_1_000_events_and_1_mib(web: Web) -> None:
    events = [an_event(id=f"evt_{number}", userId=f"user_{number}") for number in range(1_001)]
    assert publish(web, events[:1_000]).json() == {"accepted": 1_000}
    assert publish(web, events).status_code == 413
    whole = json.dumps(events[:1_000]).encode()
    assert len(whole) < LARGEST_BODY
    assert publish(web, whole.ljust(LARGEST_BODY)).json() == {"accepted": 1_000}
    assert publish(web, whole.ljust(LARGEST_BODY + 1)).status_code == 413


def test_a_body_that_drips_is_given_up_and_others_are_served_meanwhile(web: Web) -> None:
    with connected(web) as client:
        client.sendall(f"{POST}Content-Length: 1000\r\n\r\n[".encode())
        done: list[float] = []
        slow = threading.Thread(target=lambda: done.append(drip(client, b" ")))
        slow.start()
        assert publish(web, an_event()).status_code == 202
        assert not done
        slow.join(30)
    assert BODY * 0.5 < done[0] < 20


def test_a_body_that_drips_on_after_its_answer_is_cut_off(web: Web) -> None:
    with connected(web) as client:
        client.sendall(f"{STRANGER}Content-Length: 1000000\r\n\r\n".encode())
        assert client.recv(65_536).startswith(b"HTTP/1.1 401")
        assert drip(client, b" ") < 20


def test_blank_lines_keep_no_connection_open(web: Web) -> None:
    with connected(web) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        assert drip(client, b"\r\n") < 20


def test_a_head_that_drips_is_cut_off(web: Web) -> None:
    with connected(web) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Pad: ")
        assert drip(client, b"a") < 20


@pytest.mark.parametrize(
    "flood", [b"X-Pad: " + b"a" * 8_000 + b"\r\n", b"a:\r\n" * 4_000, b"a" * 9_000], ids=["large", "many", "endless"]
)
@pytest.mark.parametrize(
    "begin",
    [b"GET /healthz HTTP/1.1\r\nHost: x\r\n", f"{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n".encode()],
    ids=["headers", "trailers"],
)
def test_headers_without_end_are_refused(web: Web, begin: bytes, flood: bytes) -> None:
    before, sent = web.growth, 0
    with connected(web) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(begin)
            while sent < 64 * 1_048_576:
                client.sendall(flood)
                sent += len(flood)
        answer = rest(client)
    assert sent < 64 * 1_048_576, "it took all of it"
    assert answer == b"" or re.match(rb"HTTP/1.1 (431|400) .*\r\n", answer)
    assert answer == b"" or PROBLEM in answer
    assert web.growth - before < 48


def test_extensions_of_a_chunk_without_end_are_refused(web: Web) -> None:
    sent = 0
    with connected(web) as client, contextlib.suppress(ConnectionError):
        client.sendall(f"{POST}Transfer-Encoding: chunked\r\n\r\n1;x=".encode())
        while sent < 64 * 1_048_576:
            sent += client.send(b"a" * 65_536)
    assert sent < 64 * 1_048_576


def test_hundreds_of_idle_connections_are_borne_and_closed(web: Web) -> None:
    assert MOST > 300 > FILES
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(web)) for _ in range(300)]
        for client in clients[:150]:
            client.sendall(b"GET /healthz HT")
        assert publish(web, an_event()).status_code == 202
        for client in clients:
            assert client.recv(1) == b""


def test_one_connection_too_many_is_told_to_come_back(web: Web) -> None:
    def turned_away() -> bool:
        with contextlib.ExitStack() as stack:
            for _ in range(MOST):
                stack.enter_context(connected(web))
            answer = httpx.get(f"{web.url}/healthz", timeout=30)
        return (
            answer.status_code == 503
            and answer.headers["content-type"] == "application/problem+json"
            and 1 <= int(answer.headers["retry-after"]) <= 5
        )

    # On a busy machine the first of them may be closed for being late before the last has come.
    assert eventually(turned_away, 30)
    assert eventually(lambda: httpx.get(f"{web.url}/healthz", timeout=30).status_code == 200, 30)


def test_requests_in_one_go_are_answered_in_their_order(web: Web) -> None:
    paths = ["/healthz", "/nothing", "/openapi.json"] * 20
    heads = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths]
    heads[-1] = heads[-1].replace("Host: x", "Host: x\r\nConnection: close")
    answer = talk(web, "".join(heads).encode())
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"200", b"404", b"200"] * 20


EVENT = json.dumps(an_event()).encode()
ONCE = f"{POST}Connection: close\r\n"
CHUNKED = f"{ONCE}Transfer-Encoding: chunked\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (f"{POST}Content-Length: {len(EVENT) + 9}\r\n\r\n".encode() + EVENT, [408]),
        (f"{POST}Content-Length: {len(EVENT) - 5}\r\n\r\n".encode() + EVENT, [400, 400]),
        (f"{POST}Content-Length: -1\r\n\r\n".encode() + EVENT, [400]),
        (f"{POST}Content-Length: 1e3\r\n\r\n".encode() + EVENT, [400]),
        (f"{POST}Content-Length: {'9' * 30}\r\n\r\n".encode() + EVENT, [400]),
        (f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n".encode() + EVENT, [400]),
        (f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(), [400]),
        (f"{POST}Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n".encode(), [400]),
        (CHUNKED + b"%x\r\n" % len(EVENT) + EVENT + b"\r\n0\r\n\r\n", [202]),
        (CHUNKED + b"zz\r\n", [400]),
        (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", [400]),
        (CHUNKED + b"ffffffffffffffffff\r\nhello", [400]),
        (CHUNKED + (b"100000\r\n" + b" " * 0x100000 + b"\r\n") * 3 + b"0\r\n\r\n", [413]),
        (f"{ONCE}Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n".encode() + b"x" * 20, [415]),
        (f"{ONCE}Expect: 100-continue\r\nContent-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT, [100, 202]),
        (f"{ONCE}Expect: 200-maybe\r\nContent-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT, [202]),
        (b"GET /healthz HTTP/1.0\r\n\r\n", [200]),
        (b"GET /healthz\r\n\r\n", [200, 400]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
        (b"GET http://elsewhere.test/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [200]),
        (b"GET http://elsewhere.test:80/v1/tenants?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [401]),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [400, 404, 405]),
        (b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [400, 404, 405]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n", [200]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n", [200]),
        (b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n", [400]),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded\r\nConnection: close\r\n\r\n", [200, 400]),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
        (b"GET //../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [400, 404]),
        (b"GET /v1/tenants/%zz%0d%0aX: HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [400, 401]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
    ],
    ids=lambda value: None if isinstance(value, list) else ascii(value[-60:]),
)  # fmt: skip
def test_odd_requests(web: Web, said: bytes, statuses: list[int]) -> None:
    answer = talk(web, said)
    got = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d+) ", answer)]
    assert got == statuses or (len(got) == 1 and got[0] in statuses), answer[:300]
    if got[-1] >= 400:
        assert PROBLEM in answer
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["status"] == got[-1]
    for told in (b"Traceback", b"uvicorn", b"httptools"):
        assert told not in answer


def test_nothing_is_unpacked(web: Web) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    headers = {**INGEST_AUTH, "Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = httpx.post(f"{web.url}/v1/events", content=packed, headers=headers, timeout=30)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    signed = httpx.post(f"{web.url}/webhooks/stripe", content=packed, headers={"Content-Encoding": "br"}, timeout=30)
    assert signed.status_code == 415
