"""The watch over the canaries: whatever leaves a process in this run is looked through, and the run fails on a find.

Each process of the run looks at once and keeps count; the main one adds up, prints a line and fails. Registered as a
plugin by the root conftest.
"""

import base64
import html
import os
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import httpx
import pytest
import redis

from tests.canaries import ALLOWED, CANARIES, OPERATOR, Canary, Where
from worker.store.connect import connect_sync

ROUNDS: Final = 3
"""Encodings that may lie over one another."""

_ESCAPED: Final = re.compile(rb"\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})|\\+/")
_RECORD: Final = re.compile(r"\{t:.*\}:(record|inbox|roster|unreadable)$|:checkout:|:\{parked\}:")
_QUEUE: Final = re.compile(r":(seat-events|reconcile|alerts)(\.[DX]Q)?(\.msgs)?$|:__acks__")


def _base64_of(text: str) -> set[bytes]:
    """The letters that stand for a text in base64 wherever it begins, without those it shares with its neighbours."""
    plain = text.encode()
    found = set()
    for shift, first in enumerate((0, 2, 3)):
        encoded = base64.b64encode(b"\0" * shift + plain + b"\0\0\0")
        found.add(encoded[first : (len(plain) + shift) * 8 // 6])
    return found


_FORMS: Final = [
    (canary, canary.text.lower().encode(), _base64_of(canary.text), canary.text.encode().hex().encode())
    for canary in CANARIES
]


def found_in(data: bytes) -> list[Canary]:
    """The canaries in some bytes: plain in any case, percent-encoded, escaped as JSON or HTML, in base64 or in hex."""
    versions = list(_decoded(data))
    lowered = [version.lower() for version in versions]
    return [
        canary
        for canary, plain, encoded, hexed in _FORMS
        if any(plain in version or hexed in version for version in lowered)
        or any(part in version for version in versions for part in (*encoded, *map(_urlsafe, encoded)))
    ]


def _urlsafe(encoded: bytes) -> bytes:
    return encoded.replace(b"+", b"-").replace(b"/", b"_")


def _decoded(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and with one encoding after another taken off."""
    yield data
    for _ in range(ROUNDS):
        plainer = _ESCAPED.sub(lambda match: bytes([int(match[1] or match[2] or b"2f", 16)]), data)
        if b"%" in plainer:
            plainer = unquote_to_bytes(plainer)
        if b"&" in plainer:
            plainer = html.unescape(plainer.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if plainer == data:
            return
        data = plainer
        yield data


@dataclass(slots=True)
class Watch:
    """What has been looked through, and what was found. ``finds`` name no secret."""

    sources: int = 0
    size: int = 0
    by_place: dict[str, int] = field(default_factory=dict)
    finds: list[str] = field(default_factory=list)

    def saw(self, where: Where, name: str, data: str | bytes) -> None:
        """Look through something that a process has let out; ``name`` tells people what it is."""
        if not data:
            return
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        self.sources += 1
        self.size += len(raw)
        # Plain text: it goes from process to process.
        self.by_place[where.value] = self.by_place.get(where.value, 0) + 1
        for canary in found_in(raw):
            if not {(where, canary.kind), (where, canary.text)} & ALLOWED.keys():
                test = os.environ.get("PYTEST_CURRENT_TEST", "outside a test").partition(" (")[0]
                self.finds.append(f"{canary.name} ({canary.kind}) in {where}: {name}, during {test}")

    def add(self, told: dict[str, Any]) -> None:
        """What another process has seen."""
        self.sources += told["sources"]
        self.size += told["size"]
        self.finds += told["finds"]
        for place, many in told["by_place"].items():
            self.by_place[place] = self.by_place.get(place, 0) + many

    def told(self) -> dict[str, Any]:
        return {"sources": self.sources, "size": self.size, "by_place": self.by_place, "finds": self.finds}


WATCH: Final = Watch()
saw: Final = WATCH.saw


def saw_files(where: Where, paths: Iterable[Path]) -> None:
    """Look through files."""
    for path in paths:
        if path.is_file():
            saw(where, path.name, path.read_bytes())


def saw_answer(answer: httpx.Response) -> None:
    """Look through an HTTP answer of ours, unless it is what an operator has signed in to see."""
    request = answer.request
    operator = OPERATOR in request.headers.get("authorization", "") or "cookie" in request.headers
    if request.url.path == "/metrics":
        where = Where.METRICS
    elif answer.status_code >= 400:
        where = Where.REFUSAL
    elif operator:
        return
    else:
        where = Where.STRANGER
    head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "location")
    saw(where, f"{request.method} {request.url.path} -> {answer.status_code}", head.encode() + b"\n\n" + answer.content)


def saw_redis(url: str, namespace: str = "seats") -> None:
    """Look through all that a deployment has on its Redis: queues, dead letters, journals, indexes and records.

    A server that is gone, or holds nothing any more, has nothing to show.
    """
    with connect_sync(url) as client:
        try:
            keys = list(client.scan_iter(f"{namespace}:*", count=1000))
            values = _values(client, keys)
        except redis.RedisError:
            return
    for key, value in zip(keys, values, strict=True):
        name = key.decode("utf-8", "backslashreplace")
        saw(_place(name), f"Redis key {name}", b"\n".join(_flat([key, value])))


def _place(key: str) -> Where:
    if _RECORD.search(key):
        return Where.RECORD
    if _QUEUE.search(key):
        return Where.QUEUE
    return Where.JOURNAL if key.endswith("}:journal") else Where.STATE


_READ: Final[dict[bytes, tuple[object, ...]]] = {
    b"string": ("GET",),
    b"list": ("LRANGE", 0, -1),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", 0, -1),
    b"stream": ("XRANGE", "-", "+"),
}


def _values(client: Any, keys: Sequence[bytes]) -> list[object]:
    """What is kept under some keys; one that is gone meanwhile holds nothing."""
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.type(key)
        for key, kind in zip(keys, pipe.execute(), strict=True):
            name, *rest = _READ.get(kind, ("EXISTS",))
            pipe.execute_command(name, key, *rest)
        found: list[object] = pipe.execute()
    return found


def _flat(value: object) -> Iterator[bytes]:
    match value:
        case bytes():
            yield value
        case dict():
            for pair in value.items():
                yield from _flat(pair)
        case list() | tuple() | set():
            for item in value:
                yield from _flat(item)


# The plugin.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look through what a test has printed, in the report of its end, which has all of it.

    Not what pytest has taken from the loggers: that is from before our own pipeline, which masks, and whose output is
    among what was printed.
    """
    report = yield
    if report.when == "teardown":
        for title, text in report.sections:
            if not title.startswith("Captured log"):
                saw(Where.CAPTURED, f"{title} of {item.nodeid}", text)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist's: tell the main one. In that: fail the run where something got out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["canaries"] = WATCH.told()
    elif WATCH.finds and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist's has ended, and tells what it has seen. That of one that cannot is not known."""
    told = getattr(node, "workeroutput", {}).get("canaries")
    if told is not None:
        WATCH.add(told)
    else:
        WATCH.finds.append(f"perhaps some: {node.gateway.id} ended without telling")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was looked through, and what got out."""
    if not WATCH.sources and not WATCH.finds:
        return
    for find in dict.fromkeys(WATCH.finds):
        terminalreporter.write_line(f"canary: {find}", red=True)
    places = ", ".join(f"{many:,} {place}" for place, many in sorted(WATCH.by_place.items()))
    terminalreporter.write_line(
        f"canaries: {WATCH.sources:,} sources, {WATCH.size:,} bytes searched, {len(CANARIES)} markers, "
        f"{len(WATCH.finds)} found ({places})"
    )
