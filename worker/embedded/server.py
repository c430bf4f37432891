"""One server process: how it is configured, started, ended, and started again.

It listens on the loopback interface alone, keeps its data in an append-only file, and ends with the process that
started it, even if that one is killed without warning.
"""

import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self
from urllib.parse import quote

from worker.embedded.binary import EmbeddedError, find_binary
from worker.embedded.guard import Guard

_HOST = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections (from 32768 on Linux, 49152 on macOS), and
# so are the ports of a cluster's bus, 10,000 higher. Otherwise a client that keeps reconnecting while the server is
# away can be given the server's own port, connect to itself, and keep the server from ever coming back.
_PORTS = range(11_000, 22_000)
_PORT_TRIES = 20

_STOP_SECONDS = 10.0
_ERROR = re.compile(rb"^-", re.MULTILINE)
_PROCESS_ID = re.compile(rb"^process_id:(\d+)\r$", re.MULTILINE)


class EmbeddedServer:
    """One server process, used as a context manager or by `start` and `stop`.

    - ``data_dir``: where the data is kept and found again. None: a temporary directory, removed at the end.
    - ``port``: None chooses a free one. It stays the same over `restart`.
    - ``appendfsync``: ``always`` keeps every accepted write over a power cut, ``everysec`` over a kill of the server.
    - ``password``: asked of clients where given; it is in `url`, and never on a command line.
    - ``binary``: another server than `find_binary` finds, such as Debian's ``redis-server``.
    - ``include``: a configuration file read before this class's own lines, which win.
    - ``extra``: lines of configuration read last, which win, such as ``("cluster-enabled yes",)``.

    Not safe to use from several threads at once. A forked child may use `url`; starting and stopping in it do nothing.
    """

    def __init__(
        self,
        *,
        data_dir: Path | None = None,
        port: int | None = None,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        password: str | None = None,
        binary: Path | None = None,
        include: Path | None = None,
        extra: Sequence[str] = (),
        start_seconds: float = 20.0,
    ) -> None:
        self._data_dir = data_dir
        self._wanted_port = port
        self._appendfsync = appendfsync
        self._password = password
        self._binary = binary
        self._include = include
        self._extra = tuple(extra)
        self._start_seconds = start_seconds
        self._owner = os.getpid()
        self._home: Path | None = None
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1.

        Raises:
            EmbeddedError: not started yet.
        """
        if self._port is None:
            raise EmbeddedError("the embedded server has not been started")
        return self._port

    @property
    def url(self) -> str:
        """``redis://…`` with the password, if there is one.

        Raises:
            EmbeddedError: not started yet.
        """
        credentials = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{credentials}{_HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            EmbeddedError: it is not running.
        """
        if self._process is None:
            raise EmbeddedError("the embedded server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """The process lives."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        # It ended by itself and its number is free for others now: the guard must forget it.
        self.kill()
        return False

    @property
    def data_dir(self) -> Path:
        """Where the data is.

        Raises:
            EmbeddedError: not started yet, or stopped and its temporary directory gone.
        """
        if self._data_dir is not None:
            return self._data_dir
        if self._home is None:
            raise EmbeddedError("the embedded server has no data directory unless it is started")
        return self._home / "data"

    def start(self) -> None:
        """Start the server and wait until it answers. Does nothing if it runs.

        Raises:
            EmbeddedError: no server to start, one that ends or does not answer in time, a data directory in use.
        """
        if self.running or not self._owned:
            return
        deadline = time.monotonic() + self._start_seconds
        binary = self._binary or find_binary()
        if self._home is None:
            # Private to this user: it holds the password, the log, and data that may name people.
            self._home = Path(tempfile.mkdtemp(prefix="seats-"))
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            for port in self._ports():
                if self._try_port(binary, port, deadline):
                    return
            raise EmbeddedError(f"no free port for the embedded server\n{self._log_tail()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, letting it finish its writes, and remove its temporary directory. May be called twice."""
        self._end()
        if self._owned and self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def kill(self) -> None:
        """End the server at once, as a crash would; its data stays for `restart`."""
        if not self._owned or self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def restart(self) -> None:
        """Start again on the same port and data, after `kill` or after ending a server that runs.

        Raises:
            EmbeddedError: as `start`.
        """
        self._end()
        self.start()

    def _end(self) -> None:
        if self._owned and self._process is not None and self._process.poll() is None:
            self._process.terminate()
            # A stopped process does not see the signal before it goes on.
            self._process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    @property
    def _owned(self) -> bool:
        return os.getpid() == self._owner

    def _ports(self) -> Iterator[int]:
        fixed = self._port or self._wanted_port
        if fixed is not None:
            yield fixed
            return
        for port in random.sample(_PORTS, _PORT_TRIES):
            with socket.socket() as probe:
                try:
                    probe.bind((_HOST, port))
                except OSError:
                    continue
            yield port

    def _try_port(self, binary: Path, port: int, deadline: float) -> bool:
        """Start on one port. False if another process has taken it meanwhile."""
        assert self._home is not None
        config = self._home / "server.conf"
        config.write_text(self._config(port), encoding="utf-8")
        log = self._home / "server.log"
        with _locked(self.data_dir, deadline) as lock, log.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    [binary, config],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    # Of its own session, so that Ctrl-C reaches this process, which then stops it in good order.
                    start_new_session=True,
                    # The server holds the lock on its data: another can start on it only once this one has ended.
                    pass_fds=(lock.fileno(),),
                )
            except OSError as error:
                raise EmbeddedError(f"{binary} cannot be started: {error.strerror}") from None
        self._guard = Guard(self._process.pid, self._home)
        while not self._answers(port):
            if self._process.poll() is not None:
                taken = "in use" in self._log_tail()
                self.kill()
                if taken and self._port is None and self._wanted_port is None:
                    return False
                raise EmbeddedError(f"the embedded server ended at its start:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the embedded server did not answer within {self._start_seconds:g} s:\n{self._log_tail()}"
                )
            time.sleep(0.005)
        self._port = port
        return True

    def _config(self, port: int) -> str:
        lines = [
            f"bind {_HOST}",
            f"port {port}",
            "protected-mode yes",
            "daemonize no",
            'logfile ""',
            f"dir {_quoted(str(self.data_dir.resolve()))}",
            # Every write is appended to a file; no snapshots, and nothing is ever dropped to make room.
            "appendonly yes",
            f"appendfsync {self._appendfsync}",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        if self._include is not None:
            lines.insert(0, f"include {_quoted(str(self._include.resolve()))}")
        if self._password is not None:
            lines.append(f"requirepass {_quoted(self._password)}")
        return "\n".join([*lines, *self._extra, ""])

    def _answers(self, port: int) -> bool:
        """Whether this very process answers: another may have had the port first."""
        assert self._process is not None
        commands = [["PING"], ["INFO", "server"]]
        if self._password is not None:
            commands.insert(0, ["AUTH", self._password])
        request = b"".join(
            f"*{len(command)}\r\n".encode()
            + b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in command)
            for command in commands
        )
        reply = b""
        with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=0.5) as connection:
            connection.sendall(request)
            while not (identity := _PROCESS_ID.search(reply)):
                chunk = connection.recv(65536)
                if not chunk:
                    return False
                reply += chunk
                # "-LOADING …" or "-NOAUTH …": not ready yet, or not ours.
                if _ERROR.search(reply):
                    return False
            return int(identity[1]) == self._process.pid
        return False

    def _log_tail(self) -> str:
        try:
            assert self._home is not None
            lines = (self._home / "server.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-8:])


@contextlib.contextmanager
def _locked(data_dir: Path, deadline: float) -> Iterator[IO[bytes]]:
    """Hold the lock on a data directory, which two servers writing to would ruin."""
    with (data_dir / "seats.lock").open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"another server is using {data_dir}: stop it, or name another") from None
            time.sleep(0.01)
        yield lock


def _quoted(text: str) -> str:
    """A word of the server's configuration file."""
    if not text.isprintable():
        raise EmbeddedError("the embedded server's paths and password must be printable")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
