"""How these tests run `seats`: as a process, and look at what is left of it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-P", "-m", "worker.cli"]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This one without its settings, and with those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATS_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def seats(*arguments: str, cwd: Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment(settings or {}), capture_output=True, text=True, timeout=60
    )


@contextlib.contextmanager
def started(*arguments: str, cwd: Path, settings: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a command that runs until it is stopped, at the latest when its test is over, however that ends."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(settings or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    below: dict[int, list[int]] = {}
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        below.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in below.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found
