"""Read all of a tenant's allocations, and know whether they held still meanwhile."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from worker.core.allocation import Allocation, Summary
from worker.crovver.results import AllocationsPage

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 2_000


class ReadPage(Protocol):
    """``CrovverClient.allocations_page``, or whatever stands in for it."""

    async def __call__(
        self, tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage: ...


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


async def walk(client_page: ReadPage, tenant: str, *, first: AllocationsPage | None = None, attempts: int = 3) -> Walk:
    """Read the pages one after another, again where they moved underneath, ``attempts`` times at most.

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
    this = await _pass(client_page, tenant, first)
    for left in reversed(range(max(attempts, 1))):
        reads += this.reads
        users = _newest({}, this.rows)
        if _settled(this, len(users), before):
            return Walk(tuple(users.values()), this.summary, True, reads)
        _newest(seen, this.rows)
        # A pass cut short at MAX_PAGES would only cost the same again.
        if left == 0 or not this.whole:
            break
        before, this = this, await _pass(client_page, tenant, None)
    return Walk(tuple(seen.values()), this.summary, False, reads)


async def _pass(client_page: ReadPage, tenant: str, first: AllocationsPage | None) -> _Pass:
    rows: list[Allocation] = []
    reads = 0
    still = True
    number = 1
    last: AllocationsPage | None = None
    while True:
        if number == 1 and first is not None and _is_first(first):
            page = first
        else:
            page = await client_page(tenant, page=number, limit=PAGE_SIZE, status="all")
            reads += 1
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
        number += 1


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
