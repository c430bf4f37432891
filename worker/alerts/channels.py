"""Channels: messages sent over Apprise, which knows a hundred services by their URLs.

Those URLs are secrets, and Apprise's own words may hold parts of them, so nothing it says is passed on: neither to logs
nor in errors.
"""

import logging
import re
from collections.abc import Iterable
from typing import Any

from worker.alerts.digest import ROOM, Message
from worker.alerts.routing import Route
from worker.core.alerts import Severity
from worker.settings.errors import ConfigError

_NAME = "Seat Reconciler"
_LEAST_ROOM = 60
_TYPES = {None: "success", Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
_STATUS = re.compile(r"\berror=(\d{3})\b")


class ChannelError(Exception):
    """A message could not be delivered. ``str()`` says why in words that anybody may read."""


class Channel:
    """One place that alerts go to. Sending blocks, so it belongs in a thread; one at a time."""

    def __init__(self, route: Route, service: Any, room: int) -> None:  # noqa: ANN401 (Apprise is not typed)
        self.route = route
        self.room = room
        self._service = service

    @property
    def name(self) -> str:
        return self.route.name

    def send(self, message: Message) -> None:
        """Deliver a message.

        Raises:
            ChannelError: it was not taken, or nobody knows whether it was.
        """
        try:
            result = self._service.notify(
                body=message.body, title=message.title, notify_type=_TYPES[message.severity], body_format="text"
            )
            said = [entry.message for entry in result.logs()] if not result else []
        except Exception as error:
            raise ChannelError(f"the service's plugin failed ({type(error).__name__})") from None
        if not result:
            raise ChannelError(_reason(said))


def open_channel(route: Route) -> Channel:
    """The channel of a route. Nothing is sent, and nothing is connected to.

    Raises:
        ConfigError: Apprise is not installed, or does not take the URL.
    """
    try:
        import apprise
        from apprise.common import OverflowMode
    except ImportError:
        remedy = "install the package with its extra: pip install 'seat-reconciler[alerts]'"
        raise ConfigError(route.setting, "is set, but Apprise is not installed", remedy) from None
    _silence("apprise")
    # No time limit of Apprise's own: it would hand the call to a pool of threads that all channels share.
    asset = apprise.AppriseAsset(app_id=_NAME, app_desc=_NAME, app_url="", async_mode=False, service_timeout=0)
    try:
        plugin = apprise.Apprise.instantiate(route.url, asset=asset)
    except Exception:
        plugin = None
    if plugin is None:
        problem = f"holds a URL that Apprise does not take ({route.name})"
        raise ConfigError(route.setting, problem, "compare it with Apprise's page about that service")
    if "overflow=" not in route.url:
        plugin.overflow_mode = OverflowMode.SPLIT
    service = apprise.Apprise(asset=asset)
    service.add(plugin)
    # A service without titles has the title in the body.
    title = 0 if plugin.title_maxlen else 130
    return Channel(route, service, max(_LEAST_ROOM, min(ROOM, plugin.body_maxlen - title)))


def open_channels(routes: Iterable[Route]) -> dict[str, Channel]:
    """Channels by name.

    Raises:
        ConfigError: as `open_channel` does.
    """
    return {route.name: open_channel(route) for route in routes}


def _reason(said: Iterable[str]) -> str:
    """Why Apprise says it failed, in one of a few fixed phrases."""
    text = " ".join(said)
    if match := _STATUS.search(text):
        return f"the service answered with HTTP {match[1]}"
    if re.search(r"time[d]?[ -]?out", text, re.IGNORECASE):
        return "the service did not answer in time"
    if re.search(r"connection|socket", text, re.IGNORECASE):
        return "no connection to the service, or no answer in time"
    return "the service did not take it"


def _silence(name: str) -> None:
    """Keep what this logger says from every log; Apprise reads its own words all the same."""
    logger = logging.getLogger(name)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
