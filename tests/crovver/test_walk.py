"""Walking all pages while seats may change underneath."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.allocation import Allocation, Summary
from worker.crovver.errors import Transient
from worker.crovver.results import AllocationsPage
from worker.crovver.walk import (
    AT_ONCE,
    MAX_PAGES,
    PAGE_SIZE,
    Together,
    Walk,
    at_the_same_time,
    one_after_another,
    walk,
)


def users(count: int) -> list[Allocation]:
    return [Allocation(f"u{number:05}", True, number + 1) for number in range(count)]


Changes = dict[int, Callable[[list[Allocation]], None]]


class Seats:
    """A Crovver whose seats change after given reads."""

    def __init__(self, rows: list[Allocation], changes: Changes | None = None) -> None:
        self.rows = rows
        self.changes = changes or {}
        self.reads = 0

    async def page(
        self, tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage:
        assert (tenant, limit, status) == ("t", PAGE_SIZE, "all")
        self.reads += 1
        answer = self.peek(page)
        if self.reads in self.changes:
            self.changes[self.reads](self.rows)
        return answer

    def peek(self, page: int) -> AllocationsPage:
        pages = -(-len(self.rows) // PAGE_SIZE)
        active = sum(row.active for row in self.rows)
        summary = Summary(active, 1000, False, len(self.rows))
        shown = tuple(self.rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE])
        return AllocationsPage(shown, summary, page, pages, page < pages)


def go(seats: Seats, first: AllocationsPage | None = None, attempts: int = 3) -> Walk:
    return asyncio.run(walk(seats.page, "t", first=first, attempts=attempts))


@pytest.mark.parametrize(("count", "reads"), [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_a_still_tenant_is_read_once_and_settled(count: int, reads: int) -> None:
    done = go(Seats(users(count)))
    assert (len(done.rows), done.settled, done.reads) == (count, True, reads)
    assert done.summary.total == count


def test_a_first_page_already_read_is_not_read_again() -> None:
    seats = Seats(users(250))
    assert go(seats, first=seats.peek(1)).reads == 2


def test_a_first_page_of_another_size_is_not_built_upon() -> None:
    seats = Seats(users(250))
    small = AllocationsPage(tuple(seats.rows[:1]), seats.peek(1).summary, 1, 250, True)
    done = go(seats, first=small)
    assert (len(done.rows), done.settled, done.reads) == (250, True, 3)


def test_a_first_page_gone_stale_is_noticed() -> None:
    seats = Seats(users(250))
    stale = seats.peek(1)
    seats.rows.insert(0, Allocation("new", True, 9999))
    done = go(seats, first=stale)
    assert (len(done.rows), done.settled) == (251, True)


def test_seats_that_move_between_pages_are_walked_again() -> None:
    def slip(rows: list[Allocation]) -> None:
        del rows[0]

    done = go(Seats(users(250), {1: slip}))
    assert done.settled
    assert {row.user for row in done.rows} == {f"u{number:05}" for number in range(1, 250)}
    assert done.reads == 6


def test_a_swap_that_keeps_the_numbers_is_noticed_by_the_users_that_do_not_add_up() -> None:
    def swap(rows: list[Allocation]) -> None:
        rows.append(rows.pop(0))

    done = go(Seats(users(250), {1: swap}))
    assert done.settled
    assert len(done.rows) == 250
    assert done.reads == 6


def test_seats_that_never_hold_still_end_unsettled_with_all_that_was_seen() -> None:
    def join(rows: list[Allocation]) -> None:
        rows.insert(0, Allocation(f"new{len(rows)}", True, 9999))

    seats = Seats(users(250), dict.fromkeys(range(1, 100), join))
    done = go(seats)
    assert not done.settled
    assert done.reads == 9
    assert {f"u{number:05}" for number in range(250)} <= {row.user for row in done.rows}
    assert done.summary.total == 250 + 8


@pytest.mark.parametrize(
    ("pair", "wins"),
    [
        ((Allocation("u", True, 1), Allocation("u", False, 2)), Allocation("u", False, 2)),
        ((Allocation("u", False, 2), Allocation("u", True, 1)), Allocation("u", False, 2)),
        ((Allocation("u", False, 2), Allocation("u", True, 2)), Allocation("u", True, 2)),
        ((Allocation("u", True, 2), Allocation("u", False, 2)), Allocation("u", True, 2)),
    ],
)
def test_of_a_user_seen_twice_the_newest_row_stays_active_winning_a_tie(
    pair: tuple[Allocation, Allocation], wins: Allocation
) -> None:
    assert go(Seats(list(pair))).rows == (wins,)


def test_past_allocations_listed_beside_present_ones_settle_when_two_passes_agree() -> None:
    past = [Allocation(f"u{number:05}", False, 0) for number in range(30)]
    done = go(Seats(users(150) + past))
    assert done.settled
    assert len(done.rows) == 150
    assert all(row.active for row in done.rows)
    assert done.reads == 4


def endless(rows: Callable[[int], tuple[Allocation, ...]], total: int, total_pages: int) -> Walk:
    async def page(
        tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage:
        return AllocationsPage(rows(page), Summary(1, 1, False, total), page, total_pages, True)

    return asyncio.run(walk(page, "t", attempts=2))


def test_a_page_that_repeats_ends_the_walk() -> None:
    done = endless(lambda _: (Allocation("u", True, 1),), 500, 10**9)
    assert (done.settled, done.reads, len(done.rows)) == (False, 2 * (1 + AT_ONCE), 1)


def test_an_empty_page_ends_the_walk() -> None:
    assert endless(lambda _: (), 500, 10**9).reads == 2


def test_pages_are_read_a_few_at_a_time_and_no_more() -> None:
    seats, under_way, most = Seats(users(1050)), 0, 0

    async def page(
        tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        found = await seats.page(tenant, page=page, limit=limit, status=status)
        under_way -= 1
        return found

    done = asyncio.run(walk(page, "t", together=at_the_same_time))
    assert (done.settled, done.reads, len(done.rows), most) == (True, 11, 1050, AT_ONCE)
    assert [row.user for row in done.rows] == [row.user for row in users(1050)]


@pytest.mark.parametrize("way", [at_the_same_time, one_after_another])
def test_where_one_page_fails_those_beside_it_are_called_off(way: Together) -> None:
    ended: list[int] = []

    async def page(
        tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage:
        if page == 2:
            raise Transient(tenant=tenant, endpoint="allocations", message="down")
        if page > 2:
            await asyncio.sleep(60)
        ended.append(page)
        return AllocationsPage((Allocation(f"u{page}", True, 1),), Summary(1, 1, False, 500), page, 5, True)

    with pytest.raises(Transient):
        asyncio.run(walk(page, "t", together=way))
    assert ended == [1]


def test_has_next_page_that_never_turns_false_ends_at_the_total_pages() -> None:
    assert endless(lambda page: (Allocation(str(page), True, 1),), 5, 5).settled


def test_no_walk_reads_more_than_the_most_pages() -> None:
    done = endless(lambda page: (Allocation(str(page), True, 1),), 10**6, 10**6)
    assert (done.settled, done.reads) == (False, MAX_PAGES)


def test_a_page_that_cannot_be_read_ends_the_walk_with_its_error() -> None:
    async def page(
        tenant: str, *, page: int, limit: int, status: Literal["active", "removed", "all"]
    ) -> AllocationsPage:
        raise Transient(tenant=tenant, endpoint="allocations", message="down")

    with pytest.raises(Transient):
        asyncio.run(walk(page, "t"))


@given(
    count=st.integers(0, 450),
    moves=st.dictionaries(st.integers(1, 12), st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=5),
)
def test_a_settled_walk_holds_exactly_the_users_there_are(count: int, moves: dict[int, tuple[bool, int]]) -> None:
    def change(join: bool, where: int, name: int) -> Callable[[list[Allocation]], None]:
        def apply(rows: list[Allocation]) -> None:
            place = where % (len(rows) + 1)
            if join:
                rows.insert(place, Allocation(f"new{name}", True, 10**6))
            elif rows:
                row = rows[place - 1]
                rows[place - 1] = Allocation(row.user, not row.active, row.at + 10**6)

        return apply

    seats = Seats(users(count), {read: change(*move, read) for read, move in moves.items()})
    done = go(seats)
    known = {row.user for row in done.rows}
    assert known <= {row.user for row in seats.rows}
    # A change after the last read is no business of this walk.
    if done.settled and not any(read >= seats.reads for read in moves):
        assert known == {row.user for row in seats.rows}
        assert {row.user for row in done.rows if row.active} == {row.user for row in seats.rows if row.active}
