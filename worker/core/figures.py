"""Figures: a tenant's past, or an imagined one, in a few numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from worker.core.alerts import AlertKind

COUNTED_ALERTS = frozenset(AlertKind) - {
    AlertKind.CREDITS_LOW,
    AlertKind.CREDITS_EXHAUSTED,
    AlertKind.CREDITS_EXPIRING,
    AlertKind.PAID_FOR_NOTHING,
    AlertKind.UNMATCHED_PAYMENT,
    AlertKind.FOREIGN_PAYMENT,
    AlertKind.UNREADABLE_FACTS,
    AlertKind.TOO_OLD_FACTS,
    AlertKind.DEAD_LETTER,
    AlertKind.STATE_LOST,
}
"""Alerts about seats and what is done for them: those that another policy changes in a way that can be told."""


@dataclass(frozen=True, slots=True)
class Figures:
    """``alerts`` counts raised ones by kind. ``short`` is how long more seats were needed than paid for (microseconds),
    ``seats_short`` and ``seats_unused`` are seats times microseconds. ``peak`` is the highest need in percent of the
    capacity, ``capacity`` the last one; both are None where no capacity was ever known."""

    checkouts: int = 0
    seats: int = 0
    alerts: Mapping[str, int] = field(default_factory=dict)
    short: int = 0
    seats_short: int = 0
    seats_unused: int = 0
    peak: float | None = None
    capacity: int | None = None


def total(figures: Iterable[Figures]) -> Figures:
    """Those of several tenants together: sums, and the highest of the peaks."""
    found = list(figures)
    alerts: Counter[str] = Counter()
    for one in found:
        alerts.update(one.alerts)
    return Figures(
        checkouts=sum(one.checkouts for one in found),
        seats=sum(one.seats for one in found),
        alerts=dict(sorted(alerts.items())),
        short=sum(one.short for one in found),
        seats_short=sum(one.seats_short for one in found),
        seats_unused=sum(one.seats_unused for one in found),
        peak=max((one.peak for one in found if one.peak is not None), default=None),
        capacity=sum(one.capacity for one in found if one.capacity is not None) if found else None,
    )


class Meter:
    """Adds need and capacity up over time. Each stands until the next is told."""

    def __init__(self, at: int) -> None:
        self.short = self.seats_short = self.seats_unused = 0
        self.peak: float | None = None
        self.capacity: int | None = None
        self._at, self._needed = at, 0

    def run(self, until: int) -> None:
        """Let time pass."""
        length, self._at = until - self._at, until
        if self.capacity is None or length <= 0:
            return
        free = self.capacity - self._needed
        self.short += length if free < 0 else 0
        self.seats_short += length * max(0, -free)
        self.seats_unused += length * max(0, free)

    def stand(self, needed: int, capacity: int | None) -> None:
        """What is the case from now on."""
        self._needed, self.capacity = needed, capacity
        if capacity is not None:
            percent = 100 * needed / capacity if capacity else 100.0 * bool(needed)
            self.peak = max(self.peak or 0.0, percent)

    def figures(self, checkouts: int, seats: int, kinds: Iterable[str]) -> Figures:
        """The sums so far, with what was counted beside them."""
        alerts = Counter(kind for kind in kinds if kind in COUNTED_ALERTS)
        return Figures(
            checkouts, seats, dict(sorted(alerts.items())), self.short, self.seats_short, self.seats_unused, self.peak,
            self.capacity,
        )  # fmt: skip
