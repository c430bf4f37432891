"""The processes that are measured: pinned to a core, ended with their block, and asked what they have used."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import redis

from tests.cli.running import descendants, environment
from tests.processes import alive
from worker.embedded import EmbeddedServer

_TICKS = os.sysconf("SC_CLK_TCK")
STOP_WITHIN = 60.0
Fsync = Literal["always", "everysec", "off"]
"""When the server flushes its append-only file; ``off``: it keeps none."""


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Have this thread, and the processes it starts, stay on one core (None: on any)."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """A process that was started here, and those it has started itself."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._log = log

    def pids(self) -> set[int]:
        return {self.pid, *descendants(self.pid)}

    def cpu(self) -> float:
        """Seconds of processor time used so far."""
        return sum(_cpu(pid) for pid in self.pids())

    def rss(self) -> int:
        """Bytes in memory."""
        return sum(resident(pid) for pid in self.pids())

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def wait_for(self, word: str, seconds: float = 30.0) -> None:
        """Return when it has said a word, such as ``worker ready``."""
        deadline = time.monotonic() + seconds
        while word not in self.log():
            if not alive(self.pid) or time.monotonic() > deadline:
                raise RuntimeError(f"it never said {word!r}:\n{self.log()[-3000:]}")
            time.sleep(0.02)


@contextlib.contextmanager
def started(
    command: Sequence[str], *, core: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Start a Python module (``command`` is what comes after ``python -m``), pinned, and end it with the block."""
    with tempfile.TemporaryDirectory(prefix="seats-bench-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as output, pinned(core):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],
                cwd=folder,
                env={**environment(settings or {}), "PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield Process(process.pid, log)
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Valkey:
    """A running server with nothing on it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.url = server.url
        self.pid = server.pid
        self.client = redis.Redis.from_url(server.url)

    def cpu(self) -> float:
        """Seconds of processor time its main thread has used so far, by its own account."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user_main_thread"]) + float(used["used_cpu_sys_main_thread"])

    def used_memory(self) -> int:
        """Bytes of data it holds, buffers of clients included."""
        return int(self.client.info("memory")["used_memory"])

    def dataset(self) -> int:
        """Bytes that its keys and values take."""
        return int(self.client.memory_stats()["dataset.bytes"])

    def empty(self) -> None:
        self.client.flushall()


@contextlib.contextmanager
def valkey(fsync: Fsync = "everysec", *, core: int | None = None) -> Iterator[Valkey]:
    """A Valkey of its own on a free loopback port, pinned with all its threads. It never rewrites its append-only file:
    that would fall into some rounds and not into others."""
    extra = ("auto-aof-rewrite-percentage 0", *(["appendonly no"] if fsync == "off" else []))
    server = EmbeddedServer(appendfsync="no" if fsync == "off" else fsync, extra=extra)
    with pinned(core):
        server.start()
    with server:
        running = Valkey(server)
        try:
            yield running
        finally:
            running.client.close()


def resident(pid: int) -> int:
    """Bytes of a process in memory; 0 where it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _cpu(pid: int) -> float:
    """Seconds of processor time of a process and of those of its children that it has waited for."""
    with contextlib.suppress(OSError):
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, numbers[11:15])) / _TICKS
    return 0.0
