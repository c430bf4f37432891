"""Charts: what is drawn is what was, whatever the numbers are."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.web.dashboard.charts import BROAD, NARROW, Frame, Point, bar, describe, seats_chart, thin

START = 1_790_000_000 * SECOND
SVG = "{http://www.w3.org/2000/svg}"


def drawn(points: list[Point], now: int, frame: Frame = BROAD) -> ET.Element:
    markup = seats_chart(points, now, frame)
    return ET.fromstring(str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def path(chart: ET.Element, kind: str) -> str:
    (found,) = [one.get("d") for one in chart.iter(f"{SVG}path") if one.get("class") == kind]
    return found or ""


def ticks(chart: ET.Element) -> list[str]:
    return [one.text or "" for one in chart.iter(f"{SVG}text")]


def test_a_step_line_keeps_its_height_until_it_changes() -> None:
    points = [Point(START, 0, 10), Point(START + HOUR, 10, 10)]
    chart = drawn(points, START + 2 * HOUR)
    # From the left edge at the bottom, half way across, up, and on to the right edge.
    assert re.fullmatch(r"M52 230H379V(\d+(\.\d+)?)H706", path(chart, "line needed"))
    assert path(chart, "line capacity").count("V") == 1


def test_a_capacity_that_is_not_known_leaves_a_gap() -> None:
    points = [
        Point(START, 1, None),
        Point(START + HOUR, 2, 5),
        Point(START + 2 * HOUR, 3, None),
        Point(START + 3 * HOUR, 3, 6),
    ]
    assert path(drawn(points, START + 4 * HOUR), "line capacity").count("M") == 2
    assert path(drawn([Point(START, 1, None)], START), "line capacity") == ""


def test_it_says_in_words_what_it_shows() -> None:
    chart = drawn([Point(START, 3, 5), Point(START + HOUR, 9, 5), Point(START + 2 * HOUR, 4, 8)], START + DAY)
    title, desc = chart.find(f"{SVG}title"), chart.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert title.text == "Seats needed against capacity"
    assert "3 seats were needed at first, 9 at most, 4 now, with 8 seats paid for" in (desc.text or "")
    assert chart.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert "an unknown capacity" in describe([Point(START, 3, None)], START)


@pytest.mark.parametrize(
    "span", [SECOND, 20 * SECOND, 5 * MINUTE, 3 * HOUR, 2 * DAY, 40 * DAY, 4 * 365 * DAY, 60 * 365 * DAY]
)
@pytest.mark.parametrize("frame", [BROAD, NARROW])
def test_there_are_a_few_dates_whatever_the_time(span: int, frame: Frame) -> None:
    chart = drawn([Point(START, 1, 2), Point(START + span // 2, 2, 2)], START + span, frame)
    dates = [text for text in ticks(chart) if not text.replace(",", "").isdigit()]
    assert 1 <= len(dates) <= frame.dates + 1
    assert len(set(dates)) == len(dates)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, "2"), (1, "2"), (4, "5"), (5, "6"), (10, "15"), (99, "150"), (100_000, "150,000")]
)
def test_seats_are_counted_in_round_numbers(highest: int, top: str) -> None:
    numbers = [
        text for text in ticks(drawn([Point(START, highest, None)], START + HOUR)) if text.replace(",", "").isdigit()
    ]
    assert (numbers[0], numbers[-1]) == ("0", top)
    assert 2 <= len(numbers) <= 6


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 10**6)), min_size=1, max_size=60),
    st.lists(st.integers(0, 10 * DAY), min_size=60, max_size=60),
    st.sampled_from([BROAD, NARROW]),
)
def test_everything_is_drawn_within_its_frame(
    numbers: list[tuple[int, int | None]], gaps: list[int], frame: Frame
) -> None:
    at, points = START, []
    for (needed, capacity), gap in zip(numbers, gaps, strict=False):
        points.append(Point(at, needed, capacity))
        at += gap
    chart = drawn(points, at, frame)
    for one in chart.iter(f"{SVG}path"):
        for command, values in re.findall(r"([MHVZ])([-\d. ]*)", one.get("d") or ""):
            parsed = [float(value) for value in values.split()]
            across = parsed[:1] if command in "MH" else []
            up = parsed[1:] if command == "M" else parsed if command == "V" else []
            assert all(0 <= value <= frame.width for value in across)
            assert all(0 <= value <= frame.height for value in up)


def test_thinning_keeps_peaks_order_and_the_end() -> None:
    points = [Point(START + n * MINUTE, 500 if n == 333 else n % 7, 9) for n in range(1000)]
    kept = thin(points, 100)
    assert len(kept) <= 101
    assert Point(START + 333 * MINUTE, 500, 9) in kept
    assert kept[-1] == points[-1]
    assert all(one.at < other.at for one, other in pairwise(kept))
    assert thin(points[:50], 100) == points[:50]


@pytest.mark.parametrize(
    ("used", "capacity", "tone", "width"),
    [
        (5, 10, "good", "50"),
        (8, 10, "warn", "80"),
        (10, 10, "warn", "100"),
        (11, 10, "bad", "100"),
        (3, 0, "bad", "100"),
        (0, 0, "good", "0"),
    ],
)
def test_a_bar_shows_how_full_a_tenant_is(used: int, capacity: int, tone: str, width: str) -> None:
    assert f'<rect class="fill {tone}" width="{width}"' in bar(used, capacity)


def test_there_is_no_bar_where_nothing_is_known() -> None:
    assert bar(None, 5) == bar(5, None) == ""
