"""Taking over an index that is in one slot of a cluster: an earlier release kept it there, or one server has held it.

All of it moves into the shards: who is due and when, and what is listed of tenants and upgrades. Only since when a
tenant has its status, and an upgrade its state, begins anew. Every step may be repeated, and what processes of that
earlier release go on writing is taken over with the next look.
"""

from functools import partial
from typing import Final

from worker.core.tenant import Status
from worker.core.upgrade import State, Upgrade
from worker.store.directory import Directory
from worker.store.due import DueTenants, finish_call, mark_due_calls
from worker.store.interface import UNKNOWN_FULLNESS, Ending, Wake
from worker.store.merging import first_members, pairs_of
from worker.store.room import text
from worker.store.scripts import Arg, command

_AT_ONCE: Final = 100
_WAITING: Final = ("leases", "again", "waiting")
_LISTS: Final = (
    *(name + suffix for name in ("tenants", "fullness", "since") for suffix in ("", *(f":{word}" for word in Status))),
    *(name + suffix for name in ("upgrades", "moved") for suffix in ("", *(f":{word}" for word in State))),
    "statuses", "owners", "states", "tokens", "serial", "bell",
)  # fmt: skip


class TakingOver(DueTenants, Directory):
    """Looks for such an index whenever forgotten tenants are looked for."""

    async def adopt(self, after: str | None, limit: int) -> str | None:
        if after is None and self.scripts.clustered:
            await self._take_over()
        return await super().adopt(after, limit)

    async def _take_over(self) -> None:
        old = self.keys.unsharded
        there = [command("EXISTS", old(name)) for name in ("tenants", *_WAITING, "due")]
        if not any(await self.scripts.batch(there)):
            return
        upgrades = await self._old_upgrades()
        start = "-"
        while names := await first_members(self._ask_shards, [old("tenants")], start, _AT_ONCE):
            await self._list(list(map(text, names)), upgrades)
            start = f"({text(names[-1])}"
        for name in _WAITING:
            while waiting := await self.scripts.run(command("ZRANGE", old(name), 0, _AT_ONCE - 1)):
                await self.mark_due(map(text, waiting))
                await self.scripts.run(command("ZREM", old(name), *waiting))
        while rows := await self.scripts.run(command("ZRANGE", old("due"), 0, _AT_ONCE - 1, "WITHSCORES")):
            now, due = await self.now(), dict(pairs_of(rows))
            marks = [mark_due_calls(self.keys, [text(name)], int(float(at)) - now) for name, at in due.items()]
            await self._ask_shards([call for calls in marks for call in calls])
            await self.scripts.run(command("ZREM", old("due"), *due))
        await self.scripts.batch([command("UNLINK", old(name)) for name in _LISTS])

    async def _list(self, names: list[str], upgrades: dict[str, list[Upgrade]]) -> None:
        """List tenants with their upgrades as they were, but not those that have been reconciled since."""
        old, now = self.keys.unsharded, await self.now()
        statuses, full, due = await self.scripts.batch(
            [
                command("HMGET", old("statuses"), *names),
                command("ZMSCORE", old("fullness"), *names),
                command("ZMSCORE", old("due"), *names),
            ]
        )
        known = await self.known_tenants(names)
        await self._ask_shards(
            [
                finish_call(
                    self.keys,
                    Ending(
                        Wake(name, ""),
                        int(float(at)) if at is not None else now,
                        Status(text(word)),
                        upgrades.get(name, ()),
                        float(percent) if percent is not None and float(percent) != UNKNOWN_FULLNESS else None,
                    ),
                )
                for name, word, percent, at in zip(names, statuses, full, due, strict=True)
                if word is not None and name not in known
            ]
        )
        for name in set(known).intersection(upgrades):
            await self._list_dropped(name, upgrades[name])

    async def _list_dropped(self, tenant: str, upgrades: list[Upgrade]) -> None:
        """List what is not listed of a tenant that is: upgrades, all closed, that its record has long dropped."""
        key = partial(self.keys.index_of, tenant)
        listed = await self.scripts.run(command("HMGET", key("states"), *(one.id for one in upgrades)))
        for one, state in zip(upgrades, listed, strict=True):
            if state is None:
                await self.scripts.batch(
                    [
                        command("ZADD", key("upgrades"), one.created_at, one.id),
                        command("ZADD", key(f"upgrades:{one.state.value}"), one.created_at, one.id),
                        command("HSET", key("owners"), one.id, tenant),
                    ]
                )
                await self.scripts.run(command("HSET", key("states"), one.id, one.state.value))

    async def _old_upgrades(self) -> dict[str, list[Upgrade]]:
        """Every upgrade of the old index, by its tenant: of each no more than lists have."""
        old, found, cursor = self.keys.unsharded, dict[str, list[Upgrade]](), b"0"
        while True:
            cursor, flat = await self.scripts.run(command("HSCAN", old("owners"), cursor, "COUNT", 1000))
            owners = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
            names: list[Arg] = list(owners)
            if names:
                states, created = await self.scripts.batch(
                    [command("HMGET", old("states"), *names), command("ZMSCORE", old("upgrades"), *names)]
                )
                for name, state, at in zip(owners, states, created, strict=True):
                    if state is not None and at is not None:
                        listed = Upgrade(text(name), State(text(state)), 0, 0, 0, created_at=int(float(at)))
                        found.setdefault(text(owners[name]), []).append(listed)
            if int(cursor) == 0:
                return found
