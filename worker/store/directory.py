"""The directory: lists of tenants by status and upgrades by state, and which tenant an upgrade belongs to."""

from collections.abc import Collection, Iterable, Sequence

from worker.core.tenant import Status
from worker.core.upgrade import State
from worker.store.interface import TenantRow, UpgradeRow
from worker.store.merging import first_members, pairs_of
from worker.store.room import RedisRoom, text
from worker.store.scripts import command


class Directory(RedisRoom):
    """The lists in Redis; ``finish`` writes them."""

    async def tenants(self, status: Status | None, after: str | None, limit: int) -> list[TenantRow]:
        keys = self.keys.indexes(f"tenants:{status.value}" if status else "tenants")
        start = f"({after}" if after is not None else "-"
        names = [text(row) for row in await first_members(self._ask_shards, keys, start, limit)]
        statuses = await self._statuses(names)
        return [TenantRow(name, Status(word)) for name in names if (word := statuses[name]) is not None]

    async def tenant_count(self) -> int:
        replies = await self._ask_shards([command("ZCARD", key) for key in self.keys.indexes("tenants")])
        return sum(map(int, replies))

    async def known_tenants(self, names: Iterable[str]) -> list[str]:
        statuses = await self._statuses(dict.fromkeys(names))
        return [name for name, word in statuses.items() if word is not None]

    async def upgrades(
        self, state: State | None, cursor: str | None, limit: int
    ) -> tuple[list[UpgradeRow], str | None]:
        keys = self.keys.indexes(f"upgrades:{state.value}" if state else "upgrades")
        newest, skip = "+inf", 0
        if cursor:
            newest, _, count = cursor.partition("-")
            skip = int(count or 0)
        pairs = await self._newest(keys, newest, skip, limit)
        if not pairs:
            return [], None
        owners = await self._owners([name for name, _ in pairs])
        found = [UpgradeRow(name, owner) for name, _ in pairs if (owner := owners[name]) is not None]
        if len(pairs) < limit:
            return found, None
        last = pairs[-1][1]
        same = sum(score == last for _, score in pairs)
        return found, f"{last}-{same + (skip if newest == str(last) else 0)}"

    async def owner(self, upgrade: str) -> str | None:
        return (await self._owners([upgrade]))[upgrade]

    async def _statuses(self, names: Collection[str]) -> dict[str, str | None]:
        """The status of each of these tenants, None where it is not listed."""
        shards = self.keys.by_shard(names)
        replies = await self._ask_shards(
            [command("HMGET", self.keys.index("statuses", shard), *part) for shard, part in shards.items()]
        )
        words = {
            name: text(word) if word is not None else None
            for part, reply in zip(shards.values(), replies, strict=True)
            for name, word in zip(part, reply, strict=True)
        }
        return {name: words[name] for name in names}

    async def _owners(self, upgrades: Sequence[str]) -> dict[str, str | None]:
        """The tenant of each of these upgrades, None where it is not listed. Their ids do not tell their shards."""
        replies = await self._ask_shards([command("HMGET", key, *upgrades) for key in self.keys.indexes("owners")])
        found = {}
        for name, *owners in zip(upgrades, *replies, strict=True):
            found[name] = next((text(owner) for owner in owners if owner is not None), None)
        return found

    async def _newest(self, keys: Sequence[str], newest: str, skip: int, limit: int) -> list[tuple[str, int]]:
        """Upgrades with their times from ``newest`` backwards, without the first ``skip`` of them, which are as new."""
        if len(keys) == 1:
            rows = await self.scripts.run(
                command("ZREVRANGEBYSCORE", keys[0], newest, "-inf", "WITHSCORES", "LIMIT", skip, limit)
            )
            return [(text(name), int(float(score))) for name, score in pairs_of(rows)]
        same = [0] * len(keys)
        if skip:
            counts = await self._ask_shards([command("ZCOUNT", key, newest, newest) for key in keys])
            same = [int(count) for count in counts]
        replies = await self._ask_shards(
            [
                command("ZREVRANGEBYSCORE", key, newest, "-inf", "WITHSCORES", "LIMIT", 0, min(skip, count) + limit)
                for key, count in zip(keys, same, strict=True)
            ]
        )
        found = sorted(((float(score), name) for rows in replies for name, score in pairs_of(rows)), reverse=True)
        passed = min(skip, sum(same))
        return [(text(name), int(score)) for score, name in found[passed : passed + limit]]
