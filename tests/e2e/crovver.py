"""A server that speaks the seeds' API and nothing else, for the worker to live on; every call is counted.

Written from the reference pages alone, apart from the sandbox, so that the worker is not tested against its own idea of
Crovver only.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.canaries import CROVVER_KEY, LINK_MARK, SERVICE_KEY

API_KEY, MARK = CROVVER_KEY, LINK_MARK
Fault = Literal["429", "500", "html", "cut", "lost", "slow", "hang", "302", "huge", "odd"]
"""``cut``: half an answer; ``lost``: none; ``hang``: none, and the line stays; ``odd``: members of other types."""


HUGE = 10_000_000
"""Bytes that a ``huge`` answer carries too many."""


def odd(value: object) -> object:
    """The same document with a value of another type in every place."""
    if isinstance(value, dict):
        return {name: odd(member) for name, member in value.items()}
    if isinstance(value, list):
        return {str(number): odd(member) for number, member in enumerate(value)}
    return [value] if isinstance(value, str | None) else str(value)


@dataclass
class Workspace:
    """A tenant with a subscription."""

    capacity: int
    seats: dict[str, str] = field(default_factory=dict)
    invoices: bool = False


@dataclass(frozen=True)
class Checkout:
    """A checkout that was made, whether its answer arrived or not."""

    tenant: str
    capacity: int
    session: str
    proration: str
    at: float


class Crovver:
    """The server and its state. Faults are taken in order, one a call; ``lasting`` ones strike whenever none is due."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.lock = threading.Lock()
        self.workspaces: dict[str, Workspace] = {}
        self.checkouts: list[Checkout] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.read_faults: list[Fault] = []
        self.checkout_faults: list[Fault] = []
        self.lasting: dict[Literal["read", "checkout"], Fault] = {}
        self.redirect_to = ""
        self.closing = threading.Event()
        self.pools: dict[str, dict[str, dict[str, Any]]] = {}
        self.before_answer: Callable[[Checkout], None] | None = None
        self.slow_seconds = 1.0
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, tenant: str, capacity: int, taken: int, *, invoices: bool = False) -> None:
        seats = {f"user_{number}": "2026-01-01T10:00:00.000Z" for number in range(1, taken + 1)}
        with self.lock:
            self.workspaces[tenant] = Workspace(capacity, seats, invoices)

    def grant(self, checkout: Checkout) -> None:
        """The payment has been applied."""
        with self.lock:
            workspace = self.workspaces[checkout.tenant]
            workspace.capacity = max(workspace.capacity, checkout.capacity)

    def checkouts_of(self, tenant: str) -> list[Checkout]:
        with self.lock:
            return [checkout for checkout in self.checkouts if checkout.tenant == tenant]

    def rows(self, workspace: Workspace) -> list[tuple[str, str]]:
        """The users of a tenant with the times they were seated, in the order in which they are listed."""
        return sorted(workspace.seats.items())

    def allocations(self, query: dict[str, str]) -> tuple[int, object]:
        with self.lock:
            workspace = self.workspaces.get(query["requestingEntityId"])
            if workspace is None:
                return 404, {"success": False, "error": "No active subscription found for this tenant"}
            wanted = query.get("status", "active") in ("active", "all")
            users = self.rows(workspace) if wanted else []
            page, limit = int(query.get("page", "1")), min(100, int(query.get("limit", "50")))
            shown = users[(page - 1) * limit : page * limit]
            pages = max(1, -(-len(users) // limit))
            active, capacity = len(workspace.seats), workspace.capacity
        rows: list[dict[str, object]] = [
            {
                "externalUserId": user, "email": f"{user}@acme.com", "name": None, "status": "active",
                "allocatedAt": at, "removedAt": None, "metadata": {},
            }
            for user, at in shown
        ]  # fmt: skip
        return 200, {
            "success": True,
            "data": {
                "allocations": rows,
                "capacity": {
                    "activeCount": active,
                    "capacityUnits": capacity,
                    "utilizationPercentage": round(100 * active / capacity) if capacity else 0,
                    "exceeded": active > capacity,
                },
                "pagination": {
                    "total": len(users), "page": page, "limit": limit, "totalPages": pages,
                    "hasNextPage": page < pages, "hasPreviousPage": page > 1,
                },
            },
        }  # fmt: skip

    def proration_checkout(self, body: dict[str, Any]) -> tuple[int, object]:
        tenant, capacity = body["externalTenantId"], body["newCapacity"]
        with self.lock:
            workspace = self.workspaces.get(tenant)
            if workspace is None:
                return 404, {"success": False, "data": None, "error": {"message": "no", "code": "TENANT_NOT_FOUND"}}
            if capacity <= workspace.capacity:
                return 400, {"success": False, "error": "newCapacity must be greater than current capacityUnits"}
            number = len(self.checkouts) + 1
            checkout = Checkout(tenant, capacity, f"cs_test_{MARK}{number}", f"proration-{number}", time.monotonic())
            self.checkouts.append(checkout)
        if self.before_answer is not None:
            self.before_answer(checkout)
        paid = not workspace.invoices
        data: dict[str, object] = {
            "prorationId": checkout.proration,
            "checkoutUrl": f"https://checkout.stripe.com/pay/{checkout.session}" if paid else None,
            "requiresPayment": paid,
            "prorationAmount": 1750,
            "message": "Checkout session created. Capacity will be upgraded after payment confirmation.",
        }
        if paid:
            data["prorationDetails"] = {"description": "Prorated charge", "calculation": "5 seats at $1.00"}
        return 200, {"success": True, "data": data}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        crovver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path == "/api/public/credits/balance" and self._authorized():
                    pools = crovver.pools.get(query.get("tenantId", ""), {})
                    return self._answer("GET", parts.path, query, 200, {"success": True, "data": pools})
                if parts.path != "/api/public/capacity/allocations":
                    return self._answer("GET", parts.path, query, 404, {"success": False, "error": "no such path"})
                with crovver.lock:
                    fault = crovver.read_faults.pop(0) if crovver.read_faults else crovver.lasting.get("read")
                if not self._authorized():
                    return self._answer("GET", parts.path, query, 401, {"success": False, "error": "Invalid API key"})
                self._answer("GET", parts.path, query, *crovver.allocations(query), fault)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                path = urlsplit(self.path).path
                if path != "/api/public/capacity/proration-checkout":
                    return self._answer("POST", path, body, 404, {"success": False, "error": "no such path"})
                if not self._authorized():
                    return self._answer("POST", path, body, 401, {"success": False, "error": "Invalid API key"})
                with crovver.lock:
                    due = crovver.checkout_faults
                    fault = due.pop(0) if due else crovver.lasting.get("checkout")
                if fault == "429":
                    return self._answer("POST", path, body, 200, {}, fault)
                self._answer("POST", path, body, *crovver.proration_checkout(body), fault)

            def _authorized(self) -> bool:
                given = self.headers.get("authorization"), self.headers.get("x-service-key")
                return given in ((f"Bearer {API_KEY}", None), (None, SERVICE_KEY))

            def _answer(
                self,
                method: str,
                path: str,
                asked: dict[str, Any],
                status: int,
                body: object,
                fault: Fault | None = None,
            ) -> None:
                with crovver.lock:
                    crovver.calls.append((method, path, asked))
                content, kind = json.dumps(body).encode(), "application/json"
                if fault == "slow":
                    time.sleep(crovver.slow_seconds)
                if fault in ("429", "500"):
                    status, content = int(fault), b'{"success": false, "error": "not now"}'
                if fault == "html":
                    status, content, kind = 502, b"<html><h1>502 Bad Gateway</h1></html>", "text/html"
                if fault == "hang":
                    crovver.closing.wait(120)
                if fault in ("lost", "hang"):
                    return self._hang_up()
                if fault == "302":
                    status = 302
                if fault == "huge":
                    content = content + b" " * HUGE
                if fault == "odd":
                    content = json.dumps(odd(body)).encode()
                self.send_response(status)
                if fault == "302":
                    self.send_header("location", crovver.redirect_to or self.path)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                if fault == "429":
                    self.send_header("retry-after", "1")
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
                if fault == "cut":
                    self._hang_up()

            def _hang_up(self) -> None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, ValueError, OSError):
                    self.close_connection = True

            def finish(self) -> None:
                try:
                    super().finish()
                except (ConnectionError, ValueError, OSError):
                    self.close_connection = True

        return Handler
