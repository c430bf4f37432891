"""The scheduler's part in alerts: wakes channels when it is time to send, and watches the fleet as a whole."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import redis
import structlog

from worker.actors.broker import ALERTS, Broker, alerts_message
from worker.alerts.fleet import fleet_conditions
from worker.alerts.lines import log_alerts
from worker.alerts.routing import Route
from worker.alerts.timing import Waiting, due_at
from worker.core.alert_book import advance
from worker.store.alert_log import TOLD_AT_ONCE, ChannelPeek
from worker.store.errors import StoreError
from worker.store.interface import Store

log = structlog.get_logger(__name__)

LOOK_EVERY = 1.0
ASK_AGAIN_AFTER = 10.0
"""Seconds until a channel whose message may have been lost in the queue is woken once more."""

MOST_QUEUED = 64
"""Messages that may wait in the queue. Beyond that no worker takes them, and more would be of no use to anybody: each
stands for whatever waits for its channel."""

WATCH_EVERY = 10.0
PAYMENTS_AT_ONCE = 1_000
"""Payments without a tenant that are counted; there are never more of interest."""


class DeadLetterCount(Protocol):
    """What the watch asks about dead letters."""

    async def count(self) -> dict[str, int]: ...


async def wake_channels(
    store: Store, broker: Broker, stop: asyncio.Event, routes: Sequence[Route], gather: int
) -> None:
    """Enqueue a message for each channel whenever it is time to send what waits for it, until told to stop.

    ``gather`` is in microseconds. Several schedulers may do so: whoever comes first with a message has the lease.
    """
    woken: dict[str, tuple[int, int, float]] = {}
    while not stop.is_set():
        try:
            for route in routes:
                peek = await store.peek_channel(route.name, route.least)
                if not _is_due(peek, gather):
                    continue
                cursor, retry_at, at = woken.get(route.name, (-1, -1, 0.0))
                lost = time.monotonic() - at > ASK_AGAIN_AFTER
                if (cursor, retry_at) != (peek.cursor, peek.retry_at) or lost:
                    if await asyncio.to_thread(broker.queued, ALERTS) >= MOST_QUEUED:
                        continue
                    await asyncio.to_thread(broker.enqueue, alerts_message(route.name, peek.cursor))
                    woken[route.name] = (peek.cursor, peek.retry_at, time.monotonic())
        except (StoreError, redis.RedisError) as error:
            log.debug("waking channels has to wait", reason=str(error))
        await _pause(stop, LOOK_EVERY)


async def watch_fleet(store: Store, dead_letters: DeadLetterCount, stop: asyncio.Event) -> None:
    """Raise and resolve the alerts that are about no tenant, until told to stop."""
    while not stop.is_set():
        try:
            await look_at_fleet(store, dead_letters)
        except StoreError as error:
            log.debug("watching the fleet has to wait", reason=str(error))
        await _pause(stop, WATCH_EVERY)


async def look_at_fleet(store: Store, dead_letters: DeadLetterCount) -> None:
    """Look once. Where another scheduler looks at the same time, one of both tells what it saw.

    Raises:
        StoreError: the state or the broker could not be asked.
    """
    fleet = await store.load_fleet()
    parked = await store.parked(PAYMENTS_AT_ONCE)
    now = await store.now()
    unmatched = [payment.since for payment in parked if payment.fact.settles]
    conditions = fleet_conditions(unmatched, await dead_letters.count(), now, lost_at=await store.lost_at())
    advanced = advance(fleet.book, conditions, tenant="", serial=fleet.serial, now=now)
    if advanced.book == fleet.book and not advanced.alerts:
        return
    serial = advanced.alerts[-1].serial if advanced.alerts else fleet.serial
    if await store.commit_fleet(replace(fleet, book=advanced.book, serial=serial), advanced.alerts):
        log_alerts(advanced.alerts)


def _is_due(peek: ChannelPeek, gather: int) -> bool:
    if peek.first_at is None:
        return False
    full = peek.more or peek.pending > TOLD_AT_ONCE
    waiting = Waiting(peek.first_at, peek.critical_at, full, peek.sent_at, peek.retry_at, peek.leased_until)
    return due_at(waiting, gather) <= peek.now


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
