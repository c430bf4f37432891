"""Group commit: who waits for a write goes with the others in the next one, and gets an answer of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from worker.store import group_commit
from worker.store.group_commit import GroupCommit


class Pen:
    """Writes when it is told to, one group after another; answers each item with itself, ten times as large."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gates: list[asyncio.Future[None]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return [10 * item for item in items]


async def settled() -> None:
    """Let everything go on that can."""
    for _ in range(5):
        await asyncio.sleep(0)


def play(scene: Callable[[Pen, GroupCommit[int, int]], Awaitable[None]]) -> None:
    async def main() -> None:
        pen = Pen()
        async with asyncio.timeout(10):
            await scene(pen, GroupCommit(pen))

    asyncio.run(main())


def test_one_alone_is_written_at_once_without_a_task_of_its_own() -> None:
    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        tasks = len(asyncio.all_tasks())
        first = asyncio.create_task(group.commit(1))
        await settled()
        assert (pen.groups, len(asyncio.all_tasks())) == ([[1]], tasks + 1)
        pen.gates[0].set_result(None)
        assert await first == 10

    play(scene)


def test_what_comes_meanwhile_goes_together_in_its_order_and_each_gets_its_own_answer() -> None:
    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        callers = [asyncio.create_task(group.commit(number)) for number in range(1, 6)]
        await settled()
        assert pen.groups == [[1]]
        pen.gates[0].set_result(None)
        await settled()
        assert pen.groups == [[1], [2, 3, 4, 5]]
        late = asyncio.create_task(group.commit(6))
        await settled()
        pen.gates[1].set_result(None)
        await settled()
        pen.gates[2].set_result(None)
        assert await asyncio.gather(*callers, late) == [10, 20, 30, 40, 50, 60]
        assert pen.groups[2:] == [[6]]
        again = asyncio.create_task(group.commit(7))
        await settled()
        pen.gates[3].set_result(None)
        assert await again == 70, "and alone again, at once"

    play(scene)


def test_a_group_that_fails_fails_for_all_in_it_and_for_nobody_else() -> None:
    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        first, second, third = (asyncio.create_task(group.commit(number)) for number in (1, 2, 3))
        await settled()
        pen.gates[0].set_result(None)
        await settled()
        fourth = asyncio.create_task(group.commit(4))
        await settled()
        pen.gates[1].set_exception(OSError("gone"))
        await settled()
        pen.gates[2].set_result(None)
        answers = await asyncio.gather(first, second, third, fourth, return_exceptions=True)
        assert [type(answer) for answer in answers] == [int, OSError, OSError, int]

    play(scene)


def test_where_the_first_one_fails_those_who_waited_are_written_all_the_same() -> None:
    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        first, second = asyncio.create_task(group.commit(1)), asyncio.create_task(group.commit(2))
        await settled()
        pen.gates[0].set_exception(OSError("gone"))
        await settled()
        pen.gates[1].set_result(None)
        assert await second == 20
        with pytest.raises(OSError, match="gone"):
            await first

    play(scene)


@pytest.mark.parametrize("who", ["the first", "one that waits", "one that is being written"])
def test_one_that_is_cancelled_leaves_the_others_alone(who: str) -> None:
    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        callers = [asyncio.create_task(group.commit(number)) for number in (1, 2, 3)]
        await settled()
        if who == "the first":
            callers[0].cancel()
        elif who == "one that waits":
            callers[1].cancel()
        await settled()
        if not pen.gates[0].done():
            pen.gates[0].set_result(None)
        await settled()
        if who == "one that is being written":
            callers[1].cancel()
            await settled()
        pen.gates[1].set_result(None)
        answers = await asyncio.gather(*callers, return_exceptions=True)
        gone = 0 if who == "the first" else 1
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [at == gone for at in range(3)]
        assert [answer for answer in answers if isinstance(answer, int)] == [
            10 * (at + 1) for at in range(3) if at != gone
        ]
        assert pen.groups == ([[1], [3]] if who == "one that waits" else [[1], [2, 3]])

    play(scene)


def test_a_write_that_hangs_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GATHER_SECONDS", 0.001)

    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        stuck = asyncio.create_task(group.commit(1))
        await settled()
        others = [asyncio.create_task(group.commit(number)) for number in (2, 3)]
        await asyncio.sleep(0.05)
        pen.gates[1].set_result(None)
        assert await asyncio.gather(*others) == [20, 30]
        assert not stuck.done()
        pen.gates[0].set_result(None)
        assert await stuck == 10

    play(scene)


def test_a_group_has_a_bound_and_so_has_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(group_commit, "MOST_WAITING", 3)

    async def scene(pen: Pen, group: GroupCommit[int, int]) -> None:
        callers = [asyncio.create_task(group.commit(number)) for number in range(1, 6)]
        await settled()
        assert pen.groups == [[1], [5]], "one too many goes by itself"
        for _ in range(5):
            for gate in pen.gates:
                if not gate.done():
                    gate.set_result(None)
            await settled()
        assert await asyncio.gather(*callers) == [10, 20, 30, 40, 50]
        assert max(map(len, pen.groups)) == 2
        assert sorted(number for written in pen.groups for number in written) == [1, 2, 3, 4, 5]

    play(scene)
