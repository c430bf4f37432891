"""Days until full, from what was needed at the end of each day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.forecast import DAYS_KEPT, Sample, forecast, remember
from worker.core.times import DAY, HOUR


def grown(*needed: int, start: int = 20_000) -> tuple[tuple[Sample, ...], int]:
    growth: tuple[Sample, ...] = ()
    for day, number in enumerate(needed, start):
        growth = remember(growth, number - 1, day * DAY)
        growth = remember(growth, number, day * DAY + HOUR)
    return growth, (start + len(needed) - 1) * DAY + HOUR


def test_steady_growth_is_told_exactly() -> None:
    growth, now = grown(10, 12, 14, 16)
    ahead = forecast(growth, 26, now)
    assert ahead is not None
    assert ahead.per_day == pytest.approx(2)
    assert ahead.days_left == pytest.approx(5)


def test_two_days_say_nothing_yet() -> None:
    assert forecast(*grown(10, 20)[:1], 100, grown(10, 20)[1]) is None
    assert forecast((), 100, 0) is None


def test_no_growth_has_no_end_in_sight() -> None:
    for numbers in ((10, 10, 10, 10), (12, 11, 10)):
        growth, now = grown(*numbers)
        ahead = forecast(growth, 20, now)
        assert ahead is not None
        assert ahead.days_left is None


def test_days_without_news_count_as_days_without_growth() -> None:
    growth = remember(remember((), 10, 0), 20, 10 * DAY)
    ahead = forecast(growth, 30, 10 * DAY)
    assert ahead is not None
    assert 0 < ahead.per_day < 1


def test_a_full_tenant_is_full_now() -> None:
    growth, now = grown(10, 12, 14)
    ahead = forecast(growth, 12, now)
    assert ahead is not None
    assert ahead.days_left == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 100)), min_size=1, max_size=60))
def test_what_is_kept_is_bounded_and_in_order(steps: list[tuple[int, int]]) -> None:
    growth: tuple[Sample, ...] = ()
    now = 0
    for days, needed in steps:
        now += days * DAY
        growth = remember(growth, needed, now)
        assert growth[-1] == (now // DAY, needed)
    days_kept = [day for day, _ in growth]
    assert days_kept == sorted(set(days_kept))
    assert len(growth) <= DAYS_KEPT
    assert days_kept[0] > now // DAY - DAYS_KEPT
