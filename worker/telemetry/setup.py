"""From settings to what a process tells of itself, and its end."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from worker.settings import Settings
from worker.settings.errors import ConfigError
from worker.telemetry.spans import NoSpans, Spans


@contextmanager
def telemetry(settings: Settings, process: str) -> Iterator[Spans]:
    """Traces and error reports of this process, while in here. To be entered once logging is set up.

    Raises:
        ConfigError: one is asked for whose package is not installed, or whose address can't be used.
    """
    with ExitStack() as ending:
        spans: Spans = NoSpans()
        if settings.sentry_dsn is not None:
            _require("sentry_sdk", "SEATS_SENTRY_DSN", "sentry")
            from sentry_sdk.utils import BadDsn

            from worker.telemetry import sentry

            try:
                handler = sentry.report_errors(settings.sentry_dsn.get_secret_value(), process)
            except BadDsn:
                raise ConfigError("SEATS_SENTRY_DSN", "is no Sentry DSN", "copy it again, in one piece") from None
            ending.callback(sentry.stop, handler)
        if settings.otel_endpoint is not None:
            _require("opentelemetry.exporter.otlp.proto.http", "SEATS_OTEL_ENDPOINT", "otel")
            from worker.telemetry.otel import OtelSpans, provider_to

            provider = provider_to(settings.otel_endpoint, process)
            ending.callback(provider.shutdown)
            spans = OtelSpans(provider)
        yield spans


def _require(module: str, setting: str, extra: str) -> None:
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        found = False
    if not found:
        remedy = f"install seat-reconciler[{extra}], or leave it out"
        raise ConfigError(setting, "is set, and the package it needs is not installed", remedy)
