"""Instants: whole microseconds since the Unix epoch (UTC).

One integer orders facts exactly, fits a Redis score without loss until the year 2255, and cannot carry a forgotten
time zone. Digits beyond the microsecond are dropped.
"""

import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def parse_instant(text: str) -> int:
    """Read an RFC 3339 date-time with a zone.

    Raises:
        ValueError: not RFC 3339, without a zone, or before 1970.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 date-time with a zone, such as 2026-05-01T10:00:00.123Z")
    return from_datetime(datetime.fromisoformat(text.upper()))


def from_datetime(moment: datetime) -> int:
    """Microseconds of a moment that knows its zone.

    Raises:
        ValueError: no zone, or before 1970.
    """
    if moment.tzinfo is None:
        raise ValueError("a date-time needs a zone")
    micros = (moment - _EPOCH) // _MICROSECOND
    if micros < 0:
        raise ValueError("a date-time before 1970")
    return micros


def format_instant(at: int) -> str:
    """RFC 3339 in UTC to the millisecond, as Crovver writes it: ``2026-05-01T10:00:00.123Z``."""
    moment = _EPOCH + timedelta(microseconds=at)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
