"""The machine that was measured on, and how noisy it was meanwhile."""

import os
import platform
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from worker.embedded import find_binary


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on."""

    cpu: str
    cores: int
    kernel: str
    python: str
    server: str


@dataclass(frozen=True, slots=True)
class Noise:
    """How still the machine was. ``wobble`` is how far apart the slowest and the fastest run of one and the same loop
    were, as a part of the median; ``elsewhere`` the part of all processor time that others took, the hypervisor's
    guests included. Both are 0 on a machine that does nothing else."""

    wobble: float
    loops: int
    elsewhere: float
    load_before: float
    load_after: float


def describe() -> Machine:
    server = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        server=" ".join(server.split()[:3]),
    )


class NoiseMeter:
    """Listens to the machine from its making on."""

    def __init__(self) -> None:
        self._loops: list[float] = []
        self._busy, self._ours = _busy_seconds(), _our_seconds()
        self._began, self._load = time.monotonic(), os.getloadavg()[0]

    def tick(self) -> None:
        """Time the loop once more; takes some 20 ms."""
        began = time.perf_counter()
        total = 0
        for number in range(200_000):
            total += number
        self._loops.append(time.perf_counter() - began)

    def read(self) -> Noise:
        """What was heard so far. Our own started processes count as ours once they have ended."""
        loops = self._loops or [1.0]
        others = (_busy_seconds() - self._busy) - (_our_seconds() - self._ours)
        whole = max(time.monotonic() - self._began, 0.001) * (os.cpu_count() or 1)
        return Noise(
            wobble=(max(loops) - min(loops)) / statistics.median(loops),
            loops=len(self._loops),
            elsewhere=min(max(others / whole, 0.0), 1.0),
            load_before=self._load,
            load_after=os.getloadavg()[0],
        )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _busy_seconds() -> float:
    """Processor time spent on this machine since it started, by whomever: all but idle and waiting for disks."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _our_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
