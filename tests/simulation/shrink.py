"""The shortest schedule that still fails: actions and faults are left out for as long as the failure stays."""

from collections.abc import Sequence
from typing import TypeVar

from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Result, simulate
from tests.simulation.weather import Key

T = TypeVar("T")


def shrink(failed: Result, most_runs: int = 400) -> Result:
    """A run of the same seed that fails in the same way, with as little happening as could be found."""
    runs = 0
    best = failed
    skipped: frozenset[int] = frozenset()
    mended: frozenset[Key] = frozenset()

    def fails(skip: frozenset[int], mend: frozenset[Key]) -> Result | None:
        nonlocal runs
        runs += 1
        result = simulate(failed.seed, skipped=skip, mended=mend)
        return result if result.failure and _kind(result.failure) == _kind(failed.failure or "") else None

    progress = True
    while progress and runs < most_runs:
        progress = False
        actions = [action.number for action in Scenario.of(failed.seed).actions if action.number not in skipped]
        for some in _parts(actions):
            if runs < most_runs and (found := fails(skipped | set(some), mended)):
                best, skipped, progress = found, skipped | set(some), True
        for faults in _parts(list(best.struck)):
            if runs < most_runs and (found := fails(skipped, mended | set(faults))):
                best, mended, progress = found, mended | set(faults), True
    return simulate(failed.seed, skipped=skipped, mended=mended, tracing=True)


def _kind(failure: str) -> str:
    """A failure without its names and numbers."""
    return " ".join(word for word in failure.split() if not any(char.isdigit() for char in word))[:60]


def _parts(things: Sequence[T]) -> list[list[T]]:
    """Halves, quarters and so on, down to single things: larger parts are tried first."""
    parts: list[list[T]] = []
    size = len(things)
    while size >= 1:
        parts += [list(things[start : start + size]) for start in range(0, len(things), size)]
        size //= 2
    return parts
