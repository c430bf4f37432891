"""Due tenants: which tenant is to be reconciled when, and who is at it.

A lost wake-up costs nothing but time: its lease ends, and the tenant is due again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from worker.core.tenant import Status
from worker.core.upgrade import Upgrade
from worker.store.bells import Bells
from worker.store.interface import UNKNOWN_FULLNESS, Backlog, Claimed, Ending, Wake
from worker.store.keys import Keys
from worker.store.merging import first_members, pairs_of
from worker.store.room import RedisRoom, text
from worker.store.scripts import Call, command, translated

_CLAIMING = ("due", "leases", "again", "waiting", "tokens", "serial")


def mark_due_calls(keys: Keys, tenants: Iterable[str], delay: int) -> list[Call]:
    """The calls that make tenants due ``delay`` microseconds from now: one for each shard that they are in."""
    return [
        Call("mark_due", [keys.index(name, shard) for name in ("due", "leases", "again", "bell")], [delay, *names])
        for shard, names in keys.by_shard(tenants).items()
    ]


def renew_call(keys: Keys, wake: Wake, lease: int) -> Call:
    """The call that prolongs a lease."""
    return Call("renew", [keys.index_of(wake.tenant, name) for name in ("leases", "tokens")], [*_names(wake), lease])


def finish_call(keys: Keys, ending: Ending) -> Call:
    """The call that gives a lease back and lists its tenant."""
    names = (
        "due", "leases", "again", "waiting", "tokens", "bell",
        "tenants", "statuses", "upgrades", "owners", "states", "fullness", "since", "moved:",
    )  # fmt: skip
    rows = [item for upgrade in ending.upgrades for item in (upgrade.id, upgrade.state.value, upgrade.created_at)]
    shard = keys.shard(ending.wake.tenant)
    prefixes = [keys.index("tenants:", shard), keys.index("upgrades:", shard)]
    full = UNKNOWN_FULLNESS if ending.fullness is None else round(ending.fullness, 3)
    args = [*_names(ending.wake), ending.look_at, ending.status.value, *prefixes, full, *rows]
    return Call("finish", [keys.index(name, shard) for name in names], args)


def _names(wake: Wake) -> tuple[str, str]:
    return wake.tenant, wake.token


class DueTenants(RedisRoom):
    """The due set, leases and wake-ups in Redis."""

    _turn = 0
    _bells: Bells | None = None

    async def now(self) -> int:
        seconds, micros = await self.scripts.run(command("TIME"))
        return int(seconds) * 1_000_000 + int(micros)

    async def mark_due(self, tenants: Iterable[str], *, delay: int = 0) -> None:
        names = list(tenants)
        for start in range(0, len(names), 1000):
            await self._ask_shards(mark_due_calls(self.keys, names[start : start + 1000], delay))

    async def claim_due(self, limit: int, lease: int) -> Claimed:
        """As ``Store`` has it: of each shard those that are due longest. Each has the same share of ``limit``, and what
        others do not need of theirs.

        A shard that can't be used keeps none of the others waiting: this raises once they have nothing due.
        """
        shares = self._shares(limit, range(self.keys.shards))
        self._turn += limit % self.keys.shards
        claims: dict[int, Claimed] = {}
        wakes: dict[int, list[Wake]] = {shard: [] for shard in shares}
        failed: Exception | None = None
        while shares:
            found, error = await self._claim(shares, lease)
            failed = failed or error
            claims = {shard: claimed for shard, claimed in claims.items() if shard not in shares} | found
            for shard, claimed in found.items():
                wakes[shard] += claimed.wakes
            spare = limit - sum(map(len, wakes.values()))
            hungry = [shard for shard, claimed in claims.items() if claimed.next_in == 0]
            more = self._shares(spare, hungry) if spare > 0 and hungry else {}
            shares = {shard: share for shard, share in more.items() if share}
        if failed is not None and not any(wakes.values()):
            raise translated(failed) from failed
        upcoming = [claimed.next_in for claimed in claims.values() if claimed.next_in is not None]
        by_turns = (wake for turn in zip_longest(*wakes.values()) for wake in turn if wake is not None)
        return Claimed(tuple(by_turns), min(upcoming, default=None))

    async def adopt(self, after: str | None, limit: int) -> str | None:
        start = "-" if after is None else f"({after}"
        end: str | bytes = "+"
        if self.keys.shards > 1:
            listed = await first_members(self._ask_shards, self.keys.indexes("tenants"), start, limit)
            if not listed:
                return None
            end = b"[" + listed[-1]
        replies = await self._in_shards("adopt", ("tenants", "due", "leases"), [start, end, limit])
        seen, last = sum(int(reply[1]) for reply in replies), max(bytes(reply[2]) for reply in replies)
        return text(last) if seen >= limit else None

    async def wait_bell(self, seconds: float) -> None:
        if seconds < 0.01:
            await asyncio.sleep(max(seconds, 0.0))
        elif self.keys.shards == 1:
            await self.scripts.run(command("BLPOP", self.keys.index("bell"), round(seconds, 3)))
        else:
            self._bells = self._bells or Bells(self.scripts, self.keys.indexes("bell"))
            await self._bells.wait(seconds)

    async def aclose(self) -> None:
        if self._bells is not None:
            await self._bells.aclose()
        await super().aclose()

    async def renew(self, wake: Wake, lease: int) -> bool:
        return bool(await self.scripts.run(renew_call(self.keys, wake, lease)))

    async def finish(
        self,
        wake: Wake,
        look_at: int,
        status: Status,
        upgrades: Sequence[Upgrade],
        fullness: float | None = None,
        *,
        saved_by: str | None = None,
    ) -> None:
        ending = Ending(wake, look_at, status, upgrades, fullness)
        record = self.keys.record(wake.tenant)
        _, by = await self.scripts.batch([finish_call(self.keys, ending), command("HGET", record, "by")])
        if saved_by is not None and text(by or b"") != saved_by:
            await self.mark_due([wake.tenant])

    async def backlog(self) -> Backlog:
        replies = await self._in_shards("backlog", ("due", "leases", "waiting"))
        due, leased, oldest = zip(*replies, strict=True)
        return Backlog(sum(map(int, due)), sum(map(int, leased)), max(map(int, oldest)))

    async def longest_waiting(self, limit: int) -> list[str]:
        """Tenants that have waited longest for a reconcile to finish."""
        replies = await self._ask_shards(
            [command("ZRANGE", key, 0, limit - 1, "WITHSCORES") for key in self.keys.indexes("waiting")]
        )
        found = [(float(score), name) for rows in replies for name, score in pairs_of(rows)]
        return [text(name) for _, name in sorted(found)[:limit]]

    def _shares(self, limit: int, shards: Sequence[int]) -> dict[int, int]:
        """How many tenants to claim of each shard. What does not divide goes to each of them by turns."""
        each, over = divmod(limit, len(shards))
        return {shard: each + ((place - self._turn) % len(shards) < over) for place, shard in enumerate(shards)}

    async def _claim(self, shares: Mapping[int, int], lease: int) -> tuple[dict[int, Claimed], Exception | None]:
        """What could be claimed of each shard, and an error of one that could not be asked, where there are others."""
        keys = self.keys
        calls = [
            Call("claim_due", [keys.index(name, shard) for name in _CLAIMING], [share, lease, keys.token_end(shard)])
            for shard, share in shares.items()
        ]
        if self.keys.shards == 1:
            replies = [await self.scripts.run(calls[0])]
        else:
            replies = await self.scripts.try_batch(calls)
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        claims = {
            shard: _claimed(reply)
            for shard, reply in zip(shares, replies, strict=True)
            if not isinstance(reply, Exception)
        }
        return claims, errors[0] if errors else None


def _claimed(reply: Sequence[bytes | int]) -> Claimed:
    """What ``claim_due.lua`` returns."""
    next_in, rest = int(reply[0]), [text(item) for item in reply[1:] if isinstance(item, bytes)]
    wakes = tuple(Wake(tenant, token) for tenant, token in zip(rest[::2], rest[1::2], strict=True))
    return Claimed(wakes, None if next_in < 0 else next_in)
