"""The Retry-After header (RFC 9110, 10.2.3) in seconds."""

from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 24 * 3600


def retry_after(value: str | None, *, date: str | None = None) -> int | None:
    """Seconds to wait, 0 to a day; None where there is no such header or it can't be read.

    A date is measured against the answer's own ``Date`` header, so that the two clocks need not agree.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return LONGEST if len(text) > 6 else min(int(text), LONGEST)
    if date is None:
        return None
    try:
        wait = (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(int(wait), 0), LONGEST)
