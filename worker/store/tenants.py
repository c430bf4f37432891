"""Tenant records and rosters: read as one, saved as one, under a version."""

import hashlib
from collections.abc import Iterable
from itertools import zip_longest

from redis.exceptions import ResponseError

from worker.core.roster import Counts, Entry, Seat, Standing
from worker.core.tenant import Tenant
from worker.store.codec import Unreadable, decode_accepted, decode_entry, decode_tenant, encode_entry, encode_note
from worker.store.codec import encode_tenant as encode
from worker.store.errors import StoreBroken, StoreUnavailable, TenantBroken, TooFewReplicas
from worker.store.interface import FACTS_AT_ONCE, SMALL_ROSTER, Commit, Loaded
from worker.store.replicas import check_replicated, wait_for
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, command, is_passing, translated

CLASSES = (Standing.MISSING, Standing.ORPHANED, Standing.GONE)
DURABLE_WITHIN_MS = 3000


class Tenants(RedisRoom):
    """Records and rosters in Redis."""

    async def load(self, tenant: str) -> Loaded:
        classes = [self.keys.standing(tenant, standing.value) for standing in CLASSES]
        names = [self.keys.record(tenant), self.keys.inbox(tenant), self.keys.roster(tenant), *classes]
        names += [self.keys.standing(tenant, "removed"), self.keys.stamps(tenant), self.keys.erased(tenant)]
        try:
            reply = await self.scripts.run(Call("load", names, [FACTS_AT_ONCE, SMALL_ROSTER]))
        except StoreBroken as error:
            raise await self.broken(tenant, error) from error
        seconds, micros, version, document, size, missing, orphaned, gone, removed, pending, raw, *rest = reply
        pairs, stamps, saved_by = rest
        facts, accepted, unreadable = [], [], []
        traces: dict[str, None] = {}
        for item, stamp in zip_longest(raw, stamps):
            try:
                at, trace, fact = decode_accepted(item, stamp)
                facts.append(fact)
                accepted.append(at)
                traces[trace] = None
            except Unreadable:
                unreadable.append(item)
        try:
            record = decode_tenant(document) if document else Tenant(tenant)
            entries = {text(user): decode_entry(entry) for user, entry in zip(pairs[::2], pairs[1::2], strict=True)}
        except Unreadable as error:
            raise TenantBroken(tenant, str(error)) from error
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
            try:
                found.update({user: decode_entry(item) for user, item in zip(part, replies, strict=True) if item})
            except Unreadable as error:
                raise TenantBroken(tenant, str(error)) from error
        return found

    async def whole_roster(self, tenant: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        cursor: Arg = 0
        while True:
            cursor, items = await self.scripts.run(command("HSCAN", self.keys.roster(tenant), cursor, "COUNT", 2000))
            pairs = items.items() if isinstance(items, dict) else zip(items[::2], items[1::2], strict=True)
            try:
                entries.update({text(user): decode_entry(item) for user, item in pairs})
            except Unreadable as error:
                raise TenantBroken(tenant, str(error)) from error
            if int(cursor) == 0:
                return entries

    async def standing(self, tenant: str, standing: Standing, limit: int) -> list[str]:
        assert standing in CLASSES
        key = self.keys.standing(tenant, standing.value)
        return [text(user) for user in await self.scripts.run(command("SRANDMEMBER", key, limit))]

    async def commit(self, commit: Commit) -> bool:
        tenant = commit.tenant.id
        classes = [self.keys.standing(tenant, standing.value) for standing in CLASSES]
        names = [self.keys.record(tenant), self.keys.inbox(tenant), self.keys.roster(tenant), *classes]
        names += [self.keys.standing(tenant, "removed"), self.keys.journal(tenant), self.keys.unreadable(tenant)]
        names += [self.keys.stamps(tenant), self.keys.erased(tenant)]
        changes: list[Arg] = []
        for user, entry in commit.changes.items():
            if entry is None:
                changes += [user, "", "", 0]
            else:
                changes += [user, encode_entry(entry), entry.standing.value, int(entry.seat is Seat.REMOVED)]
        args: list[Arg] = [
            commit.version, commit.pass_id, commit.folded, int(commit.unless_newer), self.journal_length,
            encode(commit.tenant), "*" if commit.after is None else commit.after, commit.digest,
            len(commit.set_aside), *commit.set_aside,
            len(commit.notes), *(encode_note(note, commit.at) for note in commit.notes),
        ]  # fmt: skip
        call = Call("commit", names, [*args, *changes])
        if commit.durable and not self.scripts.clustered:
            return await self._commit_durably(call)
        return int(await self.scripts.run(call)) == 1

    async def _commit_durably(self, call: Call) -> bool:
        """Commit, have the server flush its append-only file and hand it to its replicas, over the same connection.

        A server without WAITAOF (Redis before 7.2), or without an append-only file, can't be asked to flush; how
        durable it is then is its operator's choice.
        """
        waits = [wait_for(self.min_replicas)] if self.min_replicas else []
        saved, flushed, *reached = await self.scripts.try_batch(
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
