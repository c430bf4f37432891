"""The watchdog: ends a worker process whose inner parts have died, so that its supervisor starts a new one.

A consumer thread that is gone is silent: the process would look healthy and never work again.
"""

import os
import threading
from collections.abc import Callable

import structlog
from dramatiq import Worker
from dramatiq.asyncio import get_event_loop_thread

log = structlog.get_logger(__name__)

EXIT_CODE = 70
CHECK_EVERY = 2.0
BEATS_MISSED = 15
"""Checks in a row that the event loop may leave unanswered. Counted, not timed: a machine that was suspended, or a
process that was stopped, finds that much time has passed, and nothing is wrong."""


class Watchdog(threading.Thread):
    """Checks that every thread of a worker lives and that its event loop answers.

    ``end`` is called with an exit code when they do not; the default ends the process at once.
    """

    def __init__(self, worker: Worker, end: Callable[[int], object] = os._exit) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._worker = worker
        self._end = end
        self._stopped = threading.Event()
        self._unanswered = 0

    def stop(self) -> None:
        """Stop watching; a worker that is shutting down may let its threads end."""
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.wait(CHECK_EVERY):
            problem = self.problem()
            if problem is not None and not self._stopped.is_set():
                log.critical("this worker process ends itself", reason=problem)
                self._end(EXIT_CODE)
                return

    def problem(self) -> str | None:
        """What has died, None where everything lives."""
        threads = [*self._worker.consumers.values(), *self._worker.workers]
        dead = [type(thread).__name__ for thread in threads if not thread.is_alive()]
        if dead:
            return f"{len(dead)} threads have died ({dead[0]})"
        loop = get_event_loop_thread()
        if loop is None or not loop.is_alive():
            return "the event loop has died"
        if self._unanswered > BEATS_MISSED:
            return "the event loop does not answer"
        self._unanswered += 1
        loop.loop.call_soon_threadsafe(self._beat)
        return None

    def _beat(self) -> None:
        self._unanswered = 0
