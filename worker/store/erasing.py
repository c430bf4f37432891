"""Erasing in Redis: the steps that ``worker.store.forget`` is made of."""

import json
import re
from collections.abc import Collection, Sequence
from typing import Final

from worker.core.alerts import Severity
from worker.core.tenant import Status
from worker.core.upgrade import State
from worker.store.alert_log import LOG_LIMIT
from worker.store.codec import Unreadable, decode_alert
from worker.store.interface import Wake
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, command

REMEMBERED_SECONDS: Final = 86_400
"""How long it is remembered that a tenant was erased: longer than any pass may be under way."""

_CHUNK: Final = 1_000
_PARTS: Final = ("missing", "orphaned", "gone", "removed")
_TENANT_SETS: Final = (
    "due", "leases", "again", "waiting",
    *(name + suffix for name in ("tenants", "fullness", "since") for suffix in ("", *(f":{word}" for word in Status))),
)  # fmt: skip
_TENANT_HASHES: Final = ("tokens", "statuses")
_UPGRADE_SETS: Final = ("upgrades", *(f"{name}:{state}" for name in ("upgrades", "moved") for state in State))
_UPGRADE_HASHES: Final = ("owners", "states")


class Erasing(RedisRoom):
    """The part of the Redis store that makes it forget."""

    async def hold(self, tenant: str, lease: int) -> Wake | None:
        keys, shard = self.keys, self.keys.shard(tenant)
        names = [keys.index(name, shard) for name in ("due", "leases", "tokens", "serial")]
        token = text(await self.scripts.run(Call("hold", names, [tenant, lease, keys.token_end(shard)])))
        return Wake(tenant, token) if token else None

    async def erase(self, tenant: str, version: int, pending: int) -> bool:
        keys = self.keys
        names = [keys.erased(tenant), keys.record(tenant), keys.inbox(tenant), keys.stamps(tenant), keys.roster(tenant)]
        names += [keys.standing(tenant, name) for name in _PARTS]
        names += [keys.journal(tenant), keys.unreadable(tenant)]
        return bool(await self.scripts.run(Call("erase", names, [version, pending, REMEMBERED_SECONDS])))

    async def unlist(self, wake: Wake, names: Collection[str]) -> bool:
        upgrades = await self._upgrades_of(wake.tenant)
        for start in range(0, len(upgrades) or 1, _CHUNK):
            if not await self._remove(wake, _UPGRADE_SETS, _UPGRADE_HASHES, upgrades[start : start + _CHUNK]):
                return False
        await self._unlink(wake.tenant, names)
        await self._forget_alerts(wake.tenant)
        # Last: as long as it is listed, whoever was interrupted here sees that there is something left to forget.
        return await self._remove(wake, _TENANT_SETS, _TENANT_HASHES, [wake.tenant])

    async def unreadable(self, tenant: str) -> int:
        return int(await self.scripts.run(command("LLEN", self.keys.unreadable(tenant))))

    async def drop_unreadable(self, tenant: str, user: str) -> int:
        key = self.keys.unreadable(tenant)
        items = await self.scripts.run(command("LRANGE", key, 0, -1))
        names = _naming(user)
        about = [item for item in items if names.search(item)]
        await self.scripts.batch([command("LREM", key, 0, item) for item in about])
        return len(about)

    async def _remove(self, wake: Wake, sets: Sequence[str], hashes: Sequence[str], members: Sequence[str]) -> bool:
        """Take members off lists; False where the lease is not the caller's any more, and nothing was removed."""
        shard = self.keys.shard(wake.tenant)
        names = [self.keys.index(name, shard) for name in ("tokens", *sets, *hashes)]
        return bool(await self.scripts.run(Call("remove", names, [wake.tenant, wake.token, len(sets), *members])))

    async def _upgrades_of(self, tenant: str) -> list[str]:
        """Every upgrade that is listed as this tenant's, also those that its record has long dropped."""
        found: list[str] = []
        cursor: Arg = 0
        while True:
            key = self.keys.index_of(tenant, "owners")
            cursor, items = await self.scripts.run(command("HSCAN", key, cursor, "COUNT", _CHUNK))
            pairs = items.items() if isinstance(items, dict) else zip(items[::2], items[1::2], strict=True)
            found += [text(upgrade) for upgrade, owner in pairs if text(owner) == tenant]
            if int(cursor) == 0:
                return found

    async def _unlink(self, tenant: str, names: Collection[str]) -> None:
        """Forget where checkouts of these names lead, and that parked events may be asked for by them."""
        asked = list(names)
        owners = await self.scripts.batch([command("GET", self.keys.checkout(name)) for name in asked])
        ours = [name for name, owner in zip(asked, owners, strict=True) if owner is None or text(owner) == tenant]
        calls = [command("UNLINK", self.keys.checkout(name)) for name in ours]
        calls += [command("UNLINK", self.keys.parked(f"by:{name}")) for name in (tenant, *ours)]
        await self.scripts.batch(calls)

    async def _forget_alerts(self, tenant: str) -> None:
        """Take a tenant's alerts out of the logs; a channel that was yet to be told of some never hears of them."""
        await self.scripts.run(command("HDEL", self.keys.alerts("posted"), tenant))
        for severity in Severity:
            key = self.keys.alerts(f"log:{severity.value}")
            start = "-"
            while True:
                entries = await self.scripts.run(command("XRANGE", key, start, "+", "COUNT", _CHUNK))
                ours = [ident for ident, fields in entries if _tenant_of(fields) == tenant]
                if ours:
                    erased = self.keys.alerts(f"erased:{severity.value}")
                    await self.scripts.run(Call("erase_alerts", [key, erased], [LOG_LIMIT, *ours]))
                if len(entries) < _CHUNK:
                    break
                start = f"({text(entries[-1][0])}"


def _naming(user: str) -> re.Pattern[bytes]:
    """A user's id as a string of JSON, and not as a key of it, whichever way its characters are written."""
    written = {json.dumps(user, ensure_ascii=escaped).encode() for escaped in (True, False)}
    return re.compile(b"(?:" + b"|".join(map(re.escape, sorted(written))) + rb")(?!\s*:)")


def _tenant_of(fields: object) -> str | None:
    """The tenant that an alert in a log is about; None where another release wrote it."""
    body = fields[b"alert"] if isinstance(fields, dict) else fields[-1] if isinstance(fields, list | tuple) else b""
    try:
        return decode_alert(body).tenant
    except Unreadable:
        return None
