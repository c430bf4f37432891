"""What a store promises about alerts: a log of them, how far each channel has been told, and the fleet's alert book.

Alerts are numbered, and each stands in a log for every severity that it is at least as severe as, under its number and
with its place in that log. So a channel reads the log of the least severity it hears of, goes on where it stands when
that changes, and what it has missed can be counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.core.alert_book import Book
from worker.core.alerts import Alert, Severity
from worker.core.times import DAY, MINUTE

LOG_LIMIT = 10_000
"""Alerts a log keeps; a channel that is away for longer than that loses the oldest, and is told how many."""

TOLD_AT_ONCE = 2_000
"""Alerts one message may tell of."""

NEWS_FROM = 5 * MINUTE
"""A channel never seen before is told of what was posted this recently, 1,000 alerts at most."""

CHANNEL_FORGOTTEN_AFTER = 7 * DAY
"""A channel that nobody has asked about for so long starts anew."""

CONFIGURED_WITHIN = 10 * MINUTE
"""A channel that somebody has asked about this recently is configured somewhere."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert in the history."""

    id: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class ChannelPeek:
    """What a channel waits with, as of ``now``, by which it is decided when to send.

    ``cursor`` is the number of the last alert it was told of. ``first_at`` and ``critical_at`` say when the oldest
    pending alert, and the oldest critical one, were posted; None: there is none. ``leased_until`` lies ahead while
    somebody is sending. ``more`` says that the last message could not take all that waited. An instant that lies
    further ahead of ``now`` than it can, as after the store's clock was set back, is 0.
    """

    now: int
    cursor: int
    pending: int
    first_at: int | None
    critical_at: int | None
    sent_at: int
    retry_at: int
    leased_until: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """Alerts that are the caller's to send over a channel, oldest first, up to the number ``upto``.

    ``dropped`` alerts left the log before this channel could be told of them (those of a forgotten tenant do not
    count); ``unreadable`` ones were written by another release. ``attempts`` is how often in a row sending has failed
    before.
    """

    token: str
    upto: int
    alerts: tuple[Alert, ...]
    dropped: int
    unreadable: int
    attempts: int


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel is doing. Instants are None until they happen; ``failing_since`` and ``error`` while it fails.

    ``waiting_since`` is when the oldest pending alert was posted.
    """

    name: str
    least: Severity
    pending: int
    delivered: int
    dropped: int
    attempts: int
    sent_at: int | None
    retry_at: int | None
    failing_since: int | None
    error: str | None
    waiting_since: int | None = None


@dataclass(frozen=True, slots=True)
class FleetBook:
    """The alert book of the fleet, its last serial and its version (0: never saved)."""

    book: Book = ()
    serial: int = 0
    version: int = 0


class AlertLog(Protocol):
    """The part of a store that keeps alerts."""

    async def post_alerts(self, tenant: str, alerts: Sequence[Alert]) -> int:
        """Add a tenant's alerts to the log; those whose serial was posted before are left out.

        Returns how many were new: they are the last of those given.
        """

    async def alerts(self, before: str | None, limit: int) -> tuple[list[AlertRow], str | None]:
        """Alerts, newest first, and the cursor to go on with."""

    async def peek_channel(self, name: str, least: Severity) -> ChannelPeek:
        """What waits for a channel that hears of alerts of ``least`` severity and above.

        A channel never seen before starts with the latest news. One with another ``least`` than last time goes on with
        what was posted after the last alert it was told of, so that it is told nothing twice.
        """

    async def claim_channel(self, name: str, cursor: int, lease: int) -> Delivery | None:
        """Lease a channel that stands at ``cursor`` to the caller, who sends what waits for it.

        None where it does not stand there any more, is leased to another, has to wait after a failure, or nothing
        waits. The lease lasts ``lease`` microseconds; after that others may send the same.
        """

    async def delivered(self, name: str, delivery: Delivery) -> bool:
        """A delivery has arrived. False where the lease was lost, so that somebody else sends it (again)."""

    async def failed(self, name: str, delivery: Delivery, wait: int, reason: str) -> bool:
        """A delivery has not arrived, and may be tried again ``wait`` from now. False where the lease was lost.

        ``reason`` is shown to operators.
        """

    async def channels(self) -> list[ChannelState]:
        """Every channel that is configured somewhere, by name."""

    async def load_fleet(self) -> FleetBook:
        """The fleet's alert book; one that this release can't read is empty."""

    async def commit_fleet(self, fleet: FleetBook, alerts: Sequence[Alert]) -> bool:
        """Save the fleet's book and post its alerts, in one write. ``fleet.version`` is the one that was loaded.

        False where someone else saved first; nothing was done then.
        """
