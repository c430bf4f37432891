"""Alerts in memory: the part of the in-memory store that keeps their log, their channels and the fleet's book."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from worker.core.alerts import Alert, Severity
from worker.core.times import MINUTE
from worker.store.alert_log import (
    CONFIGURED_WITHIN,
    LOG_LIMIT,
    NEWS_FROM,
    TOLD_AT_ONCE,
    AlertRow,
    ChannelPeek,
    ChannelState,
    Delivery,
    FleetBook,
)


@dataclass(slots=True)
class _Entry:
    number: int
    nth: int
    at: int
    alert: Alert


@dataclass(slots=True)
class _Channel:
    least: Severity
    cursor: int
    nth: int
    seen_at: int
    token: str = ""
    leased_until: int = 0
    attempts: int = 0
    retry_at: int | None = None
    wait: int = 0
    lease: int = 0
    sends: tuple[Severity, int, bool] | None = None
    more: bool = False
    sent_at: int | None = None
    failing_since: int | None = None
    error: str | None = None
    delivered: int = 0
    dropped: int = 0


class MemoryAlerts:
    """Implements ``worker.store.alert_log.AlertLog`` in one process."""

    def __init__(self, clock: Callable[[], int], step: Callable[[str], Awaitable[None]]) -> None:
        self.clock = clock
        self.step = step
        self.alert_limit = LOG_LIMIT
        self._posted: dict[str, int] = {}
        self._logs: dict[Severity, list[_Entry]] = {severity: [] for severity in Severity}
        self._erased: dict[Severity, list[int]] = {severity: [] for severity in Severity}
        self._posted_to = dict.fromkeys(Severity, 0)
        self._channels: dict[str, _Channel] = {}
        self._tokens = 0
        self._fleet = FleetBook()

    async def post_alerts(self, tenant: str, alerts: Sequence[Alert]) -> int:
        await self.step("post_alerts")
        return self._post(tenant, alerts)

    async def alerts(self, before: str | None, limit: int) -> tuple[list[AlertRow], str | None]:
        await self.step("alerts")
        older = [entry for entry in self._logs[Severity.INFO] if before is None or entry.number < int(before)]
        rows = [AlertRow(str(entry.number), entry.alert) for entry in reversed(older[-limit:])]
        return rows, rows[-1].id if len(rows) == limit else None

    def _forget_alerts(self, tenant: str) -> None:
        self._posted.pop(tenant, None)
        for severity, log in self._logs.items():
            self._erased[severity] += [entry.nth for entry in log if entry.alert.tenant == tenant]
            del self._erased[severity][: -self.alert_limit]
            log[:] = [entry for entry in log if entry.alert.tenant != tenant]

    async def peek_channel(self, name: str, least: Severity) -> ChannelPeek:
        await self.step("peek_channel")
        now, log = self.clock(), self._logs[least]
        channel = self._channels.get(name)
        if channel is None:
            news = [entry for entry in log[-1000:] if entry.at >= now - NEWS_FROM]
            cursor = news[0].number - 1 if news else self._posted_to[Severity.INFO]
            channel = self._channels[name] = _Channel(least, cursor, self._nth_at(least, cursor), now)
        if channel.least is not least:
            channel.least, channel.nth = least, self._nth_at(least, channel.cursor)
        if now > channel.seen_at + MINUTE:
            channel.seen_at = now
        waiting = self._after(least, channel.cursor)
        critical = self._after(Severity.CRITICAL, channel.cursor)
        return ChannelPeek(
            now=now,
            cursor=channel.cursor,
            pending=self._pending(channel),
            first_at=_no_later_than(waiting[0].at, now) if waiting else None,
            critical_at=_no_later_than(critical[0].at, now) if critical else None,
            sent_at=_no_later_than(channel.sent_at or 0, now),
            retry_at=_no_later_than(channel.retry_at or 0, now + channel.wait),
            leased_until=_no_later_than(channel.leased_until, now + channel.lease),
            more=channel.more,
        )

    async def claim_channel(self, name: str, cursor: int, lease: int) -> Delivery | None:
        await self.step("claim_channel")
        now, channel = self.clock(), self._channels.get(name)
        if channel is None or channel.cursor != cursor:
            return None
        retry_at = _no_later_than(channel.retry_at or 0, now + channel.wait)
        if max(retry_at, _no_later_than(channel.leased_until, now + channel.lease)) > now:
            return None
        waiting = self._after(channel.least, cursor)
        sent = waiting[:TOLD_AT_ONCE]
        if not sent:
            return None
        self._tokens += 1
        channel.token, channel.leased_until, channel.lease = str(self._tokens), now + lease, lease
        channel.sends = (channel.least, sent[-1].nth, len(waiting) > len(sent))
        return Delivery(
            token=channel.token,
            upto=sent[-1].number,
            alerts=tuple(entry.alert for entry in sent),
            dropped=sent[-1].nth - channel.nth - len(sent) - self._erased_in(channel, sent[-1].nth),
            unreadable=0,
            attempts=channel.attempts,
        )

    async def delivered(self, name: str, delivery: Delivery) -> bool:
        await self.step("delivered")
        channel = self._leased(name, delivery)
        if channel is None or channel.sends is None:
            return False
        channel.cursor, channel.sent_at = delivery.upto, self.clock()
        channel.least, channel.nth, channel.more = channel.sends
        channel.delivered += len(delivery.alerts)
        channel.dropped += delivery.dropped
        channel.attempts, channel.retry_at, channel.failing_since, channel.error = 0, None, None, None
        return True

    async def failed(self, name: str, delivery: Delivery, wait: int, reason: str) -> bool:
        await self.step("failed")
        channel = self._leased(name, delivery)
        if channel is None:
            return False
        now = self.clock()
        channel.attempts += 1
        channel.retry_at, channel.wait, channel.error = now + wait, wait, reason
        channel.failing_since = now if channel.failing_since is None else channel.failing_since
        return True

    async def channels(self) -> list[ChannelState]:
        await self.step("channels")
        cut = self.clock() - CONFIGURED_WITHIN
        found = []
        for name, one in sorted(self._channels.items()):
            waiting = self._after(one.least, one.cursor)
            state = ChannelState(
                name, one.least, self._pending(one), one.delivered, one.dropped, one.attempts, one.sent_at,
                one.retry_at, one.failing_since, one.error, waiting[0].at if waiting else None,
            )  # fmt: skip
            found += [state] if one.seen_at >= cut else []
        return found

    async def load_fleet(self) -> FleetBook:
        await self.step("load_fleet")
        return self._fleet

    async def commit_fleet(self, fleet: FleetBook, alerts: Sequence[Alert]) -> bool:
        await self.step("commit_fleet")
        if fleet.version != self._fleet.version:
            return False
        self._fleet = replace(fleet, version=fleet.version + 1)
        self._post("", alerts)
        return True

    def _post(self, tenant: str, alerts: Sequence[Alert]) -> int:
        now, new = self.clock(), 0
        for alert in alerts:
            if alert.serial <= self._posted.get(tenant, 0):
                continue
            self._posted[tenant] = alert.serial
            new += 1
            number = self._posted_to[Severity.INFO] + 1
            for severity in Severity:
                if severity.rank <= alert.severity.rank:
                    self._posted_to[severity] += 1
                    self._logs[severity].append(_Entry(number, self._posted_to[severity], now, alert))
                    del self._logs[severity][: -self.alert_limit]
        return new

    def _after(self, least: Severity, cursor: int) -> list[_Entry]:
        return [entry for entry in self._logs[least] if entry.number > cursor]

    def _nth_at(self, least: Severity, cursor: int) -> int:
        """Which of a log's alerts the last one up to a number is."""
        waiting = self._after(least, cursor)
        return waiting[0].nth - 1 if waiting else self._posted_to[least]

    def _erased_in(self, channel: _Channel, upto: int) -> int:
        return sum(channel.nth < nth <= upto for nth in self._erased[channel.least])

    def _pending(self, channel: _Channel) -> int:
        newest = self._posted_to[channel.least]
        waits = bool(self._after(channel.least, channel.cursor))
        return newest - channel.nth - self._erased_in(channel, newest) if waits else 0

    def _leased(self, name: str, delivery: Delivery) -> _Channel | None:
        """The channel, its lease given back; None where that is another's by now."""
        channel = self._channels.get(name)
        if channel is None or channel.token != delivery.token:
            return None
        channel.token, channel.leased_until = "", 0
        return channel


def _no_later_than(at: int, latest: int) -> int:
    """An instant; 0 for one that lies further ahead than it can, as after the clock was set back."""
    return at if at <= latest else 0
