"""An alert's data in words."""

from datetime import UTC, datetime, timedelta

from worker.core.alerts import Alert, Datum
from worker.core.times import DAY, HOUR, MINUTE, SECOND
from worker.logs.redaction import redacted

LONGEST = 200
"""Characters of one value."""

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
    found["tenant"] = one_line(alert.tenant) or "(none)"
    found["at"] = moment(alert.at)
    return found


def placeholders(many: list[Values]) -> Values:
    """Values for what is said of several alerts at once: where they differ, the field's name stands for them."""
    first = many[0]
    same = {name: value for name, value in first.items() if all(one[name] == value for one in many)}
    return Values({name: same.get(name, name.upper()) for name in first})


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
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


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
            return one_line(redacted(value))
