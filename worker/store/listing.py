"""Lists that people look through. A page costs the same whatever the size of the fleet and its place in the list."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.core.journal import Json
from worker.core.roster import Counts
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State
from worker.store.codec import Unreadable, decode_note, decode_tenant
from worker.store.errors import StoreBroken
from worker.store.interface import ListedTenant, Order, Record, Stuck, StuckUpgrade, TenantPage
from worker.store.ranks import ShardedList
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, translated

_SETS = {Order.ID: "tenants", Order.FULLEST: "fullness", Order.CHANGED: "since"}
_STANDINGS = ("missing", "orphaned", "gone", "removed")


def _record(tenant: str, reply: Any) -> Record:  # noqa: ANN401 (a Redis reply may be anything)
    """What ``glance`` found. One tenant that can't be read does not keep the others from being listed."""
    if isinstance(reply, Exception):
        error = translated(reply)
        if not isinstance(error, StoreBroken):
            raise error from reply
        return Record(Tenant(tenant), 0, Counts(), broken=True)
    version, document, size, missing, orphaned, gone, removed = reply
    seated = int(size) - int(missing) - int(orphaned) - int(gone)
    counts = Counts(seated, int(missing), int(orphaned), int(gone), int(removed))
    try:
        record = decode_tenant(document) if document else Tenant(tenant)
    except Unreadable:
        return Record(Tenant(tenant), 0, counts, broken=True)
    return Record(record, int(version), counts)


def _longest(rows: Sequence[StuckUpgrade], state: State) -> list[StuckUpgrade]:
    """The upgrades that are in this state, longest first."""
    return sorted((row for row in rows if row.state is state), key=lambda row: (row.since, row.upgrade))


class Listing(RedisRoom):
    """The lists in Redis; ``finish`` writes them."""

    async def find_tenants(
        self, *, status: Status | None, prefix: str, order: Order, offset: int, limit: int
    ) -> TenantPage:
        names = (_SETS[order] + (f":{status.value}" if status else ""), "statuses", "since")
        start = prefix if order is Order.ID else ""
        keys = [[self.keys.index(name, shard) for name in names] for shard in range(self.keys.shards)]
        if len(keys) > 1:
            sharded = ShardedList(self._ask_shards, keys, order is not Order.ID, start)
            total, listed = await sharded.page(offset, limit)
            found = [(row.tenant, row.status, row.since) for row in listed]
        else:
            args: list[Arg] = [int(order is not Order.ID), start, offset, limit]
            total, *flat = await self.scripts.run(Call("list_tenants", keys[0], args))
            found = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        rows = [
            ListedTenant(text(tenant), Status(text(word)), int(float(since))) for tenant, word, since in found if word
        ]
        return TenantPage(int(total), tuple(rows))

    async def records(self, tenants: Sequence[str]) -> dict[str, Record]:
        replies = await self.scripts.try_batch([Call("glance", self._glance_keys(tenant)) for tenant in tenants])
        return {tenant: _record(tenant, reply) for tenant, reply in zip(tenants, replies, strict=True)}

    async def stuck(self, waits: Mapping[State, int], limit: int) -> Stuck:
        args: list[Arg] = [limit]
        for state, wait in waits.items():
            args += [state.value, wait]
        replies = await self._in_shards("stuck", ("owners", "states", "moved:"), args)
        flat = [item for _, *rows in replies for item in rows]
        rows = [
            StuckUpgrade(text(upgrade), text(tenant), State(text(state)), int(float(since)))
            for upgrade, tenant, state, since in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
        ]
        if len(replies) > 1:
            rows = [row for state in waits for row in _longest(rows, state)[:limit]]
        return Stuck(sum(int(total) for total, *_ in replies), tuple(rows))

    async def decisions(self, tenant: str, limit: int) -> list[dict[str, Json]]:
        notes = await self.scripts.run(Call("decisions", [self.keys.journal(tenant)], [limit]))
        return [decode_note(note) for note in reversed(notes)]

    def _glance_keys(self, tenant: str) -> list[str]:
        standings = [self.keys.standing(tenant, name) for name in _STANDINGS]
        return [self.keys.record(tenant), self.keys.roster(tenant), *standings]
