"""One list out of the sorted sets of all shards."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from math import isqrt
from typing import Any

from worker.store.scripts import Call, command

Ask = Callable[[Sequence[Call]], Awaitable[list[Any]]]
"""Runs calls, one or several for each shard, at the same time."""


async def first_members(ask: Ask, keys: Sequence[str], start: str, limit: int) -> list[bytes]:
    """The first ``limit`` members of sorted sets whose scores are all 0, in the order of their bytes.

    ``start`` is '-', or '(' and what they come after. One round of calls where there is one set; else mostly one, for
    about twice as many members as are asked for, as members are spread evenly.
    """
    part = limit if len(keys) == 1 else -(-limit // len(keys)) + isqrt(limit) + 1
    found: list[list[bytes]] = [[] for _ in keys]
    unread: dict[int, str | bytes] = dict.fromkeys(range(len(keys)), start)
    while True:
        calls = [command("ZRANGEBYLEX", keys[place], from_, "+", "LIMIT", 0, part) for place, from_ in unread.items()]
        for place, members in zip(list(unread), await ask(calls), strict=True):
            found[place] += members
            unread[place] = b"(" + members[-1] if members else b""
            if len(members) < part:
                del unread[place]
        if not unread:
            return sorted(chain(*found))[:limit]
        # Of a set that goes on nothing is known after its last member, and so of all of them together.
        known = min(found[place][-1] for place in unread)
        ready = sorted(member for member in chain(*found) if member <= known)
        if len(ready) >= limit:
            return ready[:limit]


def pairs_of(rows: Sequence[Any]) -> Iterable[tuple[bytes, bytes]]:
    """Members with their scores, flat or paired as redis-py has it."""
    if rows and isinstance(rows[0], list | tuple):
        return [(row[0], row[1]) for row in rows]
    return zip(rows[::2], rows[1::2], strict=True)
