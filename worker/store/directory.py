"""The directory: lists of tenants by status and upgrades by state, and which tenant an upgrade belongs to."""

from collections.abc import Iterable

from worker.core.tenant import Status
from worker.core.upgrade import State
from worker.store.interface import TenantRow, UpgradeRow
from worker.store.room import RedisRoom, text
from worker.store.scripts import command


class Directory(RedisRoom):
    """The lists in Redis; ``finish`` writes them."""

    async def tenants(self, status: Status | None, after: str | None, limit: int) -> list[TenantRow]:
        key = self.keys.index(f"tenants:{status.value}" if status else "tenants")
        start = f"({after}" if after is not None else "-"
        rows = await self.scripts.run(command("ZRANGEBYLEX", key, start, "+", "LIMIT", 0, limit))
        names = [text(row) for row in rows]
        if not names:
            return []
        statuses = await self.scripts.run(command("HMGET", self.keys.index("statuses"), *names))
        return [
            TenantRow(name, Status(text(word))) for name, word in zip(names, statuses, strict=True) if word is not None
        ]

    async def tenant_count(self) -> int:
        return int(await self.scripts.run(command("ZCARD", self.keys.index("tenants"))))

    async def known_tenants(self, names: Iterable[str]) -> list[str]:
        asked = list(dict.fromkeys(names))
        if not asked:
            return []
        statuses = await self.scripts.run(command("HMGET", self.keys.index("statuses"), *asked))
        return [name for name, word in zip(asked, statuses, strict=True) if word is not None]

    async def upgrades(
        self, state: State | None, cursor: str | None, limit: int
    ) -> tuple[list[UpgradeRow], str | None]:
        key = self.keys.index(f"upgrades:{state.value}" if state else "upgrades")
        newest, skip = "+inf", 0
        if cursor:
            newest, _, count = cursor.partition("-")
            skip = int(count or 0)
        rows = await self.scripts.run(
            command("ZREVRANGEBYSCORE", key, newest, "-inf", "WITHSCORES", "LIMIT", skip, limit)
        )
        pairs = _pairs(rows)
        if not pairs:
            return [], None
        owners = await self.scripts.run(command("HMGET", self.keys.index("owners"), *(name for name, _ in pairs)))
        found = [
            UpgradeRow(name, text(owner)) for (name, _), owner in zip(pairs, owners, strict=True) if owner is not None
        ]
        if len(pairs) < limit:
            return found, None
        last = pairs[-1][1]
        same = sum(score == last for _, score in pairs)
        return found, f"{last}-{same + (skip if newest == str(last) else 0)}"

    async def owner(self, upgrade: str) -> str | None:
        reply = await self.scripts.run(command("HGET", self.keys.index("owners"), upgrade))
        return None if reply is None else text(reply)


def _pairs(rows: list[object]) -> list[tuple[str, int]]:
    """Members with their scores, flat or paired as redis-py has it."""
    if rows and isinstance(rows[0], list | tuple):
        return [(text(row[0]), int(float(row[1]))) for row in rows if isinstance(row, list | tuple)]
    flat: list[bytes] = [row for row in rows if isinstance(row, bytes)]
    return [(text(name), int(float(score))) for name, score in zip(flat[::2], flat[1::2], strict=True)]
