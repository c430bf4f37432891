"""A Crovver that answers at once, or after so long, over real HTTP: it has room for everybody and counts its calls."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

API_KEY = "sk_test_benchmark"


class StandIn:
    """The server, in a thread of this process, with an event loop of its own.

    ``delay`` is how long every answer takes, in seconds. ``capacity`` says how many seats a tenant has bought.
    ``calls`` counts requests by their path. ``checkout_at`` holds when the last checkout call of a tenant came in
    (monotonic seconds).
    """

    def __init__(self, *, delay: float = 0.0, capacity: Callable[[str], int] = lambda tenant: 10_000_000) -> None:
        self.delay = delay
        self.capacity = capacity
        self.calls: dict[str, int] = {}
        self.checkout_at: dict[str, float] = {}
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1000)
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def answer(self, target: str, body: bytes) -> bytes:
        parts = urlsplit(target)
        self.calls[parts.path] = self.calls.get(parts.path, 0) + 1
        if body:
            return self._checkout(json.loads(body)["externalTenantId"])
        asked = parse_qs(parts.query)
        tenant = asked["requestingEntityId"][0] if "requestingEntityId" in asked else ""
        if parts.path.endswith("/credits/balance"):
            return b'{"success": true, "data": {}}'
        units = self.capacity(tenant)
        pages = {"total": 0, "page": 1, "limit": 100, "totalPages": 1, "hasNextPage": False, "hasPreviousPage": False}
        seats = {"activeCount": 0, "capacityUnits": units, "utilizationPercentage": 0, "exceeded": False}
        return json.dumps(
            {"success": True, "data": {"allocations": [], "capacity": seats, "pagination": pages}}
        ).encode()

    def _checkout(self, tenant: str) -> bytes:
        self.checkout_at[tenant] = time.monotonic()
        number = len(self.checkout_at)
        data = {
            "prorationId": f"proration-{number}",
            "checkoutUrl": f"https://checkout.stripe.com/pay/cs_test_{number}",
            "requiresPayment": True,
            "prorationAmount": 100,
            "message": "Checkout session created.",
        }
        return json.dumps({"success": True, "data": data}).encode()


class _Connection(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            content = self._server.answer(head.split(b" ", 2)[1].decode(), body)
            answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
            if self._server.delay:
                asyncio.get_running_loop().call_later(self._server.delay, self._send, answer + content)
            else:
                self._send(answer + content)

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)
