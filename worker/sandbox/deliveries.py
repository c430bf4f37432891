"""Webhooks on their way: sent in the background, tried again where Stripe would, and kept in a log."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import httpx

from .config import WebhookTargets
from .signatures import crovver_signature, stripe_signature
from .tenants import WebhookFate
from .times import now

MAX_LOGGED = 10_000
MAX_AT_ONCE = 50
STRIPE_TIMEOUT = 10.0
CROVVER_TIMEOUT = 5.0


class Sender(StrEnum):
    STRIPE = "stripe"
    CROVVER = "crovver"


class DeliveryState(StrEnum):
    """``unsent``: no URL is configured. ``lost``: kept back on purpose (a tenant whose webhooks are lost)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"
    UNSENT = "unsent"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: the HTTP status that came back, or why none did."""

    at: datetime
    status: int | None
    error: str | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True)
class Delivery:
    """One event to one receiver. ``payload`` is what is sent, byte for byte, at every attempt."""

    id: str
    sender: Sender
    tenant: str
    event: Mapping[str, object] = field(repr=False)
    payload: bytes = field(repr=False)
    created_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: list[Attempt] = field(default_factory=list)


class Deliveries:
    """Sends events to the current targets without anybody waiting for it.

    Stripe's are tried again on anything but a 2xx, after each of ``waits`` seconds; Crovver's are sent once. The log
    holds the latest ``MAX_LOGGED``, and what falls out of it while still pending is not sent any more.
    """

    def __init__(self, targets: WebhookTargets, waits: tuple[float, ...]) -> None:
        self.targets = targets
        self._waits = waits
        self._log: OrderedDict[str, Delivery] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self._made = 0
        self._client: httpx.AsyncClient | None = None

    def newest_first(self) -> list[Delivery]:
        return list(reversed(self._log.values()))

    def get(self, delivery_id: str) -> Delivery | None:
        return self._log.get(delivery_id)

    def send(self, sender: Sender, event: Mapping[str, object], tenant: str, fate: WebhookFate) -> None:
        """Log an event and, as its fate has it, begin to deliver it once, twice or not at all."""
        for _ in range(2 if fate is WebhookFate.TWICE else 1):
            delivery = self._logged(sender, event, tenant)
            if self._url(sender) is None:
                delivery.state = DeliveryState.UNSENT
            elif fate is WebhookFate.LOST:
                delivery.state = DeliveryState.LOST
            else:
                self._begin(delivery)

    def resend(self, delivery_id: str) -> Delivery | None:
        """Deliver an event anew with the same id and body; None if the log does not hold it."""
        earlier = self._log.get(delivery_id)
        if earlier is None:
            return None
        delivery = self._logged(earlier.sender, earlier.event, earlier.tenant)
        if self._url(delivery.sender) is None:
            delivery.state = DeliveryState.UNSENT
        else:
            self._begin(delivery)
        return delivery

    async def close(self) -> None:
        """Stop delivering; what is under way is given up."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def clear(self) -> None:
        """Forget the log and what is under way."""
        for task in list(self._tasks.values()):
            task.cancel()
        self._log.clear()

    def _logged(self, sender: Sender, event: Mapping[str, object], tenant: str) -> Delivery:
        self._made += 1
        payload = json.dumps(event, indent=2 if sender is Sender.STRIPE else None, ensure_ascii=False).encode()
        delivery = Delivery(f"del_{self._made}", sender, tenant, event, payload, now())
        self._log[delivery.id] = delivery
        while len(self._log) > MAX_LOGGED:
            dropped, _ = self._log.popitem(last=False)
            if dropped in self._tasks:
                self._tasks[dropped].cancel()
        return delivery

    def _url(self, sender: Sender) -> str | None:
        return self.targets.stripe_url if sender is Sender.STRIPE else self.targets.crovver_url

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks[delivery.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(delivery.id, None))

    async def _deliver(self, delivery: Delivery) -> None:
        waits = self._waits if delivery.sender is Sender.STRIPE else ()
        with suppress(asyncio.CancelledError):
            for wait in (*waits, None):
                async with self._places:
                    attempt = await self._attempt(delivery)
                delivery.attempts.append(attempt)
                if attempt.accepted:
                    delivery.state = DeliveryState.DELIVERED
                    return
                if wait is not None:
                    await asyncio.sleep(wait)
        delivery.state = DeliveryState.GAVE_UP

    async def _attempt(self, delivery: Delivery) -> Attempt:
        """Send it once, signed with this moment and the present secret, as Stripe does at each attempt."""
        started = now()
        url = self._url(delivery.sender)
        if url is None:
            return Attempt(started, None, "no webhook URL is configured any more")
        try:
            answer = await self._http().post(
                url, content=delivery.payload, headers=self._headers(delivery), timeout=_timeout(delivery.sender)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Attempt(started, None, f"{type(error).__name__}: {error}"[:200])
        return Attempt(started, answer.status_code)

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        content_type = {"content-type": "application/json; charset=utf-8"}
        if delivery.sender is Sender.STRIPE:
            signature = stripe_signature(delivery.payload, self.targets.stripe_secret or "", int(time.time()))
            return content_type | {"stripe-signature": signature, "user-agent": "Stripe/1.0 (sandbox)"}
        return content_type | {
            "x-crovver-signature": crovver_signature(delivery.payload, self.targets.crovver_secret or ""),
            "x-crovver-event": str(delivery.event["type"]),
            "user-agent": "Crovver-Webhook/1.0",
        }

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False)
        return self._client


def _timeout(sender: Sender) -> float:
    return STRIPE_TIMEOUT if sender is Sender.STRIPE else CROVVER_TIMEOUT
