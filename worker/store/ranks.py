"""A page of the tenants of several shards, by its place in the order of all of them.

A place far down is not counted off. It is narrowed down in all shards at once: each names a tenant near it, each says
how many of its tenants come before each of those, and the sums tell which of them are before the place. As tenants are
spread evenly over the shards, one or two such steps do; every step after the first one halves what is left in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.store.merging import Ask
from worker.store.scripts import Arg, Call

FROM_THE_START: Final = 100
"""Up to this place a page is taken from the beginnings of all shards, in one round of calls."""

NARROW: Final = 512
"""So many tenants of all shards together, among which the place is, are read."""

_STEPS_AT_MOST: Final = 40
"""More than any fleet needs; a list that keeps changing meanwhile is given up being exact about."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A tenant of a list, as ``list_tenants.lua`` has it."""

    tenant: bytes
    status: bytes
    since: bytes
    score: bytes


@dataclass(frozen=True, slots=True)
class ShardedList:
    """The same list of tenants in each shard. ``keys`` are those of ``list_tenants.lua``, for each shard.

    ``descending`` is for the highest score first, else the list goes by ids alone, which begin with ``prefix``.
    """

    ask: Ask
    keys: Sequence[Sequence[str]]
    descending: bool
    prefix: str

    async def page(self, offset: int, limit: int) -> tuple[int, list[Listed]]:
        """How many tenants there are, and up to ``limit`` of them after the first ``offset``.

        Exact where nothing changes meanwhile.
        """
        if offset <= FROM_THE_START:
            totals, rows = await self._slices([(0, offset + limit)] * len(self.keys))
            return sum(totals), self._merged(rows)[offset : offset + limit]
        totals, _ = await self._slices([(0, 0)] * len(self.keys))
        if offset >= sum(totals):
            return sum(totals), []
        from_, till = await self._around(offset, totals)
        spans = [(low, high - low + limit) for low, high in zip(from_, till, strict=True)]
        _, rows = await self._slices(spans)
        passed = max(0, offset - sum(from_))
        return sum(totals), self._merged(rows)[passed : passed + limit]

    async def _around(self, offset: int, totals: Sequence[int]) -> tuple[list[int], list[int]]:
        """Of each shard, between which of its places those before ``offset`` end."""
        from_, till = [0] * len(totals), list(totals)
        share = offset / sum(totals)
        for _ in range(_STEPS_AT_MOST):
            if sum(till) - sum(from_) <= NARROW:
                break
            near = [
                min(low + int((high - low) * share), high - 1) if high > low else low
                for low, high in zip(from_, till, strict=True)
            ]
            _, rows = await self._slices([(at, int(high > at)) for at, high in zip(near, till, strict=True)])
            ranks = await self._ranks([row for part in rows for row in part])
            for before in zip(*ranks, strict=True):
                if sum(before) <= offset:
                    from_ = [max(low, rank) for low, rank in zip(from_, before, strict=True)]
                else:
                    till = [min(high, rank) for high, rank in zip(till, before, strict=True)]
            till = [max(low, high) for low, high in zip(from_, till, strict=True)]
            share = 0.5
        return from_, till

    async def _slices(self, spans: Sequence[tuple[int, int]]) -> tuple[list[int], list[list[Listed]]]:
        """How many tenants each shard has, and those of them after so many, so many of each."""
        replies = await self.ask(
            [
                Call("list_tenants", keys, [int(self.descending), self.prefix, from_, count, 1])
                for keys, (from_, count) in zip(self.keys, spans, strict=True)
            ]
        )
        rows = [
            [Listed(*row) for row in zip(*(flat[at::4] for at in range(4)), strict=True)]
            for _, *flat in replies
        ]  # fmt: skip
        return [int(total) for total, *_ in replies], rows

    async def _ranks(self, places: Sequence[Listed]) -> list[list[int]]:
        """Of each shard, how many of its tenants come before each of these."""
        args: list[Arg] = [int(self.descending), self.prefix]
        args += [item for place in places for item in (place.score, place.tenant)]
        return await self.ask([Call("rank_tenants", keys[:1], args) for keys in self.keys])

    def _merged(self, shards: Sequence[Sequence[Listed]]) -> list[Listed]:
        rows = [row for part in shards for row in part]
        if not self.descending:
            return sorted(rows, key=lambda row: row.tenant)
        return sorted(rows, key=lambda row: (float(row.score), row.tenant), reverse=True)
