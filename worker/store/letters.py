"""Letters: messages of the queue that gave up, as people may see them.

Anybody may put anything on the queue, so nothing here trusts a message to be one. What may be personal is masked:
where a host app's event is concerned that is every argument that is not known to be harmless.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from worker.core.journal import Json
from worker.core.times import format_instant

SEAT_EVENTS: Final = "seat-events"
MASKED: Final = "***"
ARGUMENTS_SHOWN: Final = 20
TEXT_SHOWN: Final = 300
BODY_SHOWN: Final = 500
TRACEBACK_SHOWN: Final = 8_000

_POSITIONS: Final = ("tenant", "user", "email", "name", "id", "time")
"""The positional arguments of ``user_added`` and ``user_removed``."""

_HARMLESS: Final = ("tenant", "user", "id", "time")
_FIELDS: Final = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
_OF_FAILURES: Final = ("traceback", "retries", "requeue_timestamp", "eta")

Redact = Callable[[str, int], str]
"""Masks what must not be shown in a text, and cuts it to about so many characters."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that gave up.

    ``id`` is the one it has in Redis. ``actor`` is None where it can't be decoded, and ``body`` then holds its bytes,
    escaped and cut, and is None otherwise. ``died_at`` and ``sent_at`` are microseconds. ``traceback`` is None where
    nothing was kept of why it died.
    """

    id: str
    queue: str
    died_at: int
    size: int
    actor: str | None = None
    args: tuple[Json, ...] = ()
    kwargs: Mapping[str, Json] = field(default_factory=dict)
    sent_at: int | None = None
    traceback: str | None = None
    body: str | None = None

    @property
    def problem(self) -> str:
        """Why it died, in one line."""
        if self.actor is None:
            return "it can't be decoded"
        lines = (self.traceback or "").strip().splitlines()
        return lines[-1].strip() if lines else "not kept"


def read_letter(ident: str, queue: str, died_at: int, body: bytes, redact: Redact) -> DeadLetter:
    """A dead letter from the bytes it has in Redis, whatever they are."""
    fields = _decoded(body)
    if fields is None:
        escaped = body[:BODY_SHOWN].decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
        cut = " … (cut)" if len(body) > BODY_SHOWN else ""
        return DeadLetter(ident, queue, died_at, len(body), body=redact(escaped, 4 * BODY_SHOWN) + cut)
    named = zip(_POSITIONS, fields["args"], strict=False)
    spare = fields["args"][len(_POSITIONS) :]
    if queue == SEAT_EVENTS:
        args = [_shown(value, redact) if name in _HARMLESS else _masked(value) for name, value in named]
        args += [_masked(value) for value in spare]
        kwargs = {
            name: _shown(value, redact) if name in _HARMLESS else _masked(value)
            for name, value in fields["kwargs"].items()
        }
    else:
        args = [_shown(value, redact) for value in fields["args"]]
        kwargs = {
            name: _masked(value) if name in ("email", "name") else _shown(value, redact)
            for name, value in fields["kwargs"].items()
        }
    sent_at, traceback = fields["message_timestamp"], fields["options"].get("traceback")
    return DeadLetter(
        ident,
        queue,
        died_at,
        len(body),
        actor=redact(fields["actor_name"], TEXT_SHOWN),
        args=tuple(args[:ARGUMENTS_SHOWN]),
        kwargs={redact(name, TEXT_SHOWN): value for name, value in list(kwargs.items())[:ARGUMENTS_SHOWN]},
        sent_at=sent_at * 1000 if isinstance(sent_at, int) and 0 < sent_at < 1 << 43 else None,
        traceback=redact(traceback[-TRACEBACK_SHOWN:], TRACEBACK_SHOWN) if isinstance(traceback, str) else None,
    )


def revived(ident: str, queue: str, body: bytes) -> bytes:
    """The body to enqueue a dead letter with: as it was sent, with nothing left of its failure.

    What can't be decoded stays as it is.
    """
    fields = _decoded(body)
    if fields is None:
        return body
    options = {name: value for name, value in fields["options"].items() if name not in _OF_FAILURES}
    # By this dramatiq acknowledges it; under any other name it would never leave the queue.
    options["redis_message_id"] = ident
    return json.dumps({**fields, "queue_name": queue, "options": options}, separators=(",", ":")).encode()


def letter_row(letter: DeadLetter) -> dict[str, Json]:
    """A dead letter in a list, in the words of the operator API; times are RFC 3339."""
    return {
        "id": letter.id,
        "queue": letter.queue,
        "actor": letter.actor,
        "args": [*letter.args],
        "kwargs": {**letter.kwargs},
        "problem": letter.problem,
        "sentAt": None if letter.sent_at is None else format_instant(letter.sent_at),
        "diedAt": format_instant(letter.died_at),
        "size": letter.size,
    }


def letter_view(letter: DeadLetter) -> dict[str, Json]:
    """All there is to show of a dead letter."""
    return {**letter_row(letter), "traceback": letter.traceback, "body": letter.body}


def _decoded(body: bytes) -> dict[str, Any] | None:
    """A message's fields; None where dramatiq could not decode it either."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        return None
    kinds = {"actor_name": str, "args": list, "kwargs": dict, "options": dict}
    return fields if all(isinstance(fields[name], kind) for name, kind in kinds.items()) else None


def _masked(value: object) -> Json:
    return None if value is None else MASKED


def _shown(value: object, redact: Redact) -> Json:
    # NaN and Infinity are numbers to dramatiq, and to no JSON that leaves here.
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return redact(text, TEXT_SHOWN)
