"""Virtual time, and who goes next in it.

Every coroutine of the simulation gives way by ``await pause(delay)`` at each point where a real one would wait for the
outside. The kernel resumes whichever is due first. There is no event loop: that keeps a step at a few microseconds, and
nothing but the seed decides the order.
"""

import heapq
import random
import zlib
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any

from worker.core.times import SECOND

START = 1_780_000_000 * SECOND


class Crash(BaseException):
    """Ends the process in which it is raised, as SIGKILL would: nothing in it gets to react."""


@coroutine
def pause(delay: int) -> Generator[int, None, None]:
    """Let ``delay`` microseconds pass; others go meanwhile."""
    yield delay


def stream(*names: object) -> random.Random:
    """The stream of chance that belongs to these names: the same in every run, and unlike that of any others."""
    return random.Random(zlib.crc32(repr(names).encode()) | len(names) << 32)


@dataclass(eq=False, slots=True)
class Process:
    """What is started, stopped, crashes and stands still as one; only what is ``mortal`` does. ``drift`` is how fast
    its clock goes. ``works`` marks workers, whose every pair of steps is counted."""

    name: str
    drift: float = 1.0
    mortal: bool = False
    works: bool = False
    alive: bool = True
    stopped_until: int = 0
    lives: int = 1
    tasks: "set[Task]" = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Task:
    """One line of work. ``steps`` counts what it has asked of the outside, ``last`` is the latest of that."""

    name: str
    process: Process
    work: Coroutine[Any, Any, Any]
    chance: random.Random
    entry: int = 0
    steps: int = 0
    last: str = "begin"
    done: bool = False
    held: bool = False
    about: dict[str, Any] = field(default_factory=dict)


class Kernel:
    """The clock and the tasks."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = START
        self.current: Task | None = None
        self.ran = 0
        self._chance = stream(seed, "kernel")
        self._waiting: list[tuple[int, float, int, Task]] = []
        self._entries = 0
        self.on_crash: Callable[[Process], None] = lambda process: None

    def spawn(self, process: Process, name: str, work: Coroutine[Any, Any, Any], delay: int = 0) -> Task:
        """Begin a line of work in a process, ``delay`` from now."""
        task = Task(name, process, work, stream(self.seed, name))
        process.tasks.add(task)
        self._push(task, self.now + delay)
        return task

    def wake(self, task: Task) -> None:
        """Have a task go on now, whatever it was waiting for."""
        if not task.done:
            self._push(task, self.now)

    def cancel(self, task: Task) -> None:
        """End a line of work where it stands."""
        if not task.done:
            task.done = True
            task.process.tasks.discard(task)
            task.work.close()

    def go_on(self, process: Process) -> None:
        """Let a process that stands still go on."""
        process.stopped_until = 0
        for task in process.tasks:
            if task.held:
                self.wake(task)

    def crash(self, process: Process) -> None:
        """End a process: its tasks are gone, where they stood."""
        if process.alive:
            process.alive = False
            for task in list(process.tasks):
                self.cancel(task)
            self.on_crash(process)

    def run(self, until: int) -> None:
        """Let time pass up to an instant."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until:
            at, _, entry, task = heapq.heappop(waiting)
            if task.done or task.entry != entry:
                continue
            if task.process.stopped_until > at:
                self._push(task, task.process.stopped_until)
                task.held = True
                continue
            task.held = False
            self.now = max(self.now, at)
            self.step(task)
        self.now = max(self.now, until)

    def close(self) -> None:
        """End everything that has not come to its end."""
        for _, _, _, task in self._waiting:
            self.cancel(task)

    def step(self, task: Task) -> None:
        """Let one task go on to its next point."""
        self.ran += 1
        self.current = task
        try:
            delay = task.work.send(None)
        except StopIteration:
            task.done = True
            task.process.tasks.discard(task)
        except Crash:
            task.done = True
            self.crash(task.process)
        else:
            self._push(task, self.now + delay)
        finally:
            self.current = None

    def _push(self, task: Task, at: int) -> None:
        self._entries += 1
        task.entry = self._entries
        heapq.heappush(self._waiting, (at, self._chance.random(), self._entries, task))
