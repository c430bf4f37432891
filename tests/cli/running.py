"""How these tests run `seats`: as a process, and look at what is left of it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.canaries import Where
from tests.watch import saw

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-P", "-m", "worker.cli"]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This one without its settings, and with those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SEATS_")}
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


def seats(*arguments: str, cwd: Path, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment(settings or {}), capture_output=True, text=True, timeout=60
    )
    saw(Where.COMMAND, f"seats {' '.join(arguments)}", done.stdout + done.stderr)
    return done


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
        if not process.stdout.closed:
            saw(Where.COMMAND, f"seats {' '.join(arguments)}", _unread(process.stdout.fileno()))
        process.stdout.close()


def _unread(pipe: int) -> bytes:
    """What is left in a pipe. Its other end may still be open: a process may have left some of its own behind."""
    os.set_blocking(pipe, False)
    parts = []
    with contextlib.suppress(BlockingIOError):
        while part := os.read(pipe, 1 << 16):
            parts.append(part)
    return b"".join(parts)


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
