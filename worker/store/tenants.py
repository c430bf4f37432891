"""Tenant records and rosters: read as one, saved as one, under a version."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

from redis.exceptions import ResponseError

from worker.core.roster import Counts, Entry, Standing
from worker.core.tenant import Tenant
from worker.core.times import MINUTE
from worker.store.codec import (
    Unreadable,
    decode_accepted_all,
    decode_entries,
    decode_tenant,
    encode_changes,
    encode_note,
    split,
)
from worker.store.codec import encode_tenant as encode
from worker.store.due import DueTenants, finish_call, renew_call
from worker.store.errors import StoreBroken, StoreUnavailable, TenantBroken, TooFewReplicas
from worker.store.interface import FACTS_AT_ONCE, SMALL_ROSTER, Commit, Ending, Loaded, Wake
from worker.store.replicas import check_replicated, wait_for
from worker.store.room import text
from worker.store.scripts import Arg, Call, command, is_passing, translated

CLASSES = (Standing.MISSING, Standing.ORPHANED, Standing.GONE)
DURABLE_WITHIN_MS = 3000

UNSAFE_FOR = MINUTE
"""How long a save that a failover may still undo is left at that, before the tenant is looked at again."""


class Tenants(DueTenants):
    """Records and rosters in Redis."""

    async def resume(self, wake: Wake, lease: int) -> Loaded | None:
        if not wake.token:
            return await self.load(wake.tenant)
        renewed, reply = await self.scripts.try_batch(
            [renew_call(self.keys, wake, lease), self._load_call(wake.tenant)]
        )
        if isinstance(renewed, Exception):
            raise translated(renewed) from renewed
        return await self._loaded(wake.tenant, reply) if int(renewed) else None

    async def load(self, tenant: str) -> Loaded:
        (reply,) = await self.scripts.try_batch([self._load_call(tenant)])
        return await self._loaded(tenant, reply)

    def _load_call(self, tenant: str) -> Call:
        classes = [self.keys.standing(tenant, standing.value) for standing in CLASSES]
        names = [self.keys.record(tenant), self.keys.inbox(tenant), self.keys.roster(tenant), *classes]
        names += [self.keys.standing(tenant, "removed"), self.keys.stamps(tenant), self.keys.erased(tenant)]
        return Call("load", names, [FACTS_AT_ONCE, SMALL_ROSTER])

    async def _loaded(self, tenant: str, reply: Any) -> Loaded:  # noqa: ANN401
        """What load.lua has replied.

        Raises:
            TenantBroken: something of the tenant can't be read.
            StoreError: the server refused, and not because of this tenant.
        """
        if isinstance(reply, Exception):
            error = translated(reply)
            raise (await self.broken(tenant, error) if isinstance(error, StoreBroken) else error) from reply
        seconds, micros, version, document, size, missing, orphaned, gone, removed, pending, *rest = reply
        fact_lengths, fact_texts, roster_lengths, roster_texts, runs, saved_by = rest
        raw = split(fact_lengths, fact_texts)
        stamps = chain.from_iterable(
            repeat(stamp, int(times)) for stamp, times in zip(runs[::2], runs[1::2], strict=True)
        )
        facts, accepted, unreadable = [], [], []
        traces: dict[str, None] = {}
        for item, (at, trace, fact) in zip(raw, decode_accepted_all(raw, chain(stamps, repeat(None))), strict=True):
            if isinstance(fact, Unreadable):
                unreadable.append(item)
                continue
            facts.append(fact)
            accepted.append(at)
            traces[trace] = None
        with of_tenant(tenant):
            record = decode_tenant(document) if document else Tenant(tenant)
            entries = decode_entries(split(roster_lengths, roster_texts))
        seated = int(size) - int(missing) - int(orphaned) - int(gone)
        return Loaded(
            tenant=record,
            version=int(version),
            counts=Counts(seated, int(missing), int(orphaned), int(gone), int(removed)),
            now=int(seconds) * 1_000_000 + int(micros),
            facts=tuple(facts),
            accepted=tuple(accepted),
            traces=tuple(filter(None, traces)),
            read=len(raw),
            pending=int(pending),
            unreadable=tuple(unreadable),
            entries=entries,
            whole=int(size) <= SMALL_ROSTER,
            saved_by=text(saved_by),
            digest=hashlib.sha1(b"\n".join(raw), usedforsecurity=False).hexdigest(),
        )

    async def entries(self, tenant: str, users: Iterable[str]) -> dict[str, Entry]:
        names, found = list(users), {}
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            replies = await self.scripts.run(command("HMGET", self.keys.roster(tenant), *part))
            pairs = ((user.encode(), item) for user, item in zip(part, replies, strict=True) if item)
            with of_tenant(tenant):
                found.update(decode_entries(list(chain.from_iterable(pairs))))
        return found

    async def whole_roster(self, tenant: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        cursor: Arg = 0
        while True:
            cursor, items = await self.scripts.run(command("HSCAN", self.keys.roster(tenant), cursor, "COUNT", 2000))
            flat = list(chain.from_iterable(items.items())) if isinstance(items, Mapping) else items
            with of_tenant(tenant):
                entries.update(decode_entries(flat))
            if int(cursor) == 0:
                return entries

    async def standing(self, tenant: str, standing: Standing, limit: int) -> list[str]:
        assert standing in CLASSES
        key = self.keys.standing(tenant, standing.value)
        return [text(user) for user in await self.scripts.run(command("SRANDMEMBER", key, limit))]

    async def commit(self, commit: Commit, ending: Ending | None = None) -> bool:
        call = self._commit_call(commit)
        if commit.durable:
            saved = await self._commit_durably(call)
        elif self.scripts.clustered:
            return await self._commit_apart(commit, call, ending)
        elif ending is not None:
            return int(await self.scripts.run(both(call, finish_call(self.keys, ending)))) == 1
        else:
            saved = int(await self.scripts.run(call)) == 1
        if saved and ending is not None:
            await self._end(ending, commit.pass_id)
        return saved

    async def _commit_apart(self, commit: Commit, call: Call, ending: Ending | None) -> bool:
        """Commit on a cluster, where a tenant and its place in the index are on servers of their own.

        A failover of the first must not undo what the second takes for done: the facts would be back in the inbox, and
        nobody woken for them. While no replica has the commit the tenant is looked at again soon.

        Raises:
            TooFewReplicas: it is saved, and something is to be done because of it.
        """
        (saved,), trouble = await self.try_write([call])
        if trouble is not None and ending is None:
            raise trouble
        if int(saved) == 1 and ending is not None:
            look_at = ending.look_at if trouble is None else min(ending.look_at, commit.at + UNSAFE_FOR)
            await self._end(replace(ending, look_at=look_at), commit.pass_id)
        return int(saved) == 1

    async def _end(self, ending: Ending, pass_id: str) -> None:
        await self.finish(
            ending.wake, ending.look_at, ending.status, ending.upgrades, ending.fullness, saved_by=pass_id
        )

    def _commit_call(self, commit: Commit) -> Call:
        tenant = commit.tenant.id
        classes = [self.keys.standing(tenant, standing.value) for standing in CLASSES]
        names = [self.keys.record(tenant), self.keys.inbox(tenant), self.keys.roster(tenant), *classes]
        names += [self.keys.standing(tenant, "removed"), self.keys.journal(tenant), self.keys.unreadable(tenant)]
        names += [self.keys.stamps(tenant), self.keys.erased(tenant)]
        args: list[Arg] = [
            commit.version, commit.pass_id, commit.folded, int(commit.unless_newer), self.journal_length,
            encode(commit.tenant), "*" if commit.after is None else commit.after, commit.digest,
            encode_changes(commit.changes), len(commit.set_aside), *commit.set_aside,
            *(encode_note(note, commit.at) for note in commit.notes),
        ]  # fmt: skip
        return Call("commit", names, args)

    async def _commit_durably(self, call: Call) -> bool:
        """Commit, have the server flush its append-only file and hand it to its replicas, over the same connection.

        A server without WAITAOF (Redis before 7.2), or without an append-only file, can't be asked to flush; how
        durable it is then is its operator's choice. With ``appendfsync everysec`` Valkey 9.1 answers before it has
        flushed: only ``always`` keeps a claim over a power cut.
        """
        waits = [wait_for(self.min_replicas)] if self.min_replicas else []
        saved, flushed, *reached = await self.scripts.try_together(
            [call, command("WAITAOF", 1, 0, DURABLE_WITHIN_MS), *waits]
        )
        if isinstance(saved, Exception):
            raise translated(saved) from saved
        if int(saved) != 1:
            return False
        if isinstance(flushed, Exception) and (not isinstance(flushed, ResponseError) or is_passing(flushed)):
            raise translated(flushed) from flushed
        if not isinstance(flushed, Exception) and int(flushed[0]) < 1:
            raise StoreUnavailable("the append-only file was not flushed in time")
        try:
            for reply in reached:
                check_replicated(reply, self.min_replicas)
        except TooFewReplicas:
            await self.leave_server()
            raise
        return True


def both(commit: Call, finish: Call) -> Call:
    """The two as one call."""
    return Call(
        "settle", [*commit.keys, *finish.keys], [len(commit.keys), len(commit.args), *commit.args, *finish.args]
    )


@contextmanager
def of_tenant(tenant: str) -> Iterator[None]:
    """Whatever can't be read in here is a tenant's.

    Raises:
        TenantBroken: something could not be read.
    """
    try:
        yield
    except Unreadable as error:
        raise TenantBroken(tenant, str(error)) from error
