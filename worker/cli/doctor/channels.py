"""The channels alerts go to: understood, reachable, and, where asked for, sent a test message."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.request import getproxies

from worker.alerts.channels import Channel, ChannelError, open_channel
from worker.alerts.digest import Message
from worker.alerts.routing import Route, routes_of
from worker.cli.doctor.findings import Finding, better, fix, good
from worker.cli.doctor.reach import unreachable
from worker.core.alerts import Severity
from worker.settings import AlertUrl, ConfigError, Settings

SEND_SECONDS = 8.0
_OWN_SERVER = ("json", "xml", "form", "gotify", "mailto")
"""Schemes, also with an s, whose URL names a server that is spoken to over TCP. Others name an account or a room of a
service whose address their plugin knows."""


async def examine_channels(settings: Settings, *, send_test: bool) -> list[Finding]:
    """A finding a channel, or one that there is none."""
    routes = routes_of(_entries(settings.alert_urls), _entries(settings.alert_link_urls))
    if not routes:
        return [
            better(
                "alerts",
                "SEATS_ALERT_URLS is not set: alerts stand in the log alone",
                "set it to Apprise URLs such as mailto://… or slack://…, then try `seats doctor --send-test`",
            )
        ]
    return list(await asyncio.gather(*(_examine(route, send_test=send_test) for route in routes)))


def _entries(urls: Sequence[AlertUrl]) -> list[tuple[str, Severity]]:
    return [(one.url.get_secret_value(), Severity(one.least)) for one in urls]


async def _examine(route: Route, *, send_test: bool) -> Finding:
    subject = f"alert channel {route.name}"
    try:
        channel = await asyncio.to_thread(open_channel, route)
    except ConfigError as error:
        return fix(subject, f"{error.setting} {error.problem}", error.remedy)
    address = await asyncio.to_thread(server_of, route.url)
    if address is not None and (reason := await unreachable(*address)):
        return fix(
            subject, f"its server can't be reached: {reason}", f"check its URL in {route.setting}, and that host"
        )
    if not send_test:
        seen = "understood by Apprise" if address is None else "understood by Apprise, and its server can be reached"
        return good(subject, f"{seen}; `--send-test` sends a message")
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await asyncio.to_thread(channel.send, _test_message(channel))
    except ChannelError as error:
        return fix(subject, f"it did not take a test message: {error}", f"check its URL in {route.setting}")
    except TimeoutError:
        seen = f"it took no test message within {SEND_SECONDS:g} s"
        return fix(subject, seen, f"check its URL in {route.setting}, and the network in between")
    return good(subject, "took a test message; see that it has arrived")


def server_of(url: str) -> tuple[str, int] | None:
    """Host and port that a channel's messages are sent to; None where its URL does not tell, or a proxy is used."""
    scheme = url.partition("://")[0].lower()
    if scheme.removesuffix("s") not in _OWN_SERVER or getproxies():
        return None
    import apprise

    plugin: Any = apprise.Apprise.instantiate(url)
    host = getattr(plugin, "smtp_host", None) or plugin.host
    return str(host), int(plugin.port or (443 if plugin.secure else 80))


def _test_message(channel: Channel) -> Message:
    return Message(
        title="Seat Reconciler: a test",
        body=f"Sent by `seats doctor --send-test` to {channel.name}. "
        f"Alerts of severity {channel.route.least} and worse come here.",
        severity=Severity.INFO,
    )
