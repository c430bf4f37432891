"""Journals: what happened to each tenant, a capped stream."""

from worker.core.journal import Json
from worker.store.codec import decode_note
from worker.store.room import RedisRoom, text
from worker.store.scripts import command


class Journals(RedisRoom):
    """The journals in Redis."""

    async def journal(self, tenant: str, *, before: str | None, limit: int) -> tuple[list[dict[str, Json]], str | None]:
        newest = f"({before}" if before else "+"
        rows = await self.scripts.run(command("XREVRANGE", self.keys.journal(tenant), newest, "-", "COUNT", limit))
        notes: list[dict[str, Json]] = []
        ident = None
        for ident, fields in rows:
            body = fields[b"note"] if isinstance(fields, dict) else fields[1]
            notes.append({"id": text(ident), **decode_note(body)})
        return notes, text(ident) if ident is not None and len(notes) == limit else None

    async def trim_journal(self, tenant: str, before: int) -> None:
        # Its ids begin with the server's milliseconds.
        await self.scripts.run(command("XTRIM", self.keys.journal(tenant), "MINID", max(before // 1000, 0)))
