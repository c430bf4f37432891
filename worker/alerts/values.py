"""An alert's data in words."""

import re
import shlex
from datetime import UTC, datetime, timedelta

from worker.core.alerts import Alert, Datum
from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.logs.redaction import redacted

LONGEST = 200
"""Characters of one value."""

QUOTED = "_quoted"
"""Ends the name of a field that holds an id as a shell takes it, whole."""

_MUTE = "\u200b"
"""An invisible character that keeps a chat from seeing a mention."""

# What begins a mention in some chat service, and what is markup in some. An underscore within a word is neither.
_MENTION = re.compile(r"[@<]")
_MARKUP = re.compile(r"[*~`|\\]|\]\(|://|(?<!\w)_|_(?!\w)|^[#>+-]|^\d+\.\s")
_MASS_MENTION = re.compile(r"(?<!\w)@|@(?=everyone|here|channel|all)|<(?=[!@#])")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Values(dict[str, str]):
    """Values by field. One that is missing, as in an alert of an older release, is not known."""

    def __missing__(self, field: str) -> str:
        return "unknown"


def values_of(alert: Alert) -> Values:
    """What an alert's texts may name, as they are to read."""
    found = Values({name: _shown(name, value) for name, value in alert.data.items()})
    used, capacity = alert.data.get("used"), alert.data.get("capacity")
    if isinstance(used, int) and isinstance(capacity, int):
        found["percent"] = str(100 * used // capacity) if capacity else "over 100"
    since = alert.data.get("since_at")
    if isinstance(since, int):
        found["lasted"] = duration(alert.at - since)
    found["tenant"] = harmless(one_line(alert.tenant)) or "(none)"
    found["tenant_quoted"] = quoted(alert.tenant) if alert.tenant else "TENANT"
    found["at"] = moment(alert.at)
    return found


def placeholders(many: list[Values]) -> Values:
    """Values for what is said of several alerts at once: where they differ, the field's name stands for them, as in
    ``seats why TENANT``."""
    first = many[0]
    same = {name: value for name, value in first.items() if all(one[name] == value for one in many)}
    return Values({name: same.get(name, name.removesuffix(QUOTED).upper()) for name in first})


def moment(at: int) -> str:
    """``2026-05-01 10:00 UTC``."""
    return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%d %H:%M} UTC"


def duration(micros: int) -> str:
    """``3 min``, in the unit that fits."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if micros >= 2 * unit:
            return f"{micros // unit} {name}"
    return f"{max(micros, 0) // SECOND} s"


def one_line(text: str, longest: int = LONGEST) -> str:
    """Text without line breaks and control characters, at most so long."""
    flat = " ".join("".join(char if char.isprintable() or char == _MUTE else " " for char in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def harmless(text: str) -> str:
    """Text as it is to read in a chat, where it mentions nobody and is no markup.

    An invisible character follows what would begin a mention; what would be markup is shown as code.
    """
    if _MARKUP.search(text):
        text = "`" + text.replace("`", "'") + "`"
    return _MENTION.sub(lambda found: found[0] + _MUTE, text)


def quoted(text: str) -> str:
    """Text as one word of a shell, whole, which mentions nobody in a chat and may stand between backticks.

    Two quotes that hold nothing change no word for a shell, and what would be a mention for a chat.
    """
    if "`" in text or not text.isprintable():
        escaped = (chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in text.encode())
        return f"$'{''.join(escaped)}'"
    return _MASS_MENTION.sub(lambda found: found[0] + "''", shlex.quote(text))


def _shown(name: str, value: Datum) -> str:
    match value:
        case None:
            return "none" if name in ("upgrade", "cap") else "unknown"
        case bool():
            return "yes" if value else "no"
        case int() if name == "at" or name.endswith("_at"):
            return moment(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:g}"
        case _:
            # Others' words, such as Crovver's reasons, are in it.
            return harmless(one_line(redacted(value)))
