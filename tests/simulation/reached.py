"""What a batch of runs reached: a simulator that never gets somewhere proves nothing about it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.simulation import Result
from tests.simulation.weather import Fault
from worker.core.alerts import AlertKind
from worker.core.journal import NoteKind
from worker.core.tenant import Rule
from worker.core.upgrade import MOVES, Closing, State

OTHERS_TELL = {
    AlertKind.UNMATCHED_PAYMENT: "the fleet's watch tells of it, which is no part of reconciling",
    AlertKind.DEAD_LETTER: "the fleet's watch tells of it",
    AlertKind.STATE_LOST: "the fleet's watch tells of it",
    AlertKind.UNREADABLE_FACTS: "the store in memory keeps values, not bytes",
    AlertKind.TOO_OLD_FACTS: "needs a lifetime of tombstones, which runs of a day don't see the end of",
    AlertKind.ROSTER_REFUSED: "needs more than ten users",
    AlertKind.FULL_SOON: "needs growth over days",
    AlertKind.CREDITS_EXHAUSTED: "the model's credits never change",
    AlertKind.CREDITS_EXPIRING: "the model's credits never change",
}
"""Alerts that no run can reach, and why; the tests of the core and of the fleet's watch reach them."""

RARE_PAIR = 400
"""A pair of steps that was taken fewer times than this per thousand runs need not have met every fault."""


@dataclass(slots=True)
class Reached:
    """The sums of many runs."""

    runs: int = 0
    steps: int = 0
    accepted: int = 0
    doubled: int = 0
    moves: Counter[tuple[State | None, State]] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    between: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            self.runs += 1
            self.steps += result.steps
            self.accepted += result.accepted
            self.doubled += result.doubled
            self.moves.update(result.moves)
            self.seen.update(result.reached)
            self.pairs.update(result.pairs)
            self.between.update(result.between)

    def missing(self) -> list[str]:
        """Everything that was to be reached and was not."""
        found = [f"state {state}" for state in State if not any(move[1] is state for move in self.moves)]
        found += [
            f"move {before} to {after}"
            for before in MOVES
            for after in MOVES[before] - NEVER_MOVES.get(before, frozenset())
            if not self.moves[before, after]
        ]
        found += [f"rule {rule}" for rule in Rule if rule not in NEVER_RULES and not self.seen[f"rule {rule}"]]
        found += [f"closing {why}" for why in Closing if why and not self.seen[f"closing {why}"]]
        found += [f"alert {kind}" for kind in AlertKind if kind not in OTHERS_TELL and not self._told(kind)]
        found += [f"note {kind}" for kind in NoteKind if kind not in NEVER_NOTES and not self.seen[f"note {kind}"]]
        for (before, after), count in self.pairs.items():
            if count * 1000 >= RARE_PAIR * self.runs:
                found += [f"{fault} between {before} and {after}" for fault in self._unmet(before, after)]
        return found

    def _told(self, kind: AlertKind) -> int:
        return self.seen[f"alert {kind} raised"]

    def _unmet(self, before: str, after: str) -> list[Fault]:
        return [fault for fault in Fault if not self.between[before, after, fault]]


NEVER_MOVES = {
    State.REQUESTING: frozenset({State.EXPIRED}),
    State.INVOICED: frozenset({State.EXPIRED, State.FAILED}),
}
"""Moves that would be legal, and that nothing brings about: no event names a session before the answer does, and an
invoice neither expires nor fails."""

NEVER_RULES = {Rule.ROSTER_REFUSED, Rule.WAITS_FOR_SWEEP}
NEVER_NOTES = {NoteKind.UNREADABLE, NoteKind.TOO_OLD}
