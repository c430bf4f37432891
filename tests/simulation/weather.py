"""What goes wrong, and when: faults that strike single operations, decided by the seed alone."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.kernel import Kernel, Task, stream
from worker.core.times import HOUR, MINUTE, SECOND


class Fault(StrEnum):
    """What may befall an operation that is asked of the outside."""

    REFUSED = "refused"
    """It is not done, and whoever asked is told so."""
    LOST = "lost"
    """It is done, but the reply is lost."""
    LATE = "late"
    """Whoever asked has given up when it is done."""
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    """The process ends before it has asked, or after, before it has the reply."""
    STALL_BEFORE = "stall_before"
    STALL_AFTER = "stall_after"
    """The process stands still there for a while, and knows nothing of that when it goes on."""


FOCUS = (
    "", "", "", *4 * ("proration_checkout",), "commit", "append", "load", "resume", "finish",
    "link_checkout", "parked_for", "unpark", "post_alerts", "allocations_page", "stripe get", "stripe find",
    "stripe expire", "bulk_allocate", "take_rate", "claim_due", "renew", "trim_journal", "standing", "whole_roster",
    "entries",
)  # fmt: skip
"""Operations that a run may have fail far more often than the rest."""

FOCUS_RATE = 0.25

CRASHES = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER})
STALLS = frozenset({Fault.STALL_BEFORE, Fault.STALL_AFTER})
Key = tuple[str, int]
"""Names one thing that went wrong: the task, and which of its steps it was."""


@dataclass(slots=True)
class Weather:
    """Which faults this run knows, how often they strike, and those that did.

    ``mended`` are left out: so that a failure can be tried again with fewer of them.
    """

    kernel: Kernel
    rate: float
    kinds: tuple[Fault, ...]
    mended: frozenset[Key] = frozenset()
    focus: str = ""
    calm: bool = False
    struck: dict[Key, str] = field(default_factory=dict)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    between: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, kernel: Kernel, seed: int, mended: frozenset[Key]) -> "Weather":
        chance = stream(seed, "weather")
        kinds = tuple(fault for fault in Fault if chance.random() < 0.6)
        rate = chance.choice([0.0, 0.01, 0.03, 0.08]) if kinds else 0.0
        return cls(kernel, rate, kinds, mended, chance.choice(FOCUS))

    def strikes(self, task: Task, operation: str) -> Fault | None:
        """What goes wrong with the operation that a task is about to ask for; None: nothing."""
        task.steps += 1
        between = (task.last, operation)
        if task.process.works and not self.calm:
            self.pairs[between] += 1
        task.last = operation
        rate = FOCUS_RATE if operation == self.focus else self.rate
        if rate == 0.0 or self.calm or not self.kinds or task.chance.random() >= rate:
            return None
        fault = task.chance.choice(self.kinds)
        if fault in CRASHES or fault in STALLS:
            if not task.process.mortal:
                return None
            if task.process.lives > 12:
                return None
        key = (task.name, task.steps)
        if key in self.mended:
            return None
        self.struck[key] = f"{fault} at {operation}"
        if task.process.works:
            self.between[(*between, fault)] += 1
        return fault

    def stall(self, task: Task) -> None:
        """Have a task's process stand still: now and then for longer than leases and claims last."""
        wait = task.chance.choice([SECOND, 10 * SECOND, 30 * SECOND, 70 * SECOND, 4 * MINUTE, 40 * MINUTE])
        if not self.calm:
            task.process.stopped_until = self.kernel.now + wait

    def late_by(self, task: Task) -> int:
        """How much later than its caller's patience an operation is done."""
        return task.chance.choice([0, SECOND, 20 * SECOND, 2 * MINUTE])

    def slow(self, task: Task) -> int:
        """How long an undisturbed operation takes: mostly a moment, seldom seconds."""
        chance = task.chance.random()
        return 100 + int(chance * chance * 4000) if chance < 0.99 or self.calm else int(chance * 3 * SECOND)


LONGEST_APPLY = 2 * HOUR
