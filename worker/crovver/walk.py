"""Read all of a tenant's allocations, and know whether they held still meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from worker.core.allocation import Allocation, Summary
from worker.crovver.results import AllocationsPage

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 2_000

AT_ONCE: Final = 4
"""Pages of one tenant that are asked for at the same time."""


class ReadPage(Protocol):
    """``CrovverClient.allocations_page``, or whatever stands in for it."""

    def __call__(
        self, tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> Coroutine[Any, Any, AllocationsPage]: ...


Together = Callable[[Sequence[Coroutine[Any, Any, AllocationsPage]]], Awaitable[list[AllocationsPage]]]
"""Runs calls, at the same time or not, and returns what they return in their order, or raises what one of them does."""


async def one_after_another(calls: Sequence[Coroutine[Any, Any, AllocationsPage]]) -> list[AllocationsPage]:
    """The results of calls that are made one after another; those behind one that fails are not made."""
    results = []
    remaining = iter(calls)
    try:
        for call in remaining:
            results.append(await call)
    finally:
        for call in remaining:
            call.close()
    return results


async def at_the_same_time(calls: Sequence[Coroutine[Any, Any, AllocationsPage]]) -> list[AllocationsPage]:
    """The results of calls that are made at the same time. Where one fails the others are called off."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()


@dataclass(frozen=True, slots=True)
class Walk:
    """A tenant's allocations, one row a user.

    ``settled`` is False where seats kept changing between the pages: rows may then be missing or stale. ``summary``
    is the one of the last page read, ``reads`` the number of pages asked for.
    """

    rows: tuple[Allocation, ...]
    summary: Summary
    settled: bool
    reads: int


@dataclass(slots=True)
class _Pass:
    rows: list[Allocation]
    summary: Summary
    still: bool
    whole: bool
    pages: int
    reads: int


async def walk(
    client_page: ReadPage,
    tenant: str,
    *,
    first: AllocationsPage | None = None,
    attempts: int = 3,
    together: Together = one_after_another,
) -> Walk:
    """Read all pages, a few at a time where ``together`` runs calls at the same time, and again where they moved
    underneath, ``attempts`` times at most.

    ``first`` is page 1 of 100 rows of status ``all`` where the caller has just read it. Settled means: no summary
    moved between the pages, and as many users as the total says. Where Crovver lists a user's past allocations beside
    the present one, users never add up to the total: then as many rows, all on one page or twice the very same.
    Without either, all rows seen are returned, unsettled.

    Raises:
        Refused, Transient: whatever reading a page raises.
    """
    seen: dict[str, Allocation] = {}
    reads = 0
    before: _Pass | None = None
    this = await _pass(client_page, tenant, first, together)
    for left in reversed(range(max(attempts, 1))):
        reads += this.reads
        users = _newest({}, this.rows)
        if _settled(this, len(users), before):
            return Walk(tuple(users.values()), this.summary, True, reads)
        _newest(seen, this.rows)
        # A pass cut short at MAX_PAGES would only cost the same again.
        if left == 0 or not this.whole:
            break
        before, this = this, await _pass(client_page, tenant, None, together)
    return Walk(tuple(seen.values()), this.summary, False, reads)


async def _pass(client_page: ReadPage, tenant: str, first: AllocationsPage | None, together: Together) -> _Pass:
    rows: list[Allocation] = []
    reads = 0
    still = True
    last: AllocationsPage | None = None
    upcoming: list[AllocationsPage] = []
    if first is not None and _is_first(first):
        upcoming.append(first)
    number = 0
    while True:
        number += 1
        if not upcoming:
            till = 1 if last is None else min(number + AT_ONCE - 1, last.total_pages, MAX_PAGES)
            numbers = range(number, max(till, number) + 1)
            upcoming = await together([client_page(tenant, page=one, limit=PAGE_SIZE, status="all") for one in numbers])
            reads += len(upcoming)
        page = upcoming.pop(0)
        still = still and (last is None or page.summary == last.summary)
        repeated = last is not None and bool(page.rows) and page.rows == last.rows
        if not repeated:
            rows.extend(page.rows)
        # Three ways out, because hasNextPage alone may never turn false.
        if repeated or not page.rows or not page.has_next or number >= page.total_pages:
            return _Pass(rows, page.summary, still, True, number, reads)
        if number == MAX_PAGES:
            return _Pass(rows, page.summary, still, False, number, reads)
        last = page


def _is_first(page: AllocationsPage) -> bool:
    """Not a smaller or later page, after which page 2 would leave a gap."""
    return page.page == 1 and (not page.has_next or len(page.rows) == PAGE_SIZE)


def _settled(this: _Pass, users: int, before: _Pass | None) -> bool:
    if not (this.still and this.whole):
        return False
    if users == this.summary.total:
        return True
    if not len(this.rows) == len(set(this.rows)) == this.summary.total:
        return False
    return this.pages == 1 or (before is not None and (before.rows, before.summary) == (this.rows, this.summary))


def _newest(users: dict[str, Allocation], rows: Iterable[Allocation]) -> dict[str, Allocation]:
    for row in rows:
        known = users.get(row.user)
        if known is None or (row.at, row.active) >= (known.at, known.active):
            users[row.user] = row
    return users
