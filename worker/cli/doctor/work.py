"""Whether the work gets done: what waits, who works, what gave up."""

import asyncio

from worker.actors.broker import HEARTBEAT_TIMEOUT_MS
from worker.cli.doctor.findings import Finding, better, fix, good
from worker.cli.doctor.servers import ANSWER_SECONDS
from worker.core.times import MINUTE, SECOND, format_instant
from worker.logs import redacted
from worker.settings import Settings
from worker.store.connect import BadRedisURL
from worker.store.dead_letters import QUEUES, DeadLetters
from worker.store.errors import StoreError, StoreUnavailable, TenantBroken
from worker.store.kinds import index_kinds, misfits, queue_kinds
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

STUCK_AFTER = MINUTE
"""As ``/readyz`` has it."""


TENANTS_TRIED = 20
OVERWRITTEN = "find out what writes to it, then restore it from a backup or delete it"


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
        if wrong := await _wrong_keys(state, broker):
            return wrong  # to ask for what waits would fail on them
        try:
            found = [*await _loss(state), *await _broken_tenants(state), await _backlog(state), *await _workers(broker)]
        except StoreUnavailable:
            return []  # such as a user who may run no scripts
        return [*found, await _dead_letters(broker)]
    finally:
        await state.aclose()
        await broker.aclose()


async def _loss(state: RedisStore) -> list[Finding]:
    lost_at = await state.lost_at()
    if lost_at is None:
        return []
    seen = f"it was lost (noticed at {format_instant(lost_at)}), and no checkout is started before a full sweep"
    remedy = (
        "send the rosters (`seats import`), or the events since the last backup, again; expire the open checkouts in "
        "Stripe, or wait until they are 24 h old; then run `seats sweep`"
    )
    return [fix("state", seen, remedy)]


async def _wrong_keys(state: RedisStore, broker: RedisStore) -> list[Finding]:
    """Keys that all tenants share and that something else has written over."""
    found = await misfits(state.scripts, index_kinds(state.keys))
    found += await misfits(broker.scripts, queue_kinds(broker.keys.namespace, QUEUES))
    return [fix("keys", f"{one}: nothing that needs it gets done", OVERWRITTEN) for one in found]


async def _broken_tenants(state: RedisStore) -> list[Finding]:
    """Tenants that have waited for long because what is kept of them can't be used; some of them, where they are many.

    A tenant's wait ends when it was reconciled, and so never for one of these.
    """
    found = []
    for name in await state.longest_waiting(TENANTS_TRIED):
        try:
            await state.load(name)
        except TenantBroken as error:
            found.append(fix("tenants", str(error), OVERWRITTEN))
    return found


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
