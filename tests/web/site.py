"""The web app on a real server's state, called in this process; and the deployment's own ways to sign things."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from tests.canaries import CROVVER_SECRET as CROVVER_SECRET
from tests.canaries import INGEST as INGEST
from tests.canaries import OPERATOR as OPERATOR
from tests.canaries import OTHER_INGEST as OTHER_INGEST
from tests.canaries import STRIPE_SECRET as STRIPE_SECRET
from tests.canaries import Where
from tests.watch import saw, saw_answer, saw_redis
from worker.core.allocation import Summary
from worker.core.checkout import Checkout
from worker.core.facts import Fact
from worker.core.journal import Note
from worker.core.policy import Policy
from worker.core.roster import Entry, Seat
from worker.core.tenant import Look, Status, Tenant
from worker.core.upgrade import State, Upgrade
from worker.logs.redaction import redacted
from worker.store.dead_letters import DeadLetters
from worker.store.interface import Commit, Store, Wake
from worker.store.redis_store import RedisStore
from worker.web.app import create_app
from worker.web.services import Services

SECRETS: dict[str, Any] = {
    "ingest_tokens": (INGEST, OTHER_INGEST),
    "operator_token": OPERATOR,
    "stripe_secrets": (STRIPE_SECRET,),
    "crovver_secret": CROVVER_SECRET,
}
NOW = 1_790_000_000
"""When the tests' clock says it is, in seconds."""

MICROS = NOW * 1_000_000
INGEST_AUTH = {"Authorization": f"Bearer {INGEST}"}
OPERATOR_AUTH = {"Authorization": f"Bearer {OPERATOR}"}

Result = TypeVar("Result")
_namespaces = (f"web{number}" for number in itertools.count())


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, /, **fields: object) -> None:
        self.entries.append((event, fields))

    error = warning


class Site:
    """One deployment, with nothing in it."""

    def __init__(self, runner: asyncio.Runner, redis_url: str, **changes: Any) -> None:
        self.namespace = next(_namespaces)
        self.clock = float(NOW)
        self.log = Log()
        self._runner = runner
        self._redis_url = redis_url
        self.store = RedisStore.from_url(redis_url, self.namespace)
        self.dead_letters = DeadLetters(self.store.client, self.namespace, redacted)
        services = Services(
            store=self.store, ping_broker=self.store.ping, dead_letters=self.dead_letters, policy=Policy(),
            clock=lambda: self.clock, log=self.log, **SECRETS,
        )  # fmt: skip
        self.services = replace(services, **changes)
        self.app = create_app(self.services)
        transport = httpx.ASGITransport(self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://seats.test")

    def close(self) -> None:
        """Close all connections, and look through what is left of the deployment."""
        saw(Where.LOG, "log of the web app", "\n".join(map(repr, self.log.entries)))
        saw_redis(self._redis_url, self.namespace)
        self._runner.run(self.client.aclose())
        self._runner.run(self.store.aclose())

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def main() -> httpx.Response:
            async with asyncio.timeout(30):
                answer = await self.client.request(method, path, **options)
            saw_answer(answer)
            return answer

        return self._runner.run(main())

    def do(self, work: Callable[[Store], Awaitable[Result]]) -> Result:
        """Work on the deployment's store."""

        async def main() -> Result:
            return await work(self.store)

        return self._runner.run(main())

    def publish(self, content: object, media_type: str = "application/json", **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.request(
            "POST", "/v1/events", content=body, headers={**INGEST_AUTH, "Content-Type": media_type, **headers}
        )

    def operate(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.request(method, path, headers=OPERATOR_AUTH, **options)

    def inbox(self, tenant: str) -> list[Fact]:
        return list(self.do(lambda store: store.load(tenant)).facts)

    def due(self) -> list[str]:
        """The tenants that are due by now; they are leased by asking."""
        return sorted(wake.tenant for wake in self.do(lambda store: store.claim_due(1000, 1)).wakes)

    def put_tenant(
        self,
        tenant: Tenant,
        users: Mapping[str, Entry] | None = None,
        *,
        status: Status = Status.OK,
        notes: Sequence[Note] = (),
    ) -> None:
        """A tenant as if it had been reconciled."""

        async def work(store: Store) -> None:
            record = replace(tenant, reconciled_at=MICROS)
            assert await store.commit(Commit(record, 0, "pass", 0, users or {}, notes, at=MICROS))
            await store.finish(Wake(tenant.id, ""), 2 * MICROS, status, tenant.upgrades)

        self.do(work)


def an_event(**changes: object) -> dict[str, Any]:
    """A CloudEvent; the data's members may be given by their names."""
    data: dict[str, object] = {"tenantId": "acme", "userId": "user_1", "email": None, "name": None}
    data |= {name: changes.pop(name) for name in list(data) if name in changes}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "myapp",
        "type": "user.added",
        "time": "2026-05-01T10:00:00.123Z",
        "data": data,
    }
    return {**event, **changes}


def seat(needs: bool = True, active: bool = True) -> Entry:
    return Entry(needs, 1, "evt", Seat.ACTIVE if active else Seat.NONE)


def looked(active: int, capacity: int) -> Look:
    return Look(MICROS, Summary(active, capacity, active > capacity, active))


def an_upgrade(ident: str, state: State, created_at: int = MICROS, **changes: Any) -> Upgrade:
    checkout = Checkout("prr_1", f"https://pay.test/c/pay/cs_test_{ident}", True, 1750, {"newSeats": "5"})
    upgrade = Upgrade(
        ident, state, new_capacity=15, from_capacity=10, needed=12, created_at=created_at, requested_at=created_at,
        checkout=checkout, session=f"cs_test_{ident}",
    )  # fmt: skip
    return replace(upgrade, **changes)


def stripe_event(session: str = "cs_test_1", **changes: Any) -> dict[str, Any]:
    metadata = changes.pop("metadata", {"event_type": "seat_proration"})
    event = {
        "id": "evt_stripe_1",
        "type": "checkout.session.completed",
        "created": NOW,
        "livemode": False,
        "data": {"object": {"id": session, "payment_status": "paid", "metadata": metadata}},
    }
    return {**event, **changes}


def stripe_headers(body: bytes, secret: str = STRIPE_SECRET, at: float = NOW) -> dict[str, str]:
    mark = hmac.new(secret.encode(), f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={int(at)},v1={mark}"}


def crovver_headers(body: bytes, secret: str = CROVVER_SECRET) -> dict[str, str]:
    return {"X-Crovver-Signature": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def eventually(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
