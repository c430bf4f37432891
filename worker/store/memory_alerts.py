"""Alerts in memory: the part of the in-memory store that keeps their log, their channels and the fleet's book."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from worker.core.alerts import Alert, Severity
from worker.core.times import MINUTE
from worker.store.alert_log import (
    CHANNEL_FORGOTTEN_AFTER,
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
    at: int
    alert: Alert


@dataclass(slots=True)
class _Channel:
    least: Severity
    cursor: int
    seen_at: int
    token: str = ""
    leased_until: int = 0
    attempts: int = 0
    retry_at: int | None = None
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
        self._numbers = dict.fromkeys(Severity, 0)
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
        for log in self._logs.values():
            log[:] = [entry for entry in log if entry.alert.tenant != tenant]

    async def peek_channel(self, name: str, least: Severity) -> ChannelPeek:
        await self.step("peek_channel")
        now, log = self.clock(), self._logs[least]
        channel = self._channels.get(name)
        if channel is None or channel.least is not least:
            news = [entry for entry in log[-1000:] if entry.at >= now - NEWS_FROM]
            cursor = news[0].number - 1 if news else self._numbers[least]
            channel = self._channels[name] = _Channel(least, cursor, now)
        if now > channel.seen_at + MINUTE:
            channel.seen_at = now
        pending = [entry for entry in log if entry.number > channel.cursor]
        critical = [entry.at for entry in pending if entry.alert.severity is Severity.CRITICAL]
        return ChannelPeek(
            now=now,
            cursor=channel.cursor,
            pending=self._numbers[least] - channel.cursor,
            first_at=pending[0].at if pending else None,
            critical_at=critical[0] if critical else None,
            sent_at=channel.sent_at or 0,
            retry_at=channel.retry_at or 0,
            leased_until=channel.leased_until,
        )

    async def claim_channel(self, name: str, cursor: int, lease: int) -> Delivery | None:
        await self.step("claim_channel")
        now, channel = self.clock(), self._channels.get(name)
        if channel is None or channel.cursor != cursor or max(channel.retry_at or 0, channel.leased_until) > now:
            return None
        newest = self._numbers[channel.least]
        if newest <= cursor:
            return None
        pending = [entry for entry in self._logs[channel.least] if entry.number > cursor][:TOLD_AT_ONCE]
        self._tokens += 1
        channel.token, channel.leased_until = str(self._tokens), now + lease
        return Delivery(
            token=channel.token,
            upto=pending[-1].number if pending else newest,
            alerts=tuple(entry.alert for entry in pending),
            dropped=pending[0].number - cursor - 1 if pending else newest - cursor,
            unreadable=0,
            attempts=channel.attempts,
        )

    async def delivered(self, name: str, delivery: Delivery) -> bool:
        await self.step("delivered")
        channel = self._leased(name, delivery)
        if channel is None:
            return False
        channel.cursor, channel.sent_at = delivery.upto, self.clock()
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
        channel.retry_at, channel.error = now + wait, reason
        channel.failing_since = now if channel.failing_since is None else channel.failing_since
        return True

    async def channels(self) -> list[ChannelState]:
        await self.step("channels")
        cut = self.clock() - CHANNEL_FORGOTTEN_AFTER
        return [
            ChannelState(
                name, one.least, self._numbers[one.least] - one.cursor, one.delivered, one.dropped, one.attempts,
                one.sent_at, one.retry_at, one.failing_since, one.error,
            )
            for name, one in sorted(self._channels.items())
            if one.seen_at > cut
        ]  # fmt: skip

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
            for severity in Severity:
                if severity.rank <= alert.severity.rank:
                    self._numbers[severity] += 1
                    self._logs[severity].append(_Entry(self._numbers[severity], now, alert))
                    del self._logs[severity][: -self.alert_limit]
        return new

    def _leased(self, name: str, delivery: Delivery) -> _Channel | None:
        """The channel, its lease given back; None where that is another's by now."""
        channel = self._channels.get(name)
        if channel is None or channel.token != delivery.token:
            return None
        channel.token, channel.leased_until = "", 0
        return channel
