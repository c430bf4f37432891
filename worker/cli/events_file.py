"""Files of events: a JSON object a line, CloudEvents or a short form, read to values that the publisher takes.

A line's short form is ``{"type": "added", "tenant": "acme", "user": "ada"}``, with ``email``, ``name``, ``id`` and
``time`` where wanted. A line without an id gets one from its text and its place in the file, one without a time gets
the time at which the file was written: so publishing a file again repeats its events and makes no new ones.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from worker.core.times import format_instant
from worker.events import BadEvents, check_events

BATCH: Final = 500
LONGEST_LINE: Final = 64 * 1024
_SHORT: Final = {"tenant": "data.tenantId", "user": "data.userId", "email": "data.email", "name": "data.name"}
_TYPES: Final = {"added": "user.added", "removed": "user.removed"}
_ALLOWED: Final = frozenset({"type", "tenant", "user", "email", "name", "id", "time"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number from 1, where the next one begins (bytes), and its event or what is wrong with it."""

    number: int
    end: int
    event: Mapping[str, Any] | None
    problem: str | None = None
    short: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a line."""

    line: int
    text: str


def read_lines(path: Path, written_at: int, *, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines from ``offset`` on, of which ``number`` came before; empty ones are passed over.

    ``written_at`` (microseconds) stands in for a line's missing time; the line's number keeps them in order.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while raw := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(raw) > LONGEST_LINE:
                yield Line(number, file.tell(), None, f"is longer than {LONGEST_LINE:,} bytes")
                return
            if raw.strip():
                yield _line(raw, number, file.tell(), written_at)


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in the groups they are published in."""
    group: list[Line] = []
    for line in lines:
        group.append(line)
        if len(group) == BATCH:
            yield group
            group = []
    if group:
        yield group


def problems_in(lines: Sequence[Line], now: int, lifetime: int | None = None) -> list[Problem]:
    """Everything that is wrong with these lines (at most ``BATCH`` of them); times may be as old as ``lifetime``."""
    found = [Problem(line.number, line.problem) for line in lines if line.problem is not None]
    good = [line for line in lines if line.event is not None]
    try:
        check_events([line.event for line in good if line.event is not None], now, lifetime)
    except BadEvents as bad:
        for one in bad.problems:
            line = good[one.index]
            found.append(Problem(line.number, f"{_field(one.field, line.short)} {one.reason}".strip()))
    return sorted(found, key=lambda problem: problem.line)


def _line(raw: bytes, number: int, end: int, written_at: int) -> Line:
    try:
        value = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
    except json.JSONDecodeError as error:
        return Line(number, end, None, f"is not JSON: {error.msg} at column {error.colno}")
    except UnicodeDecodeError:
        return Line(number, end, None, "is not UTF-8 text")
    except (ValueError, RecursionError):
        return Line(number, end, None, "is not JSON that can be read")
    if not isinstance(value, dict):
        return Line(number, end, None, "must be a JSON object")
    ident = f"line-{number}-{hashlib.sha256(raw.strip()).hexdigest()[:16]}"
    time = format_micros(written_at + number)
    if "specversion" in value or "data" in value:
        return Line(number, end, {"id": ident, "source": "seats publish", **_without_nulls(value, time)})
    unknown = sorted(value.keys() - _ALLOWED)
    if unknown:
        names = ", ".join(sorted(_ALLOWED))
        return Line(number, end, None, f"has the unknown member {unknown[0]!r}: known are {names}")
    return Line(number, end, _cloud_event(value, ident, time), short=True)


def _cloud_event(short: Mapping[str, Any], ident: str, time: str) -> dict[str, Any]:
    kind = short.get("type")
    data = {long.removeprefix("data."): short[name] for name, long in _SHORT.items() if name in short}
    event: dict[str, Any] = {"specversion": "1.0", "source": "seats publish", "data": data}
    event["id"] = ident if short.get("id") is None else short["id"]
    event["time"] = time if short.get("time") is None else short["time"]
    if "type" in short:
        event["type"] = _TYPES.get(kind, kind) if isinstance(kind, str) else kind
    return event


def _without_nulls(event: Mapping[str, Any], time: str) -> dict[str, Any]:
    return {"time": time, **{name: value for name, value in event.items() if value is not None}}


def format_micros(at: int) -> str:
    """An instant in full, to the microsecond."""
    return f"{format_instant(at)[:-4]}{at % 1_000_000:06d}Z"


def _field(field: str, short: bool) -> str:
    """A field as this line has it."""
    names = {long: name for name, long in _SHORT.items()} if short else {}
    return names.get(field, field) or "the event"
