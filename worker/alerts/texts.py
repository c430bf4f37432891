"""What to say of each kind of alert: the texts of ``config/alerts.toml``, with an operator's own over them.

A text may name fields in braces, as in ``{used} of {capacity} seats``. They are checked when the texts are read.
"""

import difflib
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from worker.core.alert_rules import DATA_FIELDS
from worker.core.alerts import Alert, AlertKind
from worker.settings.errors import ConfigError

SETTING = "SEATS_ALERT_TEXTS"

MOMENTS = frozenset(
    {
        AlertKind.PAYMENT_CONFIRMED,
        AlertKind.FOREIGN_PAYMENT,
        AlertKind.UNREADABLE_FACTS,
        AlertKind.TOO_OLD_FACTS,
    }
)
"""Kinds that do not last: there is nothing to resolve."""

CASES: Mapping[AlertKind, str] = {
    AlertKind.UPGRADE_STARTED: "invoiced",
    AlertKind.CREDITS_LOW: "hard",
    AlertKind.CREDITS_EXHAUSTED: "hard",
}
"""Kinds with other texts for alerts of which a field is true: that field. Digests tell such alerts apart, too."""

LONGEST = 1_000
"""Characters of one text."""

_FILE_LIMIT = 256 * 1024
_COMMON = ("tenant", "at")
_FOR_COMMANDS = ("tenant_quoted",)
_WHEN_OVER = ("since_at", "lasted")


@dataclass(frozen=True, slots=True)
class Text:
    """The texts of one kind: a title without fields, a line for lists, and what happened, what it means for the
    customer, what to do, and what is said when it is over ('' for a moment). ``case`` has what is said in the kind's
    special case, where there is one."""

    title: str
    line: str
    happened: str
    means: str
    todo: str
    resolved: str = ""
    case: "Text | None" = None


Texts = Mapping[AlertKind, Text]
Table = dict[str, str | dict[str, str]]

_NAMES = tuple(one.name for one in fields(Text) if one.name != "case")


def is_special(alert: Alert) -> bool:
    """Whether an alert is of its kind's special case."""
    return alert.data.get(CASES.get(alert.kind, "")) is True


def text_of(texts: Texts, alert: Alert) -> Text:
    """What is said of an alert."""
    text = texts[alert.kind]
    return text.case if text.case is not None and is_special(alert) else text


def fields_of(kind: AlertKind, name: str) -> tuple[str, ...]:
    """The fields that a text of a kind may use."""
    if name == "title":
        return ()
    data = DATA_FIELDS[kind]
    share = ("percent",) if {"used", "capacity"} <= {*data} else ()
    return (*_COMMON, *data, *share, *(_WHEN_OVER if name == "resolved" else ()), *_FOR_COMMANDS)


def read_texts(shipped: Path, own: Path | None = None) -> Texts:
    """The shipped texts; where an operator has their own of something, those.

    Raises:
        ConfigError: a file that can't be read, a kind or text that does not exist or is missing, an unknown field.
    """
    entries = _tables(shipped, str(shipped))
    if own is not None:
        for kind, table in _tables(own, f"{SETTING}: {own}").items():
            entries[kind] = _over(entries.get(kind, {}), table)
    found = {}
    for kind in AlertKind:
        table = entries.get(kind, {})
        wanted = [name for name in _NAMES if name != "resolved" or kind not in MOMENTS]
        missing = next((name for name in wanted if name not in table), None)
        if missing is not None:
            raise ConfigError(
                str(shipped), f"has no {missing} in [{kind}]", "add it, or take the file as it was shipped"
            )
        said: dict[str, Any] = {name: table[name] for name in wanted}
        text = Text(**said)
        special: Any = table.get(CASES.get(kind, ""))
        found[kind] = text if special is None else replace(text, case=replace(text, **special))
    return found


def _over(shipped: Table, own: Table) -> Table:
    """A kind's texts with others over them, also over those of its special case."""
    merged = {**shipped, **own}
    for name, said in own.items():
        known = shipped.get(name)
        if isinstance(said, dict) and isinstance(known, dict):
            merged[name] = {**known, **said}
    return merged


def _tables(path: Path, shown: str) -> dict[AlertKind, Table]:
    try:
        content = path.read_bytes()
        if len(content) > _FILE_LIMIT:
            raise ConfigError(shown, "is larger than 256 KiB", "give a file of alert texts")
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigError(shown, f"cannot be read ({error.strerror})", "name a file this user may read") from None
    except UnicodeDecodeError:
        raise ConfigError(shown, "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(shown, f"is not valid TOML ({error})", 'write lines like title = "…"') from None
    found = {}
    for kind, table in document.items():
        if kind not in list(AlertKind) or not isinstance(table, dict):
            near = difflib.get_close_matches(kind, list(AlertKind), n=1)
            remedy = f"did you mean [{near[0]}]?" if near else f"use one of {', '.join(AlertKind)}"
            raise ConfigError(shown, f"has {kind}, which is no kind of alert's table", remedy)
        for name, text in table.items():
            if name == CASES.get(AlertKind(kind)) and isinstance(text, dict):
                for inner, said in text.items():
                    _check(f"{shown} [{kind}.{name}] {inner}", AlertKind(kind), inner, said)
                continue
            _check(f"{shown} [{kind}] {name}", AlertKind(kind), name, text)
        found[AlertKind(kind)] = table
    return found


def _check(where: str, kind: AlertKind, name: str, text: object) -> None:
    if name not in _NAMES or (name == "resolved" and kind in MOMENTS):
        texts = [one for one in _NAMES if one != "resolved" or kind not in MOMENTS]
        raise ConfigError(where, "is no text of this kind", f"use {', '.join(texts)}")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise ConfigError(where, f"must be a text of 1 to {LONGEST:,} characters", "write it in quotes")
    try:
        parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
    except ValueError:
        raise ConfigError(where, "has a brace too many", "write {{ and }} for braces") from None
    known = fields_of(kind, name)
    for _, field, spec, conversion in parts:
        if field not in known or spec or conversion:
            remedy = f"use {', '.join('{' + one + '}' for one in known)}" if known else "it takes no fields"
            raise ConfigError(where, f"has {{{field}}}, which is no field of it", remedy)
