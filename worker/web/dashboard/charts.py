"""Charts as SVG, made here: pure functions from numbers to markup. Colours are classes of the style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.web.dashboard.words import absolute

MOST_POINTS: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 30
_TIME_STEPS: Final = tuple(
    [n * SECOND for n in (1, 2, 5, 10, 15, 30)]
    + [n * MINUTE for n in (1, 2, 5, 10, 15, 30)]
    + [n * HOUR for n in (1, 2, 3, 6, 12)]
    + [n * DAY for n in (1, 2, 7, 14, 30, 90, 180, 365)]
)


@dataclass(frozen=True, slots=True)
class Frame:
    """How large a chart is drawn, in units of its text, and how many dates fit under it."""

    name: str
    width: int
    height: int
    dates: int


BROAD: Final = Frame("broad", 720, 260, 5)
NARROW: Final = Frame("narrow", 340, 220, 3)
"""For a phone: the same text on less ground."""


@dataclass(frozen=True, slots=True)
class Point:
    """Seats needed and the capacity from ``at`` on (microseconds); None: not known."""

    at: int
    needed: int
    capacity: int | None


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about ``most`` of the points. Of each stretch of time the last stays, and the one that needed most, so
    that no peak is lost."""
    if len(points) <= most:
        return list(points)
    kept: list[Point] = []
    size = math.ceil(2 * len(points) / most)
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        peak = max(stretch, key=lambda point: point.needed)
        kept += [peak, stretch[-1]] if peak is not stretch[-1] else [peak]
    return kept


def seats_chart(points: Sequence[Point], now: int, frame: Frame = BROAD) -> Markup:
    """Seats needed against capacity, as two step lines up to ``now``; ``points`` are oldest first, at least one."""
    assert points
    points = thin(points)
    right, bottom = frame.width - _RIGHT, frame.height - _BOTTOM
    first, last = points[0].at, max(now, points[-1].at + SECOND)
    highest = max([point.needed for point in points] + [point.capacity or 0 for point in points] + [1])
    steps = _seat_ticks(highest)
    top = steps[-1]

    def x(at: int) -> float:
        return _LEFT + (right - _LEFT) * (at - first) / (last - first)

    def y(seats: int) -> float:
        return _TOP + (bottom - _TOP) * (1 - seats / top)

    needed = _steps([(x(point.at), y(point.needed)) for point in points], x(last))
    capacity = _known_steps(points, x, y, last)
    parts = [
        Markup('<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(_LEFT, _n(y(seats)), right, _n(y(seats)))
        + Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            _LEFT - 8, _n(y(seats) + 4), f"{seats:,}"
        )
        for seats in steps
    ]
    parts += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            _n(x(at)), frame.height - 8, _anchor(x(at), right), label
        )
        for at, label in _time_ticks(first, last, frame.dates)
    ]
    parts.append(Markup('<path class="area needed" d="{}"/>').format(_area(needed, y(0))))
    parts.append(Markup('<path class="line needed" d="{}"/>').format(needed))
    # Over the other one, which shows through its gaps.
    parts.append(Markup('<path class="line capacity" d="{}"/>').format(" ".join(capacity)))
    title = "Seats needed against capacity"
    return Markup(
        '<svg class="chart {name}" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{id}-title {id}-desc">'
        '<title id="{id}-title">{title}</title><desc id="{id}-desc">{desc}</desc>{parts}</svg>'
    ).format(
        name=frame.name,
        w=frame.width,
        h=frame.height,
        id=f"seats-{frame.name}",
        title=title,
        desc=describe(points, now),
        parts=Markup("").join(parts),
    )


def describe(points: Sequence[Point], now: int) -> str:
    """What the chart shows, in a sentence or two."""
    begin, end = points[0], points[-1]
    peak = max(points, key=lambda point: point.needed)
    capacity = "an unknown capacity" if end.capacity is None else f"{end.capacity:,} seats paid for"
    return (
        f"From {absolute(begin.at)} to {absolute(max(now, end.at))}: {begin.needed:,} seats were needed at first, "
        f"{peak.needed:,} at most, {end.needed:,} now, with {capacity}."
    )


def bar(used: int | None, capacity: int | None) -> Markup:
    """How full a tenant is, as a small bar beside the numbers that say the same; nothing where that is not known."""
    if used is None or capacity is None:
        return Markup("")
    share = min(1.0, used / capacity) if capacity else float(used > 0)
    tone = "bad" if used > capacity else "warn" if share >= 0.8 else "good"
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="8" rx="2"/>'
        '<rect class="fill {}" width="{}" height="8" rx="2"/></svg>'
    ).format(tone, _n(100 * share))


def _steps(corners: Sequence[tuple[float, float]], end: float) -> str:
    """A line that keeps its height until it changes."""
    path = [f"M{_n(corners[0][0])} {_n(corners[0][1])}"]
    for across, up in corners[1:]:
        path.append(f"H{_n(across)}V{_n(up)}")
    return "".join([*path, f"H{_n(end)}"])


def _known_steps(points: Sequence[Point], x: Callable[[int], float], y: Callable[[int], float], last: int) -> list[str]:
    """The line of the capacity, with gaps where it is not known."""
    paths: list[str] = []
    run: list[tuple[float, float]] = []
    for point in points:
        if point.capacity is not None:
            run.append((x(point.at), y(point.capacity)))
        elif run:
            paths.append(_steps(run, x(point.at)))
            run = []
    if run:
        paths.append(_steps(run, x(last)))
    return paths


def _area(line: str, floor: float) -> str:
    start = line[1:].partition(" ")[0]
    return f"{line}V{_n(floor)}H{start}Z"


def _seat_ticks(highest: int) -> list[int]:
    """Round numbers from 0 to a little more than the highest, so that no line runs along the edge."""
    rough = max(1.0, highest / 4)
    size = 10 ** math.floor(math.log10(rough))
    step = next(int(size * factor) for factor in (1, 2, 5, 10) if size * factor >= rough)
    return list(range(0, math.ceil(highest * 1.05 / step) * step + 1, step))


def _time_ticks(first: int, last: int, most: int) -> list[tuple[int, str]]:
    span = last - first
    step = next((step for step in _TIME_STEPS if span / step <= most), _TIME_STEPS[-1])
    while span / step > most:
        step *= 2
    start = -(-first // step) * step
    days_apart = first // DAY != last // DAY
    return [(at, _label(at, step, days_apart)) for at in range(start, last + 1, step)]


def _anchor(across: float, right: int) -> str:
    """Text keeps within the chart at both of its ends."""
    return "end" if across > right - 34 else "start" if across < _LEFT + 10 else "middle"


def _label(at: int, step: int, days_apart: bool) -> str:
    when = datetime.fromtimestamp(at / SECOND, UTC)
    if step >= DAY:
        return f"{when.day} {when:%b}" if step < 180 * DAY else f"{when:%b %Y}"
    clock = f"{when:%H:%M}" if step >= MINUTE else f"{when:%H:%M:%S}"
    return f"{when.day} {when:%b} {clock}" if days_apart else clock


def _n(value: float) -> str:
    """A coordinate, as short as it may be."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
