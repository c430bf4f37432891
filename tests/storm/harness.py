"""A deployment in a storm: processes that are killed, stopped and started, and come back as under a supervisor."""

import os
import signal
import subprocess
import threading
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.e2e.deployment import Deployment, eventually
from tests.storm.crovver import StormCrovver

Then = Literal["kill", "stop"]
"""What a process does to itself at its failpoint: SIGKILL or SIGSTOP."""

WATCHDOG = 70
"""The exit code of a process that ended itself because a part of it had died."""


class _StormDeployment(Deployment):
    """Workers and schedulers may be started through ``tests.storm.worker``, with a failpoint or in a hurry."""

    def __init__(self, folder: Path, redis_url: str, crovver: StormCrovver, settings: dict[str, str]) -> None:
        super().__init__(folder, redis_url, crovver, **settings)
        self.launched: dict[str, list[str]] = {}

    def command(self, name: str) -> list[str]:
        if name in self.launched:
            return ["tests.storm.worker", *self.launched[name]]
        return super().command(name)


class Storm:
    """Real processes over a Redis and a Crovver, and what befalls them.

    ``hurry`` makes its processes so many times less patient, with calls, claims and leases alike; ``least_hold`` is
    then how long an upgrade whose claim ran out is held at least, in seconds. Processes that end by themselves are
    started anew and noted in ``ended``; exit codes other than those in ``may_end_with`` fail the storm when it is over.
    Safe to use from several threads.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        crovver: StormCrovver,
        *,
        hurry: float = 1.0,
        least_hold: float = 600.0,
        **settings: str,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.deployment = _StormDeployment(folder, redis_url, crovver, {"SEATS_SETTLE_SECONDS": "0.1", **settings})
        self.crovver = crovver
        self.hurry = hurry
        self.least_hold = least_hold
        self.ended: list[tuple[str, int]] = []
        self.may_end_with = {WATCHDOG, -signal.SIGKILL}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Self:
        self._supervisor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._supervisor.join()
        for process in self.deployment.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        self.deployment.__exit__(kind, error, traceback)
        if kind is None:
            unforeseen = [(name, code) for name, code in self.ended if code not in self.may_end_with]
            assert not unforeseen, f"ended by themselves: {unforeseen}; {self.log(unforeseen[0][0])[-2000:]}"
            doubled = self.crovver.doubled(set(self.crovver.workspaces))
            assert not doubled, f"checkouts made beside others: {doubled}"

    def start(self, *names: str, failpoint: str | None = None, then: Then = "kill") -> Self:
        """Start processes: ``web``, ``worker``, ``scheduler``, each perhaps with a number; one of each by default.

        ``failpoint`` is a name of ``tests.storm.worker.Point``: there each of these workers does ``then`` to itself,
        once. The supervisor starts it again without.
        """
        with self._lock:
            for name in names or ("web", "worker", "scheduler"):
                command = name.rstrip("0123456789")
                options = ["--failpoint", failpoint, "--then", then] if failpoint else []
                if self.hurry != 1.0:
                    options += ["--hurry", str(self.hurry), "--least-hold", str(self.least_hold)]
                self.deployment.launched.pop(name, None)
                if options and command != "web":
                    self.deployment.launched[name] = [*options, command]
                self.deployment.start(name)
        return self

    def ready(self, *names: str) -> Self:
        """Wait until these processes have said that they are ready."""
        for name in names or tuple(self.deployment.processes):
            eventually(partial(self._is_ready, name), 60, f"{name} to be ready")
        return self

    def _is_ready(self, name: str) -> bool:
        return self.deployment.times_ready(name) > self.deployment.begun[name]

    def kill(self, name: str) -> None:
        """End a process with SIGKILL; it stays away until it is started."""
        with self._lock:
            self.deployment.kill(name)

    def crash(self, name: str) -> None:
        """End a process with SIGKILL, to be started again by its supervisor."""
        with self._lock:
            self.deployment.processes[name].kill()

    def stop(self, name: str) -> int:
        """End a process with SIGTERM, and wait; its exit code. It stays away until it is started."""
        with self._lock:
            return self.deployment.stop(name)

    def freeze(self, name: str) -> None:
        """Stop a process with SIGSTOP until it is thawed."""
        self.process(name).send_signal(signal.SIGSTOP)
        eventually(lambda: self.is_frozen(name), what=f"{name} to be stopped")

    def thaw(self, name: str) -> None:
        """Let a stopped process go on."""
        self.process(name).send_signal(signal.SIGCONT)

    def is_frozen(self, name: str) -> bool:
        """Whether a process is stopped, by ``freeze`` or by itself."""
        return _stat(self.process(name).pid)[0] in ("T", "t")

    def process(self, name: str) -> subprocess.Popen[bytes]:
        with self._lock:
            return self.deployment.processes[name]

    def resident(self, name: str) -> int:
        """Bytes of memory that a process holds."""
        return int(_stat(self.process(name).pid)[21]) * os.sysconf("SC_PAGE_SIZE")

    def times_ended(self, name: str) -> int:
        """How often a process ended without being told to."""
        return sum(who == name for who, _ in self.ended)

    def log(self, name: str) -> str:
        return self.deployment.log(name).read_text(errors="replace")

    def _supervise(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                found = [(name, one.poll()) for name, one in self.deployment.processes.items()]
                for name, code in found:
                    if code is not None:
                        self.ended.append((name, code))
                        self.start(name)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: the state first, the resident pages at 21."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
