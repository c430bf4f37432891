"""The server of the state dies under load, again and again, and comes back with its data or with a torn end of it."""

import random
import time
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import server_binary
from tests.storm import servers
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

EVERYBODY = ("web", "worker", "scheduler")


@pytest.fixture(scope="module")
def valkey(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    binary = server_binary(getattr(request, "param", "valkey"))
    with EmbeddedServer(binary=binary, appendfsync="always") as running:
        yield running


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedServer) -> Iterator[Storm]:
    crovver = StormCrovver()
    with Storm(tmp_path_factory.mktemp("storm"), valkey.url, crovver) as storm:
        yield storm.start(*EVERYBODY).ready()
    crovver.close()


@pytest.mark.parametrize("valkey", ["valkey", "redis"], indirect=True)
def test_killed_under_load_again_and_again(row: Row, valkey: EmbeddedServer) -> None:
    row.begin()
    rng = random.Random(row.name)
    for _ in range(5):
        row.accept(15)
        valkey.kill()
        time.sleep(rng.uniform(0, 1.0))
        valkey.restart()
    row.weathered()


@pytest.mark.parametrize("valkey", ["valkey"], indirect=True)
def test_killed_in_the_middle_of_a_write(row: Row, valkey: EmbeddedServer) -> None:
    """What comes after the last whole write was promised to nobody."""
    row.begin()
    for _ in range(3):
        row.accept(15)
        valkey.kill()
        servers.tear(valkey)
        valkey.restart()
    row.weathered()


@pytest.mark.parametrize("valkey", ["valkey"], indirect=True)
def test_the_end_of_its_file_is_cut_off_within_a_write(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    row.begin()
    for _ in range(2):
        row.accept(15)
        for name in EVERYBODY:
            storm.freeze(name)
        with redis.Redis.from_url(valkey.url) as client:
            # The write that is cut is nobody's: one that was answered for is on the disk.
            client.set("torn", "0123456789")
            valkey.kill()
            servers.cut(valkey, len("56789\r\n"))
            valkey.restart()
            assert client.get("torn") is None
        for name in EVERYBODY:
            storm.thaw(name)
    row.weathered()
