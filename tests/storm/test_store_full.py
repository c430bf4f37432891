"""The server of the state has no memory, or no room on its disk: the door refuses, and nothing that it took is lost."""

import time
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import server_binary
from tests.e2e.deployment import eventually
from tests.storm import servers
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def valkey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Told of a full disk by an error."""
    binary = servers.told_of_a_full_disk(server_binary("valkey"), tmp_path_factory.mktemp("server"))
    with EmbeddedServer(binary=binary, appendfsync=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[Storm]:
    crovver = StormCrovver()
    with Storm(tmp_path_factory.mktemp("storm"), valkey.url, crovver) as storm:
        yield storm.start().ready()
    crovver.close()


@pytest.mark.parametrize("valkey", ["everysec"], indirect=True)
def test_out_of_memory_twice(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    row.begin()
    with redis.Redis.from_url(valkey.url) as client:
        for _ in range(2):
            row.accept(20)
            client.config_set("maxmemory", "1")
            eventually(lambda: servers.refused_at_the_door(row), 30, "the door to refuse")
            eventually(lambda: storm.deployment.answers("/readyz") == 503, 30, "readiness to tell")
            time.sleep(3)  # queues can take nothing and give nothing back meanwhile
            client.config_set("maxmemory", "0")
    row.weathered()


@pytest.mark.parametrize("valkey", ["everysec"], indirect=True)
def test_a_full_disk_twice(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    """A server that need not sync each write goes on reading, and refuses to write until there is room."""
    row.begin()
    for _ in range(2):
        row.accept(20)
        servers.fill_disk(valkey, room=2_000)
        eventually(lambda: servers.refused_at_the_door(row), 30, "the door to refuse")
        assert "can't save to its disk" in storm.deployment.seats("doctor").stdout
        assert valkey.running
        servers.free_disk(valkey)
    row.weathered()


@pytest.mark.parametrize("valkey", ["always"], indirect=True)
def test_a_full_disk_beneath_a_server_that_syncs_each_write(row: Row, valkey: EmbeddedServer) -> None:
    """It ends itself rather than promise what it can't keep, and is started again once there is room."""
    row.begin()
    for _ in range(2):
        row.accept(20)
        servers.fill_disk(valkey, room=2_000)
        eventually(lambda: not valkey.running, 30, "the server to give up")
        assert servers.refused_at_the_door(row)
        valkey.restart()
    row.weathered()
