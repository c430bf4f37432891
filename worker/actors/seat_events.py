"""The actors a host app that uses dramatiq sends to by name: ``user_added`` and ``user_removed``."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from dramatiq import Actor, actor
from dramatiq.middleware import CurrentMessage

from worker.actors.broker import SEAT_EVENTS, Broker
from worker.core.facts import Membership
from worker.core.times import SECOND, format_instant
from worker.events import check_events
from worker.metrics import Meters
from worker.metrics.catalogue import FACTS_ACCEPTED
from worker.store.errors import StoreUnavailable
from worker.store.interface import Store

log = structlog.get_logger(__name__)

WAIT_AT_MOST = 2.0


def declare_seat_events(broker: Broker, store: Store, settle: int, meters: Meters) -> None:
    """Declare both actors on ``seat-events``.

    Arguments: ``tenant``, ``user``, and optionally ``email``, ``name``, ``id`` and ``time`` (RFC 3339). Left out, the
    id is the message's own, and the time is when it was sent: so a message that is delivered twice stays one event.

    Accepted here means enqueued: nothing waits for the broker's disk or replicas, so that a failover of the broker may
    lose what was sent right before it. ``SeatEvents`` and ``POST /v1/events`` promise more.

    Arguments that make no sense are raised, and the message is kept as a dead letter. While the store is away the actor
    waits; raised then, the failure would be acknowledged and the event lost.
    """

    async def take(membership: Membership, tenant: str, user: str, **optional: str | None) -> None:
        message = CurrentMessage.get_current_message()
        assert message is not None
        ident, sent_at = optional["id"] or message.message_id, message.message_timestamp
        now = round(time.time() * SECOND)
        event = {
            "specversion": "1.0",
            "id": ident,
            "source": "dramatiq",
            "type": f"user.{membership}",
            "time": optional["time"] or format_instant(sent_at * 1000),
            "data": {"tenantId": tenant, "userId": user, "email": optional["email"], "name": optional["name"]},
        }
        facts = check_events([event], now).facts
        wait = 0.05
        while True:
            try:
                # Accepted long ago, by the queue: an inbox that is full is no reason to have a thread wait for room.
                await store.append(facts, settle=settle, bounded=False)
                return meters.count(FACTS_ACCEPTED.name, door="message")
            except StoreUnavailable as error:
                log.warning(
                    "an event waits for the store", tenant=tenant, fact=ident, message=message.message_id,
                    reason=str(error),
                )  # fmt: skip
            await asyncio.sleep(wait)
            wait = min(wait * 2, WAIT_AT_MOST)

    async def user_added(
        tenant: str, user: str, email: str | None = None, name: str | None = None, id: str | None = None,
        time: str | None = None,
    ) -> None:  # fmt: skip
        await take(Membership.ADDED, tenant, user, email=email, name=name, id=id, time=time)

    async def user_removed(
        tenant: str, user: str, email: str | None = None, name: str | None = None, id: str | None = None,
        time: str | None = None,
    ) -> None:  # fmt: skip
        await take(Membership.REMOVED, tenant, user, email=email, name=name, id=id, time=time)

    declare: Callable[..., Actor[..., Awaitable[None]]] = actor
    for function in (user_added, user_removed):
        declare(function, broker=broker, actor_name=function.__name__, queue_name=SEAT_EVENTS)
