"""What subjects are written against: ``Bench`` runs variants in turn, in a number of rounds, on pinned processes.

A subject is a module with ``NAME`` and ``run``:

>>> def run(bench: Bench) -> list[Figure]:
...     with bench.valkey() as server, bench.seats("worker", SEATS_REDIS_URL=server.url) as worker:
...         return bench.compare("events/s taken in", {"ours": ours, "bare": bare}, unit="events/s", against=["bare"])
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tests.benchmarks import processes
from tests.benchmarks.figures import Figure, Goal, Ratio, figure
from tests.benchmarks.machine import NoiseMeter
from tests.benchmarks.processes import Fsync, Process, Valkey, pinned

__all__ = ["Bench", "Figure", "Fsync", "Goal", "Process", "Ratio", "Skipped", "Valkey", "figure", "pinned"]

ROUNDS = 5
SMALL_ROUNDS = 2

T = TypeVar("T")


class Skipped(Exception):
    """Something can't be measured here; the text says why, and what to do about it."""


class Bench:
    """How to measure: in so many rounds, all of it or (``small``) just enough to see that it works.

    ``work_core`` is for what is measured, ``server_core`` for the Valkey and whatever else stands in for the world
    outside. On a machine with one core they are the same.
    """

    def __init__(self, *, rounds: int | None = None, small: bool = False, say: Callable[[str], None] = print) -> None:
        self.small = small
        self.rounds = rounds or (SMALL_ROUNDS if small else ROUNDS)
        cores = sorted(os.sched_getaffinity(0))
        self.work_core, self.server_core = cores[0], cores[-1]
        self.noise = NoiseMeter()
        self.skipped: dict[str, str] = {}
        self.say = say

    def pick(self, full: T, small: T) -> T:
        """One of two sizes."""
        return small if self.small else full

    def valkey(self, fsync: Fsync = "everysec") -> contextlib.AbstractContextManager[Valkey]:
        """A Valkey of its own, on the server core."""
        return processes.valkey(fsync, core=self.server_core)

    def started(
        self, *command: str, core: int | None = None, settings: Mapping[str, str] | None = None
    ) -> contextlib.AbstractContextManager[Process]:
        """A Python module with its arguments as a process, on the work core unless told otherwise."""
        return processes.started(command, core=self.work_core if core is None else core, settings=settings)

    def seats(self, *command: str, **settings: str) -> contextlib.AbstractContextManager[Process]:
        """``seats web``, ``worker`` or ``scheduler`` as a process on the work core, with settings such as
        ``SEATS_REDIS_URL``."""
        return self.started("worker.cli", *command, settings=settings)

    def skip(self, what: str, why: object) -> None:
        """Note that something was not measured."""
        self.skipped[what] = str(why)
        self.say(f"  {what}: not measured, {why}")

    def interleave(self, variants: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """What each variant gave, round by round.

        All of them run once a round, each round beginning with another one. A variant that raises ``Skipped`` is left
        out from then on.
        """
        results: dict[str, list[T]] = {name: [] for name in variants}
        for number in range(self.rounds):
            names = list(results)
            first = number % max(len(names), 1)
            for name in [*names[first:], *names[:first]]:
                self.noise.tick()
                try:
                    results[name].append(variants[name]())
                except Skipped as reason:
                    self.skip(name, reason)
                    del results[name]
        self.noise.tick()
        return results

    def compare(
        self,
        group: str,
        variants: Mapping[str, Callable[[], float]],
        *,
        unit: str,
        against: Iterable[str] = (),
        goals: Mapping[str, Mapping[str, Goal]] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> list[Figure]:
        """Run the variants in turn; one figure for each, in the order given.

        ``against`` names the variants that every other one is divided by, ``goals`` says for a variant which of these
        ratios it must reach.
        """
        samples = self.interleave(variants)
        return self.figures(group, samples, unit=unit, against=against, goals=goals, notes=notes)

    def figures(
        self,
        group: str,
        samples: Mapping[str, Sequence[float]],
        *,
        unit: str,
        against: Iterable[str] = (),
        goals: Mapping[str, Mapping[str, Goal]] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> list[Figure]:
        """The figures of samples that were taken in turn, as ``interleave`` gives them."""
        found = []
        others = [name for name in against if name in samples]
        for name, values in samples.items():
            rivals = {other: samples[other] for other in others if other != name}
            wanted = (goals or {}).get(name)
            found.append(
                figure(group, name, values, unit, against=rivals, goals=wanted, note=(notes or {}).get(name, ""))
            )
        return found
