"""A real sandbox on a loopback port, a webhook receiver beside it, and a small driver for both."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import httpx
import pytest

from tests.canaries import CROVVER_SECRET as CROVVER_SECRET
from tests.canaries import STRIPE_SECRET as STRIPE_SECRET
from worker.sandbox.config import SandboxConfig
from worker.sandbox.server import SandboxServer

T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """One webhook as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A webhook endpoint. The ``statuses`` of a path are answered in turn, then 200."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    slow: float = 0

    def wait_for(self, count: int, path: str = "/stripe") -> list[Received]:
        """The first so many webhooks on a path."""

        def found() -> list[Received]:
            on_path = [one for one in self.received if one.path == path]
            return on_path if len(on_path) >= count else []

        return eventually(found)


class Driver(httpx.Client):
    """Calls the sandbox: the control API plainly, Crovver's API with a key."""

    def tenant(self, tenant: str = "acme", **settings: object) -> dict[str, Any]:
        answer = self.put(f"/sandbox/tenants/{tenant}", json=settings)
        assert answer.status_code == 200, answer.text
        return json_of(answer)

    def state(self, tenant: str = "acme") -> dict[str, Any]:
        return json_of(self.get(f"/sandbox/tenants/{tenant}"))

    def allocations(self, tenant: str = "acme", **query: str | int) -> httpx.Response:
        params = {"requestingEntityId": tenant} | {name: str(value) for name, value in query.items()}
        return self.get("/api/public/capacity/allocations", params=params)

    def checkout(self, capacity: object = 15, tenant: str = "acme", **more: object) -> httpx.Response:
        body = {"externalTenantId": tenant, "newCapacity": capacity, **more}
        return self.post("/api/public/capacity/proration-checkout", json=body)

    def session(self, capacity: int = 15, tenant: str = "acme", **more: object) -> str:
        """Start a checkout and name its session."""
        return str(self.checkout(capacity, tenant, **more).json()["data"]["checkoutUrl"]).rsplit("/", 1)[1]

    def act(self, session: str, action: str) -> httpx.Response:
        return self.post(f"/sandbox/checkouts/{session}/{action}")

    def checkouts(self, tenant: str = "acme") -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.get("/sandbox/checkouts", params={"tenant": tenant}).json()["checkouts"]
        return listed

    def fault(self, kind: str, **more: object) -> None:
        answer = self.post("/sandbox/faults", json={"kind": kind, **more})
        assert answer.status_code == 200, answer.text


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object that was answered."""
    body: dict[str, Any] = answer.json()
    return body


def eventually(look: Callable[[], T], within: float = 5) -> T:
    """What ``look`` answers as soon as it is true."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not so within {within} s")


def served(config: SandboxConfig) -> Iterator[SandboxServer]:
    """A sandbox in a thread of its own."""
    bound = threading.Event()
    server = SandboxServer("127.0.0.1", 0, config, lambda _: bound.set())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert bound.wait(10)
    yield server
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def server() -> Iterator[SandboxServer]:
    yield from served(SandboxConfig(delivery_waits=(0.02, 0.04)))


@pytest.fixture
def sandbox(server: SandboxServer) -> Iterator[Driver]:
    """An empty sandbox that sends its webhooks nowhere."""
    headers = {"authorization": "Bearer sk_test_of_the_tests"}
    with Driver(base_url=server.url, headers=headers, timeout=10, trust_env=False) as driver:
        driver.post("/sandbox/reset")
        driver.put("/sandbox/webhooks", json={})
        yield driver


@pytest.fixture
def receiver(sandbox: Driver) -> Iterator[Receiver]:
    """A webhook receiver that the sandbox sends to: Stripe at /stripe, Crovver at /crovver."""
    inbox = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            inbox.received.append(Received(self.path, headers, body))
            time.sleep(inbox.slow)
            statuses = inbox.statuses.get(self.path)
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    targets = {
        "stripeUrl": f"{inbox.url}/stripe",
        "stripeSecret": STRIPE_SECRET,
        "crovverUrl": f"{inbox.url}/crovver",
        "crovverSecret": CROVVER_SECRET,
    }
    assert sandbox.put("/sandbox/webhooks", json=targets).status_code == 200
    yield inbox
    http.shutdown()
    http.server_close()
    thread.join(5)
