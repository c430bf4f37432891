"""What befalls a server's files while it is away and what it may write while it runs, and what the door says then."""

import resource
import shutil
import signal
from pathlib import Path

from tests.e2e.deployment import event
from tests.storm.row import Row
from worker.embedded import EmbeddedServer


def refused_at_the_door(row: Row) -> bool:
    """Whether the door says that it can't take an event just now, and when to come again. The event says nothing new:
    one that is refused may be in all the same."""
    answer = row.storm.deployment.publish(event(row.tenants[0], "never_there", "user.removed"))
    assert answer.status_code in (202, 503), answer.text
    return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0


def empty(server: EmbeddedServer) -> None:
    """Have a killed server come back with nothing."""
    shutil.rmtree(_folder(server))


def append_only_file(server: EmbeddedServer) -> Path:
    """The file that a server appends its writes to."""
    return max(_folder(server).glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def cut(server: EmbeddedServer, size: int) -> None:
    """Take the last bytes of a killed server's file away."""
    path = append_only_file(server)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - size)


def tear(server: EmbeddedServer) -> None:
    """Leave half a write at the end of a killed server's file."""
    with append_only_file(server).open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$11\r\nseats:nev")


def fill_disk(server: EmbeddedServer, room: int) -> None:
    """Let a server write so many bytes more into its file, and no more until there is room again."""
    limit = append_only_file(server).stat().st_size + room
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, hard))


def free_disk(server: EmbeddedServer) -> None:
    """There is room again."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


def told_of_a_full_disk(binary: Path, folder: Path) -> Path:
    """A program that runs a server which is told by an error, as by a full disk, that it has written too much. Without
    it the system's signal would end it."""
    path = folder / "server"
    path.write_text(f"#!/bin/sh\ntrap '' {signal.SIGXFSZ.name.removeprefix('SIG')}\nexec '{binary}' \"$@\"\n")
    path.chmod(0o700)
    return path


def _folder(server: EmbeddedServer) -> Path:
    return server.data_dir / "appendonlydir"
