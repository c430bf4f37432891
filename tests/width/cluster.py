"""A Valkey Cluster: primaries with a replica each, slots that move between them, and primaries that are replaced."""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any, Literal, Self

import redis
from redis.crc import key_slot

from tests.e2e.deployment import eventually
from tests.storm.sentinel import AT_ONCE, role
from worker.embedded import EmbeddedServer

SLOTS = 16384
NODE_TIMEOUT_MS = 2_000
KEYS_AT_ONCE = 100

Way = Literal["key by key", "at once"]
"""How slots move: with SETSLOT and MIGRATE, as every Redis does it, or with MIGRATESLOTS of Valkey 9."""


class Cluster:
    """The servers of a cluster. They end with this process, however that ends.

    ``address`` is where clients and nodes find them: an address of this machine's own, which is listened on beside the
    loopback interface's usual one.
    """

    def __init__(self, *, primaries: int = 3, address: str = "127.0.0.1") -> None:
        self.address = address
        self.servers: list[EmbeddedServer] = []
        self._primaries = primaries
        self._stack = ExitStack()
        self._clients: dict[int, redis.Redis] = {}

    def __enter__(self) -> Self:
        try:
            for _ in range(2 * self._primaries):
                server = self._stack.enter_context(EmbeddedServer(extra=self._options()))
                self.servers.append(server)
                self._clients[server.port] = self._stack.enter_context(
                    redis.Redis.from_url(server.url, socket_timeout=10)
                )
            self._form()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        nodes = ",".join(f"{self.address}:{server.port}" for server in self.servers)
        return f"redis+cluster://{nodes}"

    def ask(self, server: EmbeddedServer, *words: str | int) -> Any:
        """The reply of one node to a command."""
        return self._clients[server.port].execute_command(*words)  # type: ignore[no-untyped-call]

    def primaries(self) -> list[EmbeddedServer]:
        """The servers that have slots, as one of them sees it."""
        return [server for server in self.servers if self.slots_had_by(server)]

    def slots_had_by(self, server: EmbeddedServer) -> set[int]:
        """The slots that a server is primary of."""
        found: set[int] = set()
        for bounds in self._seen(server).get("slots", ()):
            found.update(range(int(bounds[0]), int(bounds[-1]) + 1))
        return found

    def owner(self, slot: int) -> EmbeddedServer:
        """The primary that has a slot."""
        return next(server for server in self.servers if slot in self.slots_had_by(server))

    def owner_of_key(self, key: str) -> EmbeddedServer:
        return self.owner(key_slot(key.encode()))

    def replica_of(self, primary: EmbeddedServer) -> EmbeddedServer:
        """The replica of a primary."""
        ident = self._ident(primary)
        return next(server for server in self.servers if self._seen(server).get("master_id") == ident)

    def failed_over(self, old: EmbeddedServer, seconds: float = 60) -> EmbeddedServer:
        """The server that has the slots of one that was killed, once all that live agree and take commands again."""
        replica = next(server for server in self.servers if self._seen(server).get("master_id") == self._ident(old))
        eventually(lambda: role(replica)[0] == "master", seconds, "a failover")
        eventually(lambda: all(map(self._is_whole, self._alive())), seconds, "the cluster to be whole again")
        return replica

    def rejoin(self, server: EmbeddedServer, seconds: float = 60) -> None:
        """Start a killed server again, and wait until it follows the one that stands in for it."""
        server.restart()
        self._wait_to_follow(server, seconds)

    @contextmanager
    def alone(self, primary: EmbeddedServer) -> Iterator[None]:
        """Nothing that a primary writes in here reaches its replica before the end."""
        replica = self.replica_of(primary)
        self.cut_off(replica)
        try:
            yield
        finally:
            self.let_follow(replica)
            self._wait_to_follow(replica, 60)

    def cut_off(self, replica: EmbeddedServer) -> None:
        """From now on nothing that its primary writes reaches a replica, and nobody else notices."""
        self.ask(replica, "CONFIG", "SET", "masteruser", "nobody", "masterauth", "nothing")
        self.ask(replica, "CLIENT", "KILL", "TYPE", "master")
        eventually(lambda: role(replica)[1] == "down", 30, "a replica to be cut off")

    def let_follow(self, replica: EmbeddedServer) -> None:
        """A replica that was cut off may follow again."""
        self.ask(replica, "CONFIG", "SET", "masteruser", "", "masterauth", "")

    def move(self, slots: Collection[int], to: EmbeddedServer, way: Way, pause: float = 0.0) -> int:
        """Give slots to a primary, with all that is in them; how many keys that were.

        ``pause`` is how long each slot that has keys stays halfway between the two, in seconds.
        """
        moved = 0
        for source in self.primaries():
            theirs = sorted(self.slots_had_by(source).intersection(slots))
            if theirs and source is not to:
                move = self._move_at_once if way == "at once" else self._move_by_keys
                moved += move(source, theirs, to, pause)
        eventually(lambda: self.slots_had_by(to).issuperset(slots), 30, "all to know who has the slots")
        eventually(lambda: all(map(self._is_whole, self._alive())), 30, "the cluster to be whole")
        return moved

    def open_slot(self, slot: int, source: EmbeddedServer, to: EmbeddedServer) -> None:
        """A slot is on its way: what is not in it any more is asked for at the other server."""
        self.ask(to, "CLUSTER SETSLOT", slot, "IMPORTING", self._ident(source))
        self.ask(source, "CLUSTER SETSLOT", slot, "MIGRATING", self._ident(to))

    def carry(self, slot: int, source: EmbeddedServer, to: EmbeddedServer, *, pause: float = 0.0) -> int:
        """Move what is in a slot that is on its way, half of it at a time where there is a ``pause``; how many keys."""
        moved = 0
        while keys := self.ask(source, "CLUSTER GETKEYSINSLOT", slot, KEYS_AT_ONCE):
            half = keys[: (len(keys) + 1) // 2] if pause else keys
            self.ask(source, "MIGRATE", self.address, to.port, "", 0, 5_000, "KEYS", *half)
            moved += len(half)
            time.sleep(pause)
        return moved

    def close_slot(self, slot: int, source: EmbeddedServer, to: EmbeddedServer) -> None:
        """A slot has arrived."""
        for server in (to, source):
            self.ask(server, "CLUSTER SETSLOT", slot, "NODE", self._ident(to))

    def _move_by_keys(self, source: EmbeddedServer, slots: Sequence[int], to: EmbeddedServer, pause: float) -> int:
        moved = 0
        for slot in slots:
            self.open_slot(slot, source, to)
            moved += self.carry(slot, source, to, pause=pause)
            self.close_slot(slot, source, to)
        return moved

    def _move_at_once(self, source: EmbeddedServer, slots: Sequence[int], to: EmbeddedServer, pause: float) -> int:
        keys = sum(self.ask(source, "CLUSTER COUNTKEYSINSLOT", slot) for slot in slots)
        ranges = [bound for first, last in _ranges(slots) for bound in (first, last)]
        self.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *ranges, "NODE", self._ident(to))
        eventually(lambda: self.slots_had_by(to).issuperset(slots), 60, "slots to be moved")
        time.sleep(pause)
        return int(keys)

    def _options(self) -> tuple[str, ...]:
        elsewhere = () if self.address == "127.0.0.1" else (f"bind 127.0.0.1 {self.address}", "protected-mode no")
        return (
            "cluster-enabled yes",
            f"cluster-node-timeout {NODE_TIMEOUT_MS}",
            f"cluster-announce-ip {self.address}",
            # A replica that was cut off takes over all the same: whoever tests for lost writes wants it to.
            "cluster-replica-validity-factor 0",
            # Replicas stay with their primaries, also where another one has none.
            "cluster-allow-replica-migration no",
            AT_ONCE,
            *elsewhere,
        )

    def _form(self) -> None:
        first, count = self.servers[0], self._primaries
        for number, server in enumerate(self.servers):
            self.ask(server, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number < count:
                begin, beyond = (SLOTS * at // count for at in (number, number + 1))
                self.ask(server, "CLUSTER ADDSLOTSRANGE", begin, beyond - 1)
            if number:
                self.ask(server, "CLUSTER MEET", self.address, first.port)
        eventually(lambda: all(map(self._is_whole, self.servers)), 60, "the cluster to form")
        for number, replica in enumerate(self.servers[count:]):
            self.ask(replica, "CLUSTER REPLICATE", self._ident(self.servers[number]))
        for replica in self.servers[count:]:
            self._wait_to_follow(replica, 60)
        eventually(lambda: all(map(self._is_replicated, self.servers)), 60, "all to know of the replicas")

    def _wait_to_follow(self, replica: EmbeddedServer, seconds: float) -> None:
        eventually(lambda: role(replica) == ("slave", "up"), seconds, "a replica to follow")

    def _alive(self) -> list[EmbeddedServer]:
        return [server for server in self.servers if server.running]

    def _is_whole(self, server: EmbeddedServer) -> bool:
        found = self.ask(server, "CLUSTER INFO")
        known = found["cluster_state"], found["cluster_slots_ok"], found["cluster_known_nodes"]
        return bool(known == ("ok", str(SLOTS), str(len(self.servers))))

    def _is_replicated(self, server: EmbeddedServer) -> bool:
        nodes: dict[str, dict[str, Any]] = self.ask(server, "CLUSTER NODES")
        return sum("slave" in node["flags"] for node in nodes.values()) == self._primaries

    def _ident(self, server: EmbeddedServer) -> str:
        return str(self._seen(server)["node_id"])

    def _seen(self, server: EmbeddedServer) -> dict[str, Any]:
        """What the others know of a server: the first that lives, as it is."""
        nodes: dict[str, dict[str, Any]] = self.ask(self._alive()[0], "CLUSTER NODES")
        return next(node for name, node in nodes.items() if int(name.split("@")[0].rpartition(":")[2]) == server.port)


def slots_of(keys: Iterable[str]) -> set[int]:
    """The slots that keys are in."""
    return {key_slot(key.encode()) for key in keys}


def _ranges(slots: Sequence[int]) -> list[tuple[int, int]]:
    """Sorted slots as ranges without gaps."""
    breaks = [at for at, (one, other) in enumerate(pairwise(slots), 1) if other != one + 1]
    return [(slots[begin], slots[beyond - 1]) for begin, beyond in pairwise([0, *breaks, len(slots)])]
