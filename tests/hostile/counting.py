"""How many cases ran, how much memory they took, and how long each may take."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings

CASE_SECONDS: Final = 5.0
"""Of processor time that a single case may take, so that a busy machine fails nobody."""

GROWTH_MIB: Final = 400
"""By how much a process may grow over one fuzzer's run, what hypothesis remembers of its cases included."""


def budget(default: int, share: int = 1) -> int:
    """How many cases a fuzzer runs: FUZZ_CASES divided by ``share``, or so many."""
    wanted = os.environ.get("FUZZ_CASES")
    return max(1, int(wanted) // share) if wanted else default


def cases(default: int, share: int = 1) -> settings:
    """Hypothesis's settings for a fuzzer: as many cases as are wanted, none of them judged by the clock on the wall.

    A search that was asked for is another one each time, CI or not.
    """
    profile = settings(max_examples=budget(default, share), deadline=None, suppress_health_check=list(HealthCheck))
    return settings(profile, derandomize=False) if "FUZZ_CASES" in os.environ else profile


class Counter:
    """The cases of one test."""

    def __init__(self) -> None:
        self.cases = 0
        self.peak = self.begin = _resident()

    @property
    def growth(self) -> float:
        """MiB above where it began."""
        return (self.peak - self.begin) / 1_048_576

    @contextlib.contextmanager
    def case(self) -> Iterator[None]:
        """Count a case, and hold it to its time."""
        began = time.thread_time()
        yield
        took = time.thread_time() - began
        assert took < CASE_SECONDS, f"one case took {took:.1f} s of processor time"
        self.cases += 1
        if self.cases % 50 == 1:
            self.look()

    def look(self) -> None:
        """See how large the process is now."""
        self.peak = max(self.peak, _resident())


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not tell."""
    return resident(os.getpid())


def resident(pid: int) -> int:
    """Bytes of a process in memory; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
