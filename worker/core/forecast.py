"""Forecast: how fast a tenant's need grows, and when its seats will be full at that rate.

It rests on one number a day, the seats needed at the day's last decision, kept for two weeks in the tenant's record:
a burst of events may push old notes out of the journal, and must not make the forecast forget.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from worker.core.times import DAY

DAYS_KEPT = 15
LEAST_DAYS = 3
"""A rate is told from three days on: what happens on a tenant's first day says little of its second."""

Sample = tuple[int, int]
"""A day (whole days since the epoch, UTC) and the seats needed at its end."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seats added per day, and days until no seat is free (None: not in sight, as need does not grow).

    ``days_of_growth`` says on how many days need grew: one import is no pace.
    """

    per_day: float
    days_left: float | None
    days_of_growth: int = 0


def remember(growth: Sequence[Sample], needed: int, now: int) -> tuple[Sample, ...]:
    """The samples with today's brought up to date."""
    today = now // DAY
    start = today - DAYS_KEPT + 1
    past = {max(day, start): value for day, value in growth if day < today}
    return (*sorted(past.items()), (today, needed))


def forecast(growth: Sequence[Sample], capacity: int, now: int) -> Forecast | None:
    """The growth of the last two weeks as a least-squares line; None where fewer than three days are known.

    A day without a sample had none to tell: the number before it stood.
    """
    if not growth:
        return None
    first, today = growth[0][0], now // DAY
    known = dict(growth)
    days, values, value = [], [], growth[0][1]
    for day in range(first, today + 1):
        value = known.get(day, value)
        days.append(day - first)
        values.append(value)
    if len(days) < LEAST_DAYS:
        return None
    mean_day, mean_value = sum(days) / len(days), sum(values) / len(values)
    spread = sum((day - mean_day) ** 2 for day in days)
    per_day = sum((day - mean_day) * (value - mean_value) for day, value in zip(days, values, strict=True)) / spread
    grew = sum(later > earlier for earlier, later in pairwise(values))
    if per_day <= 0:
        return Forecast(per_day, None, grew)
    return Forecast(per_day, max(capacity - values[-1], 0) / per_day, grew)
