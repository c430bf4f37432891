"""A primary, its replicas, and the Sentinels that put one of them in its place."""

import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tests.e2e.deployment import eventually, free_port
from tests.storm.proxy import Proxy
from worker.embedded import EmbeddedServer, find_binary
from worker.embedded.guard import Guard

SERVICE = "storm"
DOWN_AFTER_MS = 1_000
AT_ONCE = "repl-diskless-sync-delay 0"
"""A primary's patience for more replicas to come, before it sends one of them its data."""

RARELY_MS = 120_000
"""How long a Sentinel lets a replica that follows something else than the primary's own address, such as a proxy."""


class Sentinel:
    """A Sentinel process. It ends with this one, however that ends."""

    def __init__(self, primary: int, quorum: int, failover_timeout: int) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="seats-sentinel-", ignore_cleanup_errors=True)
        self.port = free_port()
        config, log = Path(self._home.name, "sentinel.conf"), Path(self._home.name, "sentinel.log")
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self._home.name}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} {failover_timeout}",
        ]
        config.write_text("\n".join([*lines, ""]))
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [find_binary(), config, "--sentinel"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._guard = Guard(self._process.pid, Path(self._home.name))
        self._client = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)

    def primary(self) -> int:
        """The port of the server that is primary as far as this Sentinel knows."""
        try:
            address = self._ask("GET-MASTER-ADDR-BY-NAME")
        except redis.ConnectionError:
            return 0
        return int(address[1])

    def knows(self, replicas: int, others: int) -> bool:
        """Whether it knows that many replicas that follow, and that many other Sentinels."""
        try:
            replica_rows, other_rows = self._ask("REPLICAS"), self._ask("SENTINELS")
        except redis.ConnectionError:
            return False
        # Only what it knows of a replica from the replica itself makes it one that may take over.
        known = [row for row in replica_rows if "down" not in row["flags"] and row["master-link-status"] == "ok"]
        return len(known) >= replicas and len(other_rows) >= others

    def _ask(self, what: str) -> Any:
        return self._client.execute_command("SENTINEL", what, SERVICE)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self._client.close()
        self._process.kill()
        self._process.wait()
        self._guard.dismiss()
        self._home.cleanup()


class Watched:
    """Servers under Sentinels. ``links`` are the proxies through which the replicas follow, where ``linked``."""

    def __init__(self, *, replicas: int, sentinels: int, linked: bool = False) -> None:
        self._stack = ExitStack()
        self._counts = replicas, sentinels
        self._linked = linked
        self.servers: list[EmbeddedServer] = []
        self.links: list[Proxy] = []
        self.sentinels: list[Sentinel] = []

    def __enter__(self) -> Self:
        replicas, sentinels = self._counts
        try:
            self.servers.append(self._stack.enter_context(EmbeddedServer(extra=(AT_ONCE,))))
            for _ in range(replicas):
                port = self.servers[0].port
                if self._linked:
                    self.links.append(self._stack.enter_context(Proxy(port)))
                    port = self.links[-1].port
                self.follow(port)
            primary = self.servers[0].port
            for _ in range(sentinels):
                self.sentinels.append(Sentinel(primary, sentinels // 2 + 1, RARELY_MS if self._linked else 5_000))
                self._stack.callback(self.sentinels[-1].close)
            eventually(
                lambda: all(one.knows(replicas, sentinels - 1) for one in self.sentinels), 60, "Sentinels to know all"
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self.servers:
            if server.running:
                os.kill(server.pid, signal.SIGCONT)
        self._stack.close()

    @property
    def url(self) -> str:
        nodes = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{nodes}/{SERVICE}"

    @property
    def primary(self) -> EmbeddedServer:
        """The server that most Sentinels take for the primary."""
        ports = [sentinel.primary() for sentinel in self.sentinels]
        return next(server for server in self.servers if ports.count(server.port) > len(ports) // 2)

    def follow(self, port: int) -> EmbeddedServer:
        """A new replica of the server at a port, up to date."""
        replica = self._stack.enter_context(EmbeddedServer(extra=(AT_ONCE, f"replicaof 127.0.0.1 {port}")))
        self.servers.append(replica)
        eventually(lambda: role(replica) == ("slave", "up"), 60, "a replica to follow")
        return replica

    def failed_over(self, old: EmbeddedServer, seconds: float = 60) -> EmbeddedServer:
        """The server that stands in for ``old``, once it does."""

        def found() -> EmbeddedServer | None:
            try:
                now = self.primary
            except StopIteration:  # the Sentinels do not agree yet
                return None
            return now if now is not old and role(now)[0] == "master" else None

        there = eventually(found, seconds, "a failover")
        assert there is not None
        return there


def role(server: EmbeddedServer) -> tuple[str, str]:
    """A server's role as it sees it itself, and, of a replica, whether its link to the primary is up."""
    with redis.Redis.from_url(server.url, socket_timeout=2) as client:
        try:
            info = client.info("replication")
        except redis.RedisError:
            return "unknown", ""
    return str(info["role"]), str(info.get("master_link_status", ""))
