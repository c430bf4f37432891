"""Due tenants: which tenant is to be reconciled when, and who is at it.

A lost wake-up costs nothing but time: its lease ends, and the tenant is due again.
"""

import asyncio
from collections.abc import Iterable, Sequence

from worker.core.tenant import Status
from worker.core.upgrade import Upgrade
from worker.store.interface import UNKNOWN_FULLNESS, Backlog, Claimed, Wake
from worker.store.keys import Keys
from worker.store.room import RedisRoom, text
from worker.store.scripts import Call, command


def mark_due_call(keys: Keys, tenants: Sequence[str], delay: int) -> Call:
    """The call that makes tenants due ``delay`` microseconds from now."""
    names = [keys.index(name) for name in ("due", "leases", "again", "bell")]
    return Call("mark_due", names, [delay, *tenants])


class DueTenants(RedisRoom):
    """The due set, leases and wake-ups in Redis."""

    async def now(self) -> int:
        seconds, micros = await self.scripts.run(command("TIME"))
        return int(seconds) * 1_000_000 + int(micros)

    async def mark_due(self, tenants: Iterable[str], *, delay: int = 0) -> None:
        names = list(tenants)
        for start in range(0, len(names), 1000):
            await self.scripts.run(mark_due_call(self.keys, names[start : start + 1000], delay))

    async def claim_due(self, limit: int, lease: int) -> Claimed:
        names = ("due", "leases", "again", "waiting", "tokens", "serial")
        reply = await self.scripts.run(Call("claim_due", [self.keys.index(name) for name in names], [limit, lease]))
        next_in, rest = int(reply[0]), [text(item) for item in reply[1:]]
        wakes = tuple(Wake(tenant, token) for tenant, token in zip(rest[::2], rest[1::2], strict=True))
        return Claimed(wakes, None if next_in < 0 else next_in)

    async def adopt(self, after: str | None, limit: int) -> str | None:
        names = [self.keys.index(name) for name in ("tenants", "due", "leases")]
        start = "-" if after is None else f"({after}"
        _, seen, last = await self.scripts.run(Call("adopt", names, [start, limit]))
        return text(last) if int(seen) == limit else None

    async def wait_bell(self, seconds: float) -> None:
        if seconds < 0.01:
            await asyncio.sleep(max(seconds, 0.0))
            return
        await self.scripts.run(command("BLPOP", self.keys.index("bell"), round(seconds, 3)))

    async def renew(self, wake: Wake, lease: int) -> bool:
        names = [self.keys.index("leases"), self.keys.index("tokens")]
        return bool(await self.scripts.run(Call("renew", names, [wake.tenant, wake.token, lease])))

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
        names = (
            "due", "leases", "again", "waiting", "tokens", "bell",
            "tenants", "statuses", "upgrades", "owners", "states", "fullness", "since", "moved:",
        )  # fmt: skip
        rows = [item for upgrade in upgrades for item in (upgrade.id, upgrade.state.value, upgrade.created_at)]
        prefixes = [self.keys.index("tenants:"), self.keys.index("upgrades:")]
        full = UNKNOWN_FULLNESS if fullness is None else round(fullness, 3)
        args = [wake.tenant, wake.token, look_at, status.value, *prefixes, full, *rows]
        record = self.keys.record(wake.tenant)
        _, by = await self.scripts.batch(
            [Call("finish", [self.keys.index(name) for name in names], args), command("HGET", record, "by")]
        )
        if saved_by is not None and text(by or b"") != saved_by:
            await self.mark_due([wake.tenant])

    async def backlog(self) -> Backlog:
        now = await self.now()
        due, leased, head, waiting = await self.scripts.batch(
            [
                command("ZCOUNT", self.keys.index("due"), "-inf", now),
                command("ZCARD", self.keys.index("leases")),
                command("ZRANGE", self.keys.index("due"), 0, 0, "WITHSCORES"),
                command("ZRANGE", self.keys.index("waiting"), 0, 0, "WITHSCORES"),
            ]
        )
        since = [score_of(reply) for reply in (head, waiting) if reply]
        return Backlog(int(due), int(leased), max(0, now - min(since, default=now)))


def score_of(reply: Sequence[object]) -> int:
    """The score of the only member of a WITHSCORES reply, flat or paired as redis-py has it."""
    first = reply[0]
    score = first[1] if isinstance(first, list | tuple) else reply[1]
    assert isinstance(score, bytes | str | float | int)
    return int(float(score))
