"""Words and numbers on pages: what states are called, how long ago something was, and ids that can't deceive."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

from worker.core.tenant import Status
from worker.core.times import DAY, HOUR, MINUTE, SECOND, format_instant, parse_instant
from worker.core.upgrade import State

STATUSES: Final = {
    Status.OK: ("Has room", "good"),
    Status.NEAR_CAPACITY: ("Near capacity", "warn"),
    Status.EXCEEDED: ("Over capacity", "bad"),
    Status.UPGRADING: ("Upgrading", "info"),
    Status.NO_SUBSCRIPTION: ("No subscription", "quiet"),
    Status.UNREACHABLE: ("Crovver unreadable", "bad"),
}
"""What each status is called, and its tone."""

STATES: Final = {
    State.AWAITING_APPROVAL: ("Waits for approval", "warn"),
    State.REQUESTING: ("Asking Crovver", "info"),
    State.UNKNOWN: ("Outcome unknown", "bad"),
    State.AWAITING_PAYMENT: ("Waits for payment", "info"),
    State.INVOICED: ("Invoice sent", "info"),
    State.PAID: ("Paid, seats to follow", "info"),
    State.CONFIRMED: ("Confirmed", "good"),
    State.EXPIRED: ("Expired unpaid", "quiet"),
    State.FAILED: ("Failed", "bad"),
    State.CANCELLED: ("Cancelled", "quiet"),
}
"""What each state of an upgrade is called, and its tone."""

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that show nothing, or turn around what others show."""


def ident(text: object) -> Markup:
    """Somebody's id, as it is: kept apart from the text around it, and what can't be seen in it made visible."""
    return Markup('<bdi class="id">{}</bdi>').format(plain(text))


def _visible(char: str) -> Markup:
    if unicodedata.category(char) in _HIDDEN or (char.isspace() and char != " "):
        return Markup('<span class="hidden-char" title="a character that can\'t be seen">U+{}</span>').format(
            f"{ord(char):04X}"
        )
    return escape(char)


_INSTANT_OR_CODE: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)|`([^`]*)`")


def prose(text: str, now: int) -> Markup:
    """Sentences for people: instants in them become moments, what stands in backticks is code."""
    parts, end = [], 0
    for match in _INSTANT_OR_CODE.finditer(text):
        parts.append(plain(text[end : match.start()]))
        instant, code = match.groups()
        parts.append(Markup("<code>{}</code>").format(plain(code)) if instant is None else _instant(instant, now))
        end = match.end()
    return Markup("").join([*parts, plain(text[end:])])


def _instant(text: str, now: int) -> Markup:
    try:
        return moment(text, now)
    except ValueError:
        return plain(text)


def plain(text: object) -> Markup:
    """Text that may be anybody's, with what can't be seen in it made visible."""
    return Markup("").join(_visible(char) for char in str(text))


def moment(at: int | str | None, now: int) -> Markup:
    """An instant as how long ago it was; the instant itself shows up under the pointer, and for programs."""
    if at is None:
        return Markup('<span class="quiet">never</span>')
    micros = parse_instant(at) if isinstance(at, str) else at
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        format_instant(micros), absolute(micros), relative(micros - now)
    )


def absolute(at: int) -> str:
    """``1 May 2026, 10:00:00 UTC``."""
    when = datetime.fromtimestamp(at / SECOND, UTC)
    return f"{when.day} {when:%b %Y, %H:%M:%S} UTC"


def relative(distance: int) -> str:
    """``3 min ago``, ``in 2 h``; distances in microseconds, the past negative."""
    size = abs(distance)
    if size < 5 * SECOND:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if size >= unit:
            text = f"{size // unit} {name}"
            return f"in {text}" if distance > 0 else f"{text} ago"
    return "just now"


def number(value: float | None) -> str:
    """With thousands apart; a dash where it is not known."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
