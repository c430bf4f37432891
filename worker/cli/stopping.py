"""Requests to stop: Ctrl-C, SIGTERM, a terminal that goes away."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequests:
    """Counts the requests that come while it is entered, instead of letting them end this process where it stands.

    A command that supervises others looks at ``count`` between its steps, and cleans up in its own time; a second
    request means that it should hurry.
    """

    def __init__(self) -> None:
        self.count = 0
        self.interrupted = False
        self._before: list[tuple[signal.Signals, Any]] = []

    def __enter__(self) -> Self:
        self._before = [(number, signal.signal(number, self._received)) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.interrupted = self.interrupted or number == signal.SIGINT


class _Stopped(BaseException):
    """SIGTERM reached code that has no handler of its own for it (any more)."""


@contextmanager
def stopping_is_success() -> Iterator[None]:
    """Ctrl-C and SIGTERM end what runs in here without an error: stopping is what they asked for.

    A server may handle both signals itself and send them to itself once more when it has finished, as uvicorn does.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except (KeyboardInterrupt, _Stopped):
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
