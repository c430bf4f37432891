"""A small supervisor: several `seats` processes run as one, restarted when they die, stopped in order.

Each child is in a session of its own, so that Ctrl-C reaches the supervisor alone, which then stops them in the reverse
order of their start. A child also ends by itself when the supervisor is gone without a word (`worker.cli.parent`).
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from worker.cli.children import command_line
from worker.cli.errors import BAD_USAGE

FIRST_BACKOFF = 0.5
LAST_BACKOFF = 30.0
STEADY_SECONDS = 30.0
"""A child that ran this long before it died is started again without a long wait."""

TICK = 0.05
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Child:
    """One process to run: ``arguments`` are those of `seats`, ``environment`` is the whole of it.

    ``restart`` says that it is started again when it dies, unless it says (by its exit code) that its configuration is
    bad.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    restart: bool = False


class ChildEnded(Exception):
    """A child that is not to be restarted has ended. ``code`` is its exit code, negative for a signal."""

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.code = code
        super().__init__(f"{name} {how_it_ended(code)}")


def how_it_ended(code: int) -> str:
    """An exit code of a child in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


@dataclass(slots=True)
class _Running:
    """A child and how it fares."""

    child: Child
    process: subprocess.Popen[bytes]
    started_at: float
    reader: threading.Thread | None
    deaths: int = 0
    start_again_at: float | None = None


class Supervisor:
    """Starts, watches and stops children; a context manager that leaves none behind.

    - ``on_line(name, line)``: gets each line that a child writes, from a thread of its own. None: children write where
      this process does.
    - ``on_event(name, text)``: told when a child dies and is started again.
    - ``stop_seconds``: how long one child may take to stop before it is killed.
    """

    def __init__(
        self,
        *,
        on_line: Callable[[str, str], None] | None = None,
        on_event: Callable[[str, str], None] = lambda name, text: None,
        stop_seconds: float = 10.0,
    ) -> None:
        self._on_line = on_line
        self._on_event = on_event
        self._stop_seconds = stop_seconds
        self._running: dict[str, _Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each child that runs."""
        return {name: one.process.pid for name, one in self._running.items() if one.process.poll() is None}

    def start(self, child: Child) -> None:
        """Start a child. Names are unique."""
        assert child.name not in self._running
        process, reader = self._spawn(child)
        self._running[child.name] = _Running(child, process, time.monotonic(), reader)

    def tend(self) -> None:
        """Look after the children once: note who died, and start again whose turn has come.

        Raises:
            ChildEnded: one has ended that is not to be restarted, or whose configuration is bad.
        """
        now = time.monotonic()
        for name, one in self._running.items():
            code = one.process.poll()
            if code is None:
                continue
            if one.start_again_at is None:
                self._mourn(one, code, now)
            elif now >= one.start_again_at:
                one.process, one.reader = self._spawn(one.child)
                one.started_at, one.start_again_at = now, None
                self._on_event(name, f"started again as process {one.process.pid}")

    def run(self, stop_requests: Callable[[], int]) -> int:
        """Tend until asked to stop, then stop; asked twice, kill. The exit code is a child's where it ended the run."""
        try:
            while not stop_requests():
                self.tend()
                time.sleep(TICK)
            code = 0
        except ChildEnded as ended:
            self._on_event(ended.name, how_it_ended(ended.code))
            code = ended.code if ended.code > 0 else 1
        self.stop(lambda: stop_requests() > 1)
        return code

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop all children, the last one started first, killing whoever takes too long, or all in a hurry."""
        for one in reversed(list(self._running.values())):
            deadline = time.monotonic() + self._stop_seconds
            if one.process.poll() is None:
                one.process.terminate()
            while one.process.poll() is None and time.monotonic() < deadline and not hurry():
                time.sleep(0.01)
            if hurry():
                break
            self._kill(one)
        for one in self._running.values():
            self._kill(one)
            if one.reader is not None:
                one.reader.join(1.0)
        self._running.clear()

    def _mourn(self, one: _Running, code: int, now: float) -> None:
        child = one.child
        if not child.restart or code == BAD_USAGE:
            raise ChildEnded(child.name, code)
        one.deaths = 1 if now - one.started_at > STEADY_SECONDS else one.deaths + 1
        wait = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(one.deaths - 1, 10))
        one.start_again_at = now + wait
        self._on_event(child.name, f"{how_it_ended(code)}; it is started again in {wait:g} s")

    def _spawn(self, child: Child) -> tuple[subprocess.Popen[bytes], threading.Thread | None]:
        read = self._on_line is not None
        process = subprocess.Popen(
            command_line(child.arguments),
            # Never written to: its end tells the child that this process is gone.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if read else None,
            stderr=subprocess.STDOUT if read else None,
            env=dict(child.environment),
            cwd=child.cwd,
            start_new_session=True,
        )
        if not read:
            return process, None
        assert process.stdout is not None
        reader = threading.Thread(target=self._pass_on, args=(child.name, process.stdout), daemon=True)
        reader.start()
        return process, reader

    def _pass_on(self, name: str, output: IO[bytes]) -> None:
        assert self._on_line is not None
        with contextlib.suppress(OSError, ValueError):
            while line := output.readline(_LONGEST_LINE):
                self._on_line(name, line.decode("utf-8", "replace").rstrip("\r\n"))

    def _kill(self, one: _Running) -> None:
        if one.process.poll() is None:
            # Its whole group: whatever it started may not have noticed yet.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()
        if one.process.stdin is not None:
            with contextlib.suppress(OSError):
                one.process.stdin.close()
