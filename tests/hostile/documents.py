"""Documents that nobody would send by mistake: valid ones, bent in ways that readers of JSON are known to break at.

What is drawn is text, not values: a member twice, ``NaN``, ``1e999`` and 100,000 brackets have no value to stand for.
"""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st


class Raw(str):
    """Text that stands in a document as it is."""


CHARACTERS: Final = [
    "\x00", "\x1b[2J\x1b[1;31m", "\x9b2J", "\r\n", "\x7f", "\u202e", "\u2066x", "\u200b", "\u200d", "\ufeff", "\u2028",
    "\ud800", "\udfff\ud800", "\U000e0041", "\u0301" * 40, "<script>alert(1)</script>", "\"'><img src=x>", "{{7*7}}",
    "[bold red]x[/]", "[link=https://evil.test]x[/]", "'; --", "${x}", "%s%n", "../..", "a/b", "\\", "\ud83d\ude00",
]  # fmt: skip
"""What ids and names may hold that is more than it looks, or less."""

TEXTS: Final = [
    *CHARACTERS, "", " ", "x", "x" * 255, "x" * 256, "x" * 320, "x" * 321, "x" * 1024, "x" * 1025, "x" * 8193,
    "\u202e" * 255, "é" * 255, "\U0001f600" * 255, "null", "true", "1", "1e999", "NaN", "-0", "acme", "__proto__",
]  # fmt: skip

TIMES: Final = [
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59",
    "2026-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "2026-05-01T24:00:00Z", "2026-05-01T10:00:00+24:00",
    "2026-05-01T10:00:00-00:00", "2026-05-01T10:00:00", "2026-05-01t10:00:00z", "2026-05-01 10:00:00Z",
    "2026-05-01T10:00:00.1234567890123456789Z", "2026-05-01T10:00:00." + "9" * 40 + "Z", "٢٠٢٦-05-01T10:00:00Z",
    "2026-05-01T10:00:00Z\n", "+2026-05-01T10:00:00Z", "20260501T100000Z", "2026-W18-5T10:00:00Z",
]  # fmt: skip

NUMBERS: Final = [
    Raw(text)
    for text in (
        "0", "-0", "-0.0", "1", "-1", "1.5", "1e3", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "-Infinity", "0x10",
        "01", "1.", ".5", "+1", "253402300799", "253402300800", "9007199254740993", "9223372036854775808",
        "18446744073709551616", "9" * 400, "9" * 4_300, "9" * 4_301, "1e308", "1" + "0" * 100_000,
    )
]  # fmt: skip

DEEP: Final = [
    Raw("[" * 10_000), Raw("[" * 10_000 + "]" * 10_000), Raw('{"a":' * 10_000 + "1" + "}" * 10_000),
    Raw("[" * 900 + "]" * 900), Raw("[" * 100_000), Raw('{"a":' * 100_000),
]  # fmt: skip

OTHERS: Final[list[Any]] = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": None},
    [{}, {}],
    {"tenantId": "x"},
    list(range(60)),
]

hostile: Final = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TIMES),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS).map(copy.deepcopy),
    st.text(st.characters(), max_size=8),
    st.integers(),
    st.floats(),
    st.integers(0, 60).map(lambda roll: DEEP[roll] if roll < len(DEEP) else roll),
)
"""Any value of JSON, and some that are none."""

_TAILS: Final = [b"", b"\x00", b"]", b"}", b" ", b"\n{}", b"\xff", b"\xed\xa0\x80", b",", b"\xc0\x80"]
_HEADS: Final = [b"", b"\xef\xbb\xbf", b"\xff\xfe", b" \r\n\t", b"\x00", b"[", b"\x1f\x8b"]


@dataclass(frozen=True, slots=True)
class Twice:
    """An object whose members stand there as often as they are in this list."""

    members: list[tuple[str, Any]]


def written(value: Any) -> str:
    """The text of a document."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict | Twice):
        members = value.members if isinstance(value, Twice) else value.items()
        return "{" + ",".join(f"{json.dumps(str(name))}:{written(item)}" for name, item in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(written(item) for item in value) + "]"
    return json.dumps(value)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and item of a document: the container it stands in, and its name or index there."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


def _bend(draw: st.DrawFn, value: Any) -> Any:
    """One change somewhere in a document; the document."""
    spots = places(value)
    if not spots:
        return draw(hostile)
    container, key = spots[draw(st.integers(0, len(spots) - 1))]
    match draw(st.integers(0, 9)):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container[draw(st.sampled_from(TEXTS))] = container.pop(key)
        case 1:
            container.insert(key, container[key])
        case 2:
            container[key] = [container[key]]
        case 3 if isinstance(container, dict):
            # The name comes twice, with another value: first or last.
            pair = [(key, container[key]), (key, draw(hostile))]
            rest = [(name, item) for name, item in container.items() if name != key]
            again = Twice([*rest, *(pair if draw(st.booleans()) else pair[::-1])])
            return _replaced(value, container, again)
        case _:
            container[key] = draw(hostile)
    return value


def _replaced(value: Any, old: Any, new: Any) -> Any:
    if value is old:
        return new
    for container, key in places(value):
        if container[key] is old:
            container[key] = new
    return value


@st.composite
def bent_texts(draw: st.DrawFn, valid: Callable[[], Any]) -> str:
    """The text of a valid document with up to three changes; ``valid`` makes it anew each time."""
    value = valid()
    for _ in range(draw(st.integers(0, 3))):
        value = _bend(draw, value)
    return written(value)


@st.composite
def bent(draw: st.DrawFn, valid: Sequence[Callable[[], Any]]) -> bytes:
    """The bytes of one of some valid documents, bent; now and then cut, with something before or behind, or torn."""
    body = draw(bent_texts(draw(st.sampled_from(valid)))).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 19)):
        case 0:
            body = body[: draw(st.integers(0, len(body)))]
        case 1:
            body = draw(st.sampled_from(_HEADS)) + body + draw(st.sampled_from(_TAILS))
        case 2:
            at = draw(st.integers(0, len(body)))
            body = body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
        case 3:
            # The other ways to write the same text.
            text = body.decode("utf-8", "surrogatepass")
            body = text.encode(draw(st.sampled_from(["utf-16", "utf-32", "utf-7"])), "surrogatepass")
    return body


noise: Final = st.binary(max_size=60) | st.text(st.sampled_from('[]{}",:\\u d8NaI0-1.e'), max_size=60).map(str.encode)
"""Bytes that are hardly ever anything."""


def bodies(*valid: Callable[[], Any]) -> st.SearchStrategy[bytes]:
    """Mostly bent documents, now and then noise."""
    # One way in eight, and as a strategy that shrinks towards documents.
    return st.integers(0, 7).flatmap(lambda roll: noise if roll == 7 else bent(valid))
