"""When a channel's next message goes out. Pure; durations and instants are microseconds."""

from dataclasses import dataclass

from worker.core.times import MINUTE, SECOND

CRITICAL_WITHIN = 2 * SECOND
"""A critical alert waits no longer than this for others to go with it."""

BETWEEN_MESSAGES = 15 * SECOND
"""After a message the next one to the same channel waits this long, whatever it tells: a burst of criticals is two
messages, not hundreds. Only what one message had no room for follows at once."""

FIRST_RETRY = SECOND
LAST_RETRY = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a channel: since when, and since when the oldest critical alert does. 0 stands for never.

    ``full``: it is too much for one message, or what one message left over.
    """

    first_at: int
    critical_at: int | None = None
    full: bool = False
    sent_at: int = 0
    retry_at: int = 0
    leased_until: int = 0


def due_at(waiting: Waiting, gather: int) -> int:
    """When to send what waits: everything that has come by then goes out as one message.

    ``gather`` is how long alerts may wait for others. A backlog goes out message after message, so that a critical
    alert at its end is not held up by all that stands before it.
    """
    ready_at, next_at = waiting.first_at, 0
    if not waiting.full:
        ready_at += gather
        next_at = waiting.sent_at + min(gather, BETWEEN_MESSAGES) if waiting.sent_at else 0
    if waiting.critical_at is not None:
        ready_at = min(ready_at, waiting.critical_at + min(gather, CRITICAL_WITHIN))
    return max(ready_at, next_at, waiting.retry_at, waiting.leased_until)


def retry_after(attempts: int) -> int:
    """How long to wait after a failure, with so many failures in a row before it: 1 s, doubling, up to 5 minutes."""
    return min(FIRST_RETRY << min(attempts, 20), LAST_RETRY)
