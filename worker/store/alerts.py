"""Alerts in Redis: their log, how far each channel has been told, and the fleet's alert book.

All of it shares one slot. See ``worker.store.alert_log`` for what is promised.
"""

from collections.abc import Sequence

import structlog

from worker.core.alerts import Alert, Severity
from worker.store.alert_log import (
    CHANNEL_FORGOTTEN_AFTER,
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
from worker.store.codec import Unreadable, decode_alert, decode_book, encode_alert, encode_book
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, command

log = structlog.get_logger(__name__)


class Alerts(RedisRoom):
    """The alert log and its channels in Redis."""

    alert_limit = LOG_LIMIT

    async def post_alerts(self, tenant: str, alerts: Sequence[Alert]) -> int:
        return await self._post(tenant, alerts, ["", "", ""]) if alerts else 0

    async def alerts(self, before: str | None, limit: int) -> tuple[list[AlertRow], str | None]:
        newest = f"({before}-0" if before else "+"
        entries = await self.scripts.run(command("XREVRANGE", self._log(Severity.INFO), newest, "-", "COUNT", limit))
        rows, number = [], ""
        for ident, fields in entries:
            number = text(ident).partition("-")[0]
            body = fields[b"alert"] if isinstance(fields, dict) else fields[-1]
            try:
                rows.append(AlertRow(number, decode_alert(body)))
            except Unreadable:
                continue  # another release's
        return rows, number if len(entries) == limit else None

    async def peek_channel(self, name: str, least: Severity) -> ChannelPeek:
        logs = [self._log(least), self._log(Severity.CRITICAL), self._erased(least)]
        keys = [self._channel(name), self._numbers, *logs, self.keys.alerts("channels")]
        call = Call("peek_channel", keys, [name, least.value, NEWS_FROM, CHANNEL_FORGOTTEN_AFTER])
        reply = map(int, await self.scripts.run(call))
        now, cursor, pending, first_at, critical_at, sent_at, retry_at, until, more = reply
        return ChannelPeek(
            now, cursor, pending,
            None if first_at < 0 else first_at, None if critical_at < 0 else critical_at,
            sent_at, retry_at, until, bool(more),
        )  # fmt: skip

    async def claim_channel(self, name: str, cursor: int, lease: int) -> Delivery | None:
        keys = [self._channel(name), self._numbers, *self._logs, *self._all_erased]
        reply = await self.scripts.run(Call("claim_channel", keys, [cursor, lease, TOLD_AT_ONCE]))
        if not reply:
            return None
        token, upto, dropped, attempts, *bodies = reply
        alerts = []
        for body in bodies:
            try:
                alerts.append(decode_alert(body))
            except Unreadable:
                log.warning("an alert of another release can't be read", channel=name)
        unreadable = len(bodies) - len(alerts)
        return Delivery(text(token), int(upto), tuple(alerts), int(dropped), unreadable, int(attempts))

    async def delivered(self, name: str, delivery: Delivery) -> bool:
        told = len(delivery.alerts) + delivery.unreadable
        return await self._settle(name, [delivery.token, delivery.upto, told, delivery.dropped, 0, ""])

    async def failed(self, name: str, delivery: Delivery, wait: int, reason: str) -> bool:
        return await self._settle(name, [delivery.token, "", 0, 0, wait, reason])

    async def channels(self) -> list[ChannelState]:
        keys = [self.keys.alerts("channels"), self._numbers, *self._logs, *self._all_erased]
        reply = await self.scripts.run(Call("list_channels", keys, [self._channel(""), CONFIGURED_WITHIN]))
        found = []
        for name, least, pending, first_at, delivered, dropped, attempts, sent_at, retry_at, since, error in reply:
            found.append(
                ChannelState(
                    text(name), Severity(text(least)), int(pending), int(delivered), int(dropped), int(attempts),
                    _optional(sent_at), _optional(retry_at), _optional(since), None if error is None else text(error),
                    None if int(first_at) < 0 else int(first_at),
                )
            )  # fmt: skip
        return sorted(found, key=lambda channel: channel.name)

    async def load_fleet(self) -> FleetBook:
        version, serial, book = await self.scripts.run(
            command("HMGET", self.keys.alerts("fleet"), "version", "serial", "book")
        )
        if version is None:
            return FleetBook()
        try:
            return FleetBook(decode_book(book), int(serial), int(version))
        except Unreadable as error:
            log.warning("the fleet's alert book begins anew", reason=str(error))
            return FleetBook((), int(serial), int(version))

    async def commit_fleet(self, fleet: FleetBook, alerts: Sequence[Alert]) -> bool:
        return await self._post("", alerts, [fleet.version, fleet.serial, encode_book(fleet.book)]) >= 0

    async def _post(self, tenant: str, alerts: Sequence[Alert], fleet: Sequence[Arg]) -> int:
        keys = [self.keys.alerts("posted"), self._numbers, *self._logs, self.keys.alerts("fleet")]
        rows = [item for alert in alerts for item in (alert.serial, alert.severity.value, encode_alert(alert))]
        return int(await self.scripts.run(Call("post_alerts", keys, [tenant, self.alert_limit, *fleet, *rows])))

    async def _settle(self, name: str, args: Sequence[Arg]) -> bool:
        return bool(await self.scripts.run(Call("settle_channel", [self._channel(name)], args)))

    @property
    def _numbers(self) -> str:
        return self.keys.alerts("numbers")

    @property
    def _logs(self) -> list[str]:
        return [self._log(severity) for severity in Severity]

    @property
    def _all_erased(self) -> list[str]:
        return [self._erased(severity) for severity in Severity]

    def _log(self, severity: Severity) -> str:
        return self.keys.alerts(f"log:{severity.value}")

    def _erased(self, severity: Severity) -> str:
        return self.keys.alerts(f"erased:{severity.value}")

    def _channel(self, name: str) -> str:
        return self.keys.alerts(f"channel:{name}")


def _optional(reply: bytes | str | None) -> int | None:
    return None if reply is None else int(reply)
