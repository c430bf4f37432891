"""What the state says of itself for metrics, and the sums of what processes have counted."""

from collections.abc import Mapping

from worker.core.tenant import Status
from worker.core.upgrade import CLOSED, State
from worker.store.interface import Census
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, command

MOST_COUNTS = 10_000
"""Sums that are kept. The catalogue has a few hundred; the names of alert channels are all that can add to them."""

SOURCE_SECONDS = 86_400
"""How long a process is remembered after its last counts: those it could not hand over for longer may count twice."""


class Meters(RedisRoom):
    """Counts and the census in Redis."""

    async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None:
        keys = [self.keys.meters("counts"), self.keys.meters(f"source:{source}")]
        args: list[Arg] = [serial, SOURCE_SECONDS, MOST_COUNTS]
        await self.scripts.run(Call("add_counts", keys, [*args, *(item for pair in counts.items() for item in pair)]))

    async def counts(self) -> dict[str, int]:
        reply = await self.scripts.run(command("HGETALL", self.keys.meters("counts")))
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        return {text(name): int(value) for name, value in pairs}

    async def census(self) -> Census:
        statuses, states = list(Status), list(State)
        waiting = [state for state in State if state not in CLOSED]
        sizes = [f"tenants:{status.value}" for status in statuses] + [f"upgrades:{state.value}" for state in states]
        names = [*sizes, *(f"moved:{state.value}" for state in waiting)]
        of_shards = [
            Call("census", [self.keys.index(name, shard) for name in names], [len(sizes)])
            for shard in range(self.keys.shards)
        ]
        *replies, parked = await self.scripts.batch([*of_shards, command("ZCARD", self.keys.parked("since"))])
        by_name = list(zip(*replies, strict=True))
        numbers = [sum(map(int, counts)) for counts in by_name[: len(sizes)]]
        return Census(
            dict(zip(statuses, numbers[: len(statuses)], strict=True)),
            dict(zip(states, numbers[len(statuses) :], strict=True)),
            dict(zip(waiting, (max(map(int, ages)) for ages in by_name[len(sizes) :]), strict=True)),
            int(parked),
        )
