"""Whether the work gets done: what waits, who works, what gave up."""

import asyncio

from worker.actors.broker import HEARTBEAT_TIMEOUT_MS
from worker.cli.doctor.findings import Finding, better, fix, good
from worker.cli.doctor.servers import ANSWER_SECONDS
from worker.core.times import MINUTE, SECOND
from worker.logs import redacted
from worker.settings import Settings
from worker.store.connect import BadRedisURL
from worker.store.dead_letters import DeadLetters
from worker.store.errors import StoreError
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

STUCK_AFTER = MINUTE
"""As ``/readyz`` has it."""


async def examine_work(settings: Settings) -> list[Finding]:
    """What waits and what gave up. Nothing where Redis can't be asked: the servers' own findings say that."""
    try:
        state = RedisStore.from_url(settings.require_state(), settings.namespace)
        broker = RedisStore.from_url(settings.require_redis(), settings.namespace)
    except BadRedisURL:
        return []
    try:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await state.now()
                await broker.now()
        except (StoreError, TimeoutError):
            return []
        return [await _backlog(state), *await _workers(broker), await _dead_letters(broker)]
    finally:
        await state.aclose()
        await broker.aclose()


async def _backlog(state: RedisStore) -> Finding:
    backlog = await state.backlog()
    waiting = f"{backlog.due} tenants are due, {backlog.leased} are being reconciled"
    if backlog.oldest > STUCK_AFTER:
        seen = f"{waiting}; the oldest has waited for {backlog.oldest // SECOND:,} s"
        return fix("backlog", seen, "see that `seats scheduler` and `seats worker` run, and read their logs")
    return good("backlog", f"{waiting}; none has waited for more than a minute")


async def _workers(broker: RedisStore) -> list[Finding]:
    """A worker asks for messages many times a second, and dramatiq notes when. Others may note it too, so that the
    absence of a note tells more than its presence."""
    now = await broker.now()
    beats = f"{broker.keys.namespace}:__heartbeats__"
    since = now // 1000 - HEARTBEAT_TIMEOUT_MS
    if int(await broker.scripts.run(command("ZCOUNT", beats, since, "+inf"))):
        return []
    remedy = "start `seats worker`, unless it is stopped on purpose"
    return [better("workers", f"none has asked for work in the last {HEARTBEAT_TIMEOUT_MS // 1000} s", remedy)]


async def _dead_letters(broker: RedisStore) -> Finding:
    letters = DeadLetters(broker.client, broker.keys.namespace, redacted)
    if count := sum((await letters.count()).values()):
        seen = "1 message gave up" if count == 1 else f"{count:,} messages gave up"
        return better("dead letters", seen, "read them with `seats dead-letters list`, then requeue or discard them")
    return good("dead letters", "none")
