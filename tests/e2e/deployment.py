"""The processes of a real deployment, started the way an operator starts them, and ended with their test."""

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from tests.canaries import INGEST as INGEST
from tests.canaries import OPERATOR as OPERATOR
from tests.canaries import STRIPE_SECRET as STRIPE_SECRET
from tests.canaries import Where
from tests.e2e.crovver import API_KEY, MARK, Checkout, Crovver
from tests.watch import saw, saw_answer, saw_files, saw_redis

SECRETS = (API_KEY, INGEST, OPERATOR, STRIPE_SECRET, MARK, "checkout.stripe.com/pay")
T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(check: Callable[[], T], seconds: float = 30, what: str = "") -> T:
    """The first truthy answer of ``check``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or check}"
        time.sleep(0.05)


class Deployment:
    """Web, worker and scheduler over a Redis and a Crovver. Its logs are searched for secrets when it ends.

    ``launchers`` are words before the command of a process, such as those that run it on a host of its own.
    """

    def __init__(self, folder: Path, redis_url: str, crovver: Crovver, **settings: str) -> None:
        self.folder = folder
        self.crovver = crovver
        self.port = free_port()
        self.settings = {
            "SEATS_REDIS_URL": redis_url,
            "SEATS_CROVVER_BASE_URL": crovver.url,
            "SEATS_CROVVER_API_KEY": API_KEY,
            "SEATS_CROVVER_RATE": "500/s",
            "SEATS_STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
            "SEATS_INGEST_TOKENS": INGEST,
            "SEATS_OPERATOR_TOKEN": OPERATOR,
            "SEATS_SETTLE_SECONDS": "0.2",
            "SEATS_LOG_LEVEL": "debug",
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.launchers: dict[str, list[str]] = {}
        self.begun: dict[str, int] = {}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=20, event_hooks={"response": [_look]}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and "web" in self.processes:
            self.answers("/metrics")
        codes = {name: self.stop(name) for name in list(self.processes)}
        self.look_through()
        self.http.close()
        if kind is None:
            assert set(codes.values()) <= {0}, f"told to stop, a process failed: {codes}"
            self.assert_no_secret_was_logged()

    def start(self, *names: str) -> Self:
        """Start processes: ``web``, ``worker``, ``scheduler``; a name may carry a number, as in ``worker2``."""
        for name in names:
            self.begun[name] = self.times_ready(name)
            with self.log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [*self.launchers.get(name, ()), sys.executable, "-m", *self.command(name)],
                    cwd=self.folder,
                    env={**self.environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            if name.rstrip("0123456789") == "web":
                eventually(lambda: self.answers("/healthz"), what="web to answer")
        return self

    def command(self, name: str) -> list[str]:
        """The module that a process runs, with its arguments."""
        command = name.rstrip("0123456789")
        return ["worker.cli", command, *(["--port", str(self.port)] if command == "web" else [])]

    def start_all(self) -> Self:
        return self.start("web", "worker", "scheduler")

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATS_")}
        return {**kept, **self.settings}

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def stop(self, name: str) -> int:
        """Tell a process to stop, once it is there to be told, and wait; its exit code."""
        process = self.processes.pop(name)
        eventually(
            lambda: process.poll() is not None or self.times_ready(name) > self.begun[name], what=f"{name} to be ready"
        )
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def times_ready(self, name: str) -> int:
        """How often a process of this name has said in its log that it is ready."""
        path = self.log(name)
        words = f"{name.rstrip('0123456789')} ready"
        return path.read_text(errors="replace").count(words) if path.exists() else 0

    def kill(self, name: str) -> None:
        """End a process with SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def seats(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the CLI to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli", *words],
            cwd=self.folder,
            env={**self.environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        saw(Where.COMMAND, f"seats {words[0]}", done.stdout + done.stderr)
        return done

    def answers(self, path: str) -> int:
        try:
            return self.http.get(path).status_code
        except httpx.TransportError:
            return 0

    def publish(self, *events: Mapping[str, object]) -> httpx.Response:
        headers = {"authorization": f"Bearer {INGEST}", "content-type": "application/cloudevents-batch+json"}
        return self.http.post("/v1/events", content=json.dumps(events), headers=headers)

    def join(self, tenant: str, *users: str) -> None:
        answer = self.publish(*(event(tenant, user) for user in users))
        assert answer.status_code == 202, answer.text

    def get(self, path: str) -> Any:
        answer = self.http.get(path, headers={"authorization": f"Bearer {OPERATOR}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tenant(self, tenant: str) -> dict[str, Any]:
        """The tenant's view, empty where it has not been reconciled yet."""
        answer = self.http.get(f"/v1/tenants/{tenant}", headers={"authorization": f"Bearer {OPERATOR}"})
        assert answer.status_code in (200, 404), answer.text
        found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return found

    def state(self, tenant: str) -> str | None:
        upgrade = self.tenant(tenant).get("upgrade")
        return upgrade["state"] if upgrade else None

    def wait_for_state(self, tenant: str, state: str, seconds: float = 30) -> dict[str, Any]:
        eventually(lambda: self.state(tenant) == state, seconds, f"{tenant} to be {state}")
        return self.tenant(tenant)

    def webhook(self, checkout: Checkout, event: str = "completed", **changes: str) -> httpx.Response:
        """Send a signed Stripe event about a checkout."""
        body = stripe_event(checkout, event, **changes)
        return self.post_webhook(body, signature(body))

    def post_webhook(self, body: bytes, header: str | None) -> httpx.Response:
        headers = {"content-type": "application/json"}
        if header is not None:
            headers["stripe-signature"] = header
        # A connection of its own: a hundred threads that share a client may close one under each other.
        with httpx.Client(base_url=self.http.base_url, timeout=30) as client:
            return client.post("/webhooks/stripe", content=body, headers=headers)

    def look_through(self) -> None:
        """Look for canaries in what the processes have logged and in what is on their Redis."""
        saw_files(Where.LOG, sorted(self.folder.glob("*.log")))
        saw_redis(self.settings["SEATS_REDIS_URL"], self.settings.get("SEATS_NAMESPACE", "seats"))

    def assert_no_secret_was_logged(self) -> None:
        for path in sorted(self.folder.glob("*.log")):
            text = path.read_text(errors="replace")
            found = [secret for secret in SECRETS if secret in text]
            assert not found, f"{path.name} holds {found}"


def _look(answer: httpx.Response) -> None:
    answer.read()
    saw_answer(answer)


_serial = iter(range(10**9))


def event(
    tenant: str, user: str, kind: str = "user.added", *, ident: str | None = None, time: str | None = None
) -> dict[str, object]:
    found: dict[str, object] = {
        "specversion": "1.0",
        "id": ident or f"evt_{os.getpid()}_{next(_serial)}",
        "source": "e2e",
        "type": kind,
        "data": {"tenantId": tenant, "userId": user},
    }
    return {**found, "time": time} if time else found


def stripe_event(
    checkout: Checkout, kind: str = "completed", *, status: str = "paid", ident: str = "", **metadata: str
) -> bytes:
    session = {
        "id": checkout.session,
        "object": "checkout.session",
        "payment_status": status,
        "client_reference_id": None,
        "metadata": {"event_type": "seat_proration", **metadata},
    }
    body = {
        "id": ident or f"evt_{checkout.proration}_{kind}_{status}",
        "object": "event",
        "type": f"checkout.session.{kind}",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": session},
    }
    return json.dumps(body).encode()


def signature(body: bytes, *, at: float | None = None, secret: str = STRIPE_SECRET) -> str:
    moment = int(time.time() if at is None else at)
    digest = hmac.digest(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hex()}"
