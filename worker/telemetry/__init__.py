"""Traces for OpenTelemetry and errors for Sentry: both off, and not even imported, unless a setting names where to."""

from worker.telemetry.setup import telemetry
from worker.telemetry.spans import NoSpans, Spans

__all__ = ["NoSpans", "Spans", "telemetry"]
