"""The scheduler: wakes tenants that are due. Several may run; each due tenant is leased to one of them."""

import asyncio
import contextlib
import signal
import time

import redis
import structlog

from worker.actors.alert_watch import wake_channels, watch_fleet
from worker.actors.broker import RECONCILE, Broker, make_broker, wake_message
from worker.actors.connections import routes_of_settings, store_of
from worker.core.times import SECOND
from worker.logs import redacted
from worker.settings import Settings
from worker.settings.derive import micros
from worker.store.dead_letters import DeadLetters
from worker.store.errors import StoreError
from worker.store.guard import LOOK_EVERY, StateGuard
from worker.store.interface import Store, Wake
from worker.store.keys import Keys
from worker.store.matching import redeliver
from worker.telemetry import telemetry

log = structlog.get_logger(__name__)

LEASE = 20 * SECOND
AT_ONCE = 100
MOST_QUEUED = 256
"""Wake-ups that may wait in the queue: beyond that, workers are busy or away, and tenants wait in the due set."""

_NO_IDENTITY = b"1"
"""What an earlier release left on the broker."""

LONGEST_SLEEP = 1.0
STOP_WITHIN = 6.0
MATCH_EVERY = 10.0
PARKED_AT_ONCE = 200
ADOPT_EVERY = 300.0
ADOPTED_AT_ONCE = 1_000


def run(settings: Settings) -> int:
    """Wake due tenants until SIGTERM or SIGINT; then return 0.

    Raises:
        ConfigError: no Redis is set.
    """
    with telemetry(settings, "scheduler"):
        broker = make_broker(settings.require_redis(), settings.namespace)
        asyncio.run(_main(settings, broker))
        return 0


async def _main(settings: Settings, broker: Broker) -> None:
    store = store_of(settings)
    dead_letters = DeadLetters.from_url(settings.require_redis(), settings.namespace, redacted)
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    log.info("scheduler ready")
    elsewhere, forgotten = settings.require_state() != settings.require_redis(), asyncio.Event()
    tasks = [
        asyncio.create_task(_wake_due(store, broker, stop, forgotten, elsewhere=elsewhere)),
        asyncio.create_task(_adopt_forgotten(store, stop, forgotten)),
        asyncio.create_task(_match_parked(store, stop)),
        asyncio.create_task(watch_fleet(store, dead_letters, stop)),
    ]
    if routes := routes_of_settings(settings):
        tasks.append(asyncio.create_task(wake_channels(store, broker, stop, routes, micros(settings.alert_gather))))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in tasks if task.done() and not stop.is_set()]
    stop.set()
    # Not cancelled at once: redis-py may take a cancellation for a lost connection, and the loop would go on.
    _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN)
    for task in late:
        task.cancel()
    await store.aclose()
    await dead_letters.aclose()
    for task in broken:
        task.result()  # a task only ends by itself through a bug: let it be seen, and the process be restarted
    log.info("scheduler stopped")


async def _wake_due(
    store: Store, broker: Broker, stop: asyncio.Event, forgotten: asyncio.Event, *, elsewhere: bool
) -> None:
    """Lease due tenants and enqueue their wake-ups, until told to stop.

    ``forgotten`` is set when the store can be used again, which may have lost who is due.
    """
    guard, compare_at, away = StateGuard(store), 0.0, False
    queued: int | None = None
    while not stop.is_set():
        try:
            if time.monotonic() >= compare_at:
                await _compare(guard, broker, elsewhere=elsewhere)
                compare_at = time.monotonic() + LOOK_EVERY
            if queued is None:
                queued = await asyncio.to_thread(broker.queued, RECONCILE)
            if queued >= MOST_QUEUED:
                queued = None
                await asyncio.sleep(0.05)
                continue
            claimed = await store.claim_due(min(AT_ONCE, MOST_QUEUED - queued), LEASE)
            if claimed.wakes:
                queued = await asyncio.to_thread(_enqueue, broker, claimed.wakes)
                continue
            queued = None
            next_in = LONGEST_SLEEP if claimed.next_in is None else claimed.next_in / SECOND
            await store.wait_bell(min(next_in, LONGEST_SLEEP))
        except (StoreError, redis.RedisError) as error:
            # What was leased and not enqueued is due again when its lease ends.
            if not away:
                log.warning("waking tenants has to wait", reason=str(error))
            away, compare_at, queued = True, 0.0, None
            await asyncio.sleep(0.5)
        else:
            if away:
                log.info("waking tenants again")
                forgotten.set()
            away = False


async def _adopt_forgotten(store: Store, stop: asyncio.Event, again: asyncio.Event) -> None:
    """Have every tenant that is listed looked at some day, until told to stop.

    A tenant is always due or leased; but what says so may have been lost, or removed because it could not be used.
    ``again`` asks for a look at once.
    """
    while not stop.is_set():
        again.clear()
        try:
            after = await store.adopt(None, ADOPTED_AT_ONCE)
            while after is not None and not stop.is_set():
                after = await store.adopt(after, ADOPTED_AT_ONCE)
        except StoreError as error:
            log.debug("looking for forgotten tenants has to wait", reason=str(error))
        waits = [asyncio.create_task(event.wait()) for event in (stop, again)]
        await asyncio.wait(waits, timeout=ADOPT_EVERY, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


async def _match_parked(store: Store, stop: asyncio.Event) -> None:
    """Give early payment events another chance to be matched, until told to stop."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MATCH_EVERY)
            return
        try:
            for parked in await store.parked(PARKED_AT_ONCE):
                await redeliver(store, parked.fact)
        except StoreError as error:
            log.debug("matching parked events has to wait", reason=str(error))


async def _compare(guard: StateGuard, broker: Broker, *, elsewhere: bool) -> None:
    """See that the state is the one this process remembers, before anybody is woken to work with it.

    Where the state is on a server of its own, its identity is left on the broker. There a scheduler that remembers
    nothing finds it, and a publisher that was given the broker's URL that nobody would read what it writes.
    """
    key, remembered = Keys(broker.namespace).elsewhere, guard.remembered
    first = not remembered.identity
    if first and elsewhere:
        word = await asyncio.to_thread(broker.client.get, key)
        remembered.identity = word.decode() if word and word != _NO_IDENTITY else ""
    await guard.look()
    if elsewhere:
        await asyncio.to_thread(broker.client.set, key, remembered.identity)
    elif first:
        await asyncio.to_thread(broker.client.delete, key)


def _enqueue(broker: Broker, wakes: tuple[Wake, ...]) -> int:
    queued = broker.enqueue_all(RECONCILE, (wake_message(wake.tenant, wake.token) for wake in wakes))
    for wake in wakes:
        log.debug("a tenant is woken", tenant=wake.tenant, wake=wake.token)
    return queued
