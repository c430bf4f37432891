"""Connections by URL."""

import asyncio
from pathlib import Path

import pytest
import redis

from worker.embedded import EmbeddedServer
from worker.store.connect import BadRedisURL, connect, connect_sync


def test_a_unix_socket_is_connected_to_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with EmbeddedServer(extra=(f"unixsocket {path}",)):
        client = connect_sync(f"unix://{path}")
        assert client.ping()
        client.close()

        async def ping() -> bool:
            there = connect(f"unix://{path}")
            try:
                return bool(await there.execute_command("PING"))
            finally:
                await there.aclose()

        assert asyncio.run(ping())


def test_the_brokers_client_repeats_nothing() -> None:
    assert connect_sync("redis://127.0.0.1:1", retries=0).get_retry().get_retries() == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("url", ["http://x", "redis://", "redis+sentinel://h:1", "redis+sentinel://h/service", ""])
def test_a_url_that_can_not_be_used_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(BadRedisURL):
        connect(url)
    with pytest.raises(BadRedisURL) as refused:
        connect_sync("redis+cluster://user:secret-word@h:1")
    assert "secret-word" not in str(refused.value)


def test_a_sentinel_url_makes_a_client_of_its_service() -> None:
    client = connect_sync("redis+sentinel://h1:26379,h2:26379/mymaster/2")
    assert isinstance(client, redis.Redis)
    assert client.connection_pool.connection_kwargs["db"] == 2
