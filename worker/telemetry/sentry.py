"""Errors for Sentry. Nothing but ``telemetry.setup`` imports this, and only where a DSN is set.

What is logged as an error is sent, redacted as the log is: no local variables, no requests, no breadcrumbs, and none of
the integrations by which Sentry would hook itself into other libraries.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, cast

import sentry_sdk
from sentry_sdk.utils import event_from_exception

from worker.logs.redaction import redact, redacted

if TYPE_CHECKING:
    from sentry_sdk.transport import Transport
    from sentry_sdk.types import Event, Hint

SHUTDOWN_SECONDS: Final = 2
TEXT_KEPT: Final = 8_000
_ITS_OWN: Final = ("sentry_sdk", "urllib3")
_SAID: Final = ("message", "logentry", "exception", "threads", "extra", "tags", "request", "user", "breadcrumbs")


def report_errors(dsn: str, process: str, transport: type[Transport] | None = None) -> logging.Handler:
    """Send what is logged as an error from now on; the handler that does it. ``transport`` takes the place of HTTP.

    Raises:
        sentry_sdk.utils.BadDsn: the DSN can't be used.
    """
    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        shutdown_timeout=SHUTDOWN_SECONDS,
        before_send=_scrubbed,
        transport=transport,
    )
    sentry_sdk.set_tag("process", process)
    handler = ErrorHandler(logging.ERROR)
    logging.getLogger().addHandler(handler)
    return handler


def stop(handler: logging.Handler) -> None:
    """Send what waits to be sent, for two seconds at most, and nothing more."""
    logging.getLogger().removeHandler(handler)
    sentry_sdk.get_client().close(timeout=SHUTDOWN_SECONDS)


class ErrorHandler(logging.Handler):
    """Makes a Sentry event of each log record: structlog's, whose message is its entry, and others'."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _ITS_OWN:
            return
        # The log has it in any case; what logging does by default here prints a record's arguments as they are.
        with contextlib.suppress(Exception):
            sentry_sdk.capture_event(*self._event(record))

    def _event(self, record: logging.LogRecord) -> tuple[Event, Hint]:
        entry = dict(record.msg) if isinstance(record.msg, dict) else {"event": record.getMessage()}
        error = _error(entry.pop("exc_info", None) or record.exc_info)
        event: Event = {}
        hint: Hint = {}
        if error is not None:
            event, hint = event_from_exception(error, client_options=sentry_sdk.get_client().options)
        message = str(entry.pop("event", ""))
        plain = redact(None, "", {key: value for key, value in entry.items() if not key.startswith("_")})
        level: Any = record.levelname.lower().replace("critical", "fatal")
        told: Event = {"level": level, "logger": record.name, "message": message, "extra": {**plain}}
        return {**event, **told}, hint


def _error(given: object) -> BaseException | None:
    """The exception that an ``exc_info`` of any kind stands for."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _scrubbed(event: Event, hint: Hint) -> Event:
    """The event without anything that looks like a secret; ids and times Sentry needs stay as they are."""
    said: dict[str, object] = {part: event[part] for part in _SAID if part in event}
    return cast("Event", {**event, **{part: _masked(value) for part, value in said.items()}})


def _masked(value: object) -> object:
    if isinstance(value, str):
        return redacted(value, TEXT_KEPT)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items() if key != "vars"}
    return [_masked(item) for item in value] if isinstance(value, list | tuple) else value
