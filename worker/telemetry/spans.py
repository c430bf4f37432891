"""What this program tells of its traces, wherever they go."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

Kind = Literal["server", "consumer"]
Value = str | int | bool

MOST_LINKS = 100
"""Requests that one reconcile is linked to; a burst may have come in more."""


class Spans(Protocol):
    """Makes spans. None of it ever raises, waits, or carries a secret: attributes are ids and outcomes."""

    def span(self, name: str, kind: Kind, *, parent: str = "", **attributes: Value) -> AbstractContextManager[str]:
        """A span for what happens within; yields its ``traceparent`` (W3C Trace Context), '' where nothing is traced.

        ``parent`` is the ``traceparent`` a caller sent. An exception from within marks the span as failed by its kind.
        """

    def note(self, **attributes: Value) -> None:
        """Add attributes to the span that is open."""

    def link(self, traces: Iterable[str]) -> None:
        """Link the span that is open to those that led to it, by their ``traceparent``."""

    def ended(self, name: str, seconds: float, *, failed: bool, **attributes: Value) -> None:
        """A call to elsewhere that ended just now and took so long, as a span below the one that is open."""


class NoSpans:
    """Nothing is traced."""

    def span(self, name: str, kind: Kind, *, parent: str = "", **attributes: Value) -> AbstractContextManager[str]:
        return nullcontext("")

    def note(self, **attributes: Value) -> None: ...

    def link(self, traces: Iterable[str]) -> None: ...

    def ended(self, name: str, seconds: float, *, failed: bool, **attributes: Value) -> None: ...
