"""The state's mark in Redis: by it a process notices that the state is not the one it worked with before."""

from worker.store.interface import WENT_BACK, Mark
from worker.store.room import RedisRoom, text
from worker.store.scripts import Call, command


class Identity(RedisRoom):
    """Which state this is."""

    async def vouch(self, known: str, seen_at: int, fresh: str) -> Mark:
        reply = await self.scripts.run(Call("vouch", [self.keys.mark], [known, seen_at, fresh, WENT_BACK]))
        identity, made_at, seen, lost_at, now = reply
        return Mark(text(identity), int(made_at), int(seen), int(lost_at) if lost_at else None, int(now))

    async def lost_at(self) -> int | None:
        reply = await self.scripts.run(command("HGET", self.keys.mark, "lost_at"))
        return int(reply) if reply else None

    async def end_loss(self, lost_at: int) -> bool:
        return int(await self.scripts.run(Call("end_loss", [self.keys.mark], [lost_at]))) == 1
