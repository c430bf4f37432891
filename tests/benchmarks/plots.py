"""Pictures of a report, as SVG: bars where things are compared, lines where something grows.

Drawn for light and dark pages alike: colours follow the reader's system. Bars begin at nothing and are not logarithmic,
so that their lengths tell the truth; whiskers and bands reach from the lowest to the highest of the rounds.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH = 820
LEFT, RIGHT = 290, 150
BAR, GAP = 18, 12
TOP, BOTTOM = 44, 34
CHART = 240

STYLE = """
svg { --ink: #1c2128; --soft: #59636e; --line: #d5dae0; --a: #2563a8; --b: #b4540a; --c: #2d7d46; --rest: #9aa5b1; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6edf3; --soft: #9aa5b1; --line: #363e48; --a: #6cb0f5; --b: #f0a05a; --c: #6fce8c; --rest: #66717d; }
}
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.title { font-weight: 600; font-size: 15px; } .soft { fill: var(--soft); font-size: 12px; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--line); } .whisker { stroke: var(--ink); }
.ours { fill: var(--a); } .rest { fill: var(--rest); } .path { fill: none; stroke-width: 2; }
.band { opacity: 0.15; } .s0 { stroke: var(--a); } .s1 { stroke: var(--b); } .s2 { stroke: var(--c); }
.f0 { fill: var(--a); } .f1 { fill: var(--b); } .f2 { fill: var(--c); }
"""

Row = Mapping[str, Any]
"""A figure as JSON has it."""


def draw(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """One picture for each group of two figures or more; what is there under their names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for subject, figures in report["subjects"].items():
        groups: dict[str, list[Row]] = {}
        for one in figures:
            groups.setdefault(one["group"], []).append(one)
        for group, rows in groups.items():
            if len(rows) > 1:
                path = folder / f"{subject}-{re.sub('[^a-z0-9]+', '-', group.lower()).strip('-')}.svg"
                path.write_text(_lines(group, rows) if rows[0]["at"] is not None else _bars(group, rows), "utf-8")
                drawn.append(path)
    return drawn


def _bars(group: str, rows: Sequence[Row]) -> str:
    """Bars, one below the other; those that have something to reach are ours, and stand out."""
    room = WIDTH - LEFT - RIGHT
    scale = room / max(max(row["high"] for row in rows), 1e-9)
    parts = []
    for number, row in enumerate(rows):
        y = TOP + number * (BAR + GAP)
        middle, length = y + BAR / 2, max(row["value"] * scale, 1)
        style = "ours" if _has_goal(row) else "rest"
        low, high = LEFT + row["low"] * scale, LEFT + row["high"] * scale
        parts += [
            _text(LEFT - 10, middle + 4, row["name"], "end"),
            f'<rect class="{style}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            _text(max(high, LEFT + length) + 8, middle + 4, f"{short(row['value'])} {row['unit']}"),
        ]
    return _svg(group, TOP + len(rows) * (BAR + GAP) + 8, parts)


def _lines(group: str, rows: Sequence[Row]) -> str:
    """Lines over a logarithmic axis; the other begins at nothing."""
    left, right, bottom = 80, WIDTH - 110, TOP + CHART
    names = list(dict.fromkeys(row["name"] for row in rows))
    places = sorted({float(row["at"]) for row in rows})
    highest = max(float(row["high"]) for row in rows)
    first, last = places[0], places[-1]
    step = _step(highest)
    top = math.ceil(highest / step) * step
    span = math.log(last / first) or 1.0

    def x(at: float) -> float:
        return left + (right - left) * math.log(at / first) / span

    def y(value: float) -> float:
        return bottom - CHART * value / top

    parts = []
    for number in range(round(top / step) + 1):
        value = number * step
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(_text(left - 8, y(value) + 4, short(value), "soft end"))
    parts += [_text(x(at), bottom + 18, f"{at:,.0f}", "soft middle") for at in places]
    parts.append(
        _text((left + right) / 2, bottom + 36, f"{rows[0]['along']} ({rows[0]['unit']} upwards)", "soft middle")
    )
    ends = []
    for number, name in enumerate(names):
        points = sorted((row for row in rows if row["name"] == name), key=lambda row: float(row["at"]))
        upper = _points((x(row["at"]), y(row["high"])) for row in points)
        lower = _points((x(row["at"]), y(row["low"])) for row in reversed(points))
        path = _points((x(row["at"]), y(row["value"])) for row in points)
        parts.append(f'<polygon class="band f{number % 3}" points="{upper} {lower}"/>')
        parts.append(f'<polyline class="path s{number % 3}" points="{path}"/>')
        ends.append((y(points[-1]["value"]), name))
    for place, name in _apart(sorted(ends)):
        parts.append(_text(right + 8, place + 4, name))
    return _svg(group, bottom + BOTTOM + 12, parts)


def _has_goal(row: Row) -> bool:
    return row["goal"] is not None or any(ratio["goal"] is not None for ratio in row["ratios"])


def short(value: float) -> str:
    """A number in three digits or so."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _step(highest: float) -> float:
    """A round distance of lines, some four of which reach the highest value."""
    rough = max(highest, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= rough)


def _apart(ends: Sequence[tuple[float, str]]) -> Iterator[tuple[float, str]]:
    """Labels, none on top of another."""
    before = -math.inf
    for place, name in ends:
        before = max(place, before + 16)
        yield before, name


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(words)}</text>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img">'
    body = "\n".join(
        [f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", _text(16, 24, title, "title"), *parts]
    )
    return f"{head}\n{body}\n</svg>\n"
