"""What one Redis or Valkey server tells of itself."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ResponseError

from worker.store.connect import AsyncClient

_CONFIG = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy", "maxmemory")
_SECTIONS = ("server", "memory", "persistence", "replication")
_SAMPLES = 5
_SILENT = 5
"""Seconds without a word from a replica, which speaks once a second."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server. ``info`` and ``config`` are empty where it does not let this user see them.

    ``ahead`` is by how many seconds this machine's clock is ahead of the server's, ``round_trip`` the median time of a
    call in seconds.
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    ahead: float = 0.0
    round_trip: float = 0.0

    @property
    def software(self) -> str | None:
        """Name and version, None where it does not say."""
        if "valkey_version" in self.info:
            return f"Valkey {self.info['valkey_version']}"
        return f"Redis {self.info['redis_version']}" if "redis_version" in self.info else None

    @property
    def version(self) -> tuple[int, int] | None:
        """The version of Redis whose commands it knows."""
        parts = str(self.info.get("redis_version", "")).split(".")
        return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else None

    @property
    def appendonly(self) -> bool | None:
        """Whether it writes an append-only file."""
        if "aof_enabled" in self.info:
            return bool(self.info["aof_enabled"])
        return self.config["appendonly"] == "yes" if "appendonly" in self.config else None

    @property
    def replicas(self) -> int | None:
        """How many replicas follow it, and have said so in the last seconds."""
        count = self.info.get("connected_slaves")
        if count is None:
            return None
        known = [self.info.get(f"slave{number}") for number in range(int(count))]
        online = [one for one in known if isinstance(one, dict) and one.get("state") == "online"]
        return sum(int(one.get("lag", 0)) <= _SILENT for one in online)

    @property
    def policy(self) -> str | None:
        """What it does when its memory is full."""
        known = self.config.get("maxmemory-policy") or self.info.get("maxmemory_policy")
        return str(known) if known else None

    @property
    def memory(self) -> tuple[int, int] | None:
        """Bytes used, and the limit (0: none)."""
        used, most = self.info.get("used_memory"), self.info.get("maxmemory", self.config.get("maxmemory"))
        return (int(used), int(most)) if used is not None and most is not None else None


async def read_facts(
    client: AsyncClient, *, node: object = None, clock: Callable[[], float] = time.time
) -> ServerFacts:
    """Ask a server, or one node of a cluster, about itself.

    Raises:
        RedisError, OSError: it can't be asked.
    """
    there: dict[str, Any] = {} if node is None else {"target_nodes": node}
    ahead, trips = [], []
    for _ in range(_SAMPLES):
        began, start = clock(), time.perf_counter()
        seconds, micros = await client.time(**there)
        trips.append(time.perf_counter() - start)
        ahead.append(began + trips[-1] / 2 - (int(seconds) + int(micros) / 1_000_000))
    quickest = min(range(_SAMPLES), key=lambda index: trips[index])
    info: dict[str, Any] = {}
    config: dict[str, str] = {}
    with contextlib.suppress(ResponseError):
        for section in _SECTIONS:  # one by one, as servers before 7.0 take them
            info |= await client.info(section, **there)
    with contextlib.suppress(ResponseError):
        for name in _CONFIG:
            found = await client.config_get(name, **there)
            config |= {str(key): str(value) for key, value in found.items()}
    return ServerFacts(info, config, ahead[quickest], sorted(trips)[_SAMPLES // 2])
