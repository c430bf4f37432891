"""Commands to the node of a cluster that has their key, several over one connection.

redis-py's cluster client keeps the map of nodes and their connections. What it can't do is to send several commands
over one of them, and that is what it takes to ask whether replicas have what was just written (WAIT is about what came
by the same connection), and to follow a key to the node it is on its way to (ASKING is about the next command of its
connection: redis-py may send that over another one, and gives up where it keeps doing so).
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    MovedError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)

from worker.store.wire import Arg, packed

MOST_TRIES: Final = 16
"""Attempts of one exchange: a slot that is being moved refuses scripts until all its keys are there."""

MOST_FAILURES: Final = 3
"""Connections that may fail in one exchange. Every command here may be repeated."""

PAUSE: Final = 0.1
"""Seconds before the next attempt, where nobody has said whom to ask."""

_PRIMARY: Final = "primary"

# The last one is a slot or a primary that the client's map does not have.
_FAILURES: Final = (redis.ConnectionError, redis.TimeoutError, OSError, RedisClusterException, LookupError)


class Nodes:
    """The nodes of a cluster, as its client knows them."""

    def __init__(self, client: RedisCluster) -> None:
        self._client = client

    async def exchange(self, key: str, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """The replies to commands about keys of one slot, in order, of the primary that has it; errors in their places.

        The first is the one that matters: where it is sent elsewhere, or told to wait, all are sent again.

        Raises:
            RedisError: no primary has answered.
        """
        slot = self._client.keyslot(key)
        failures = 0
        asked: ClusterNode | None = None
        for _ in range(MOST_TRIES):
            node: ClusterNode | None = None
            try:
                if self._client.get_default_node() is None:
                    await self._client.initialize()
                node = asked or self._client.nodes_manager.get_node_from_slot(slot)
                replies = await _over_one_connection(node, commands, asking=asked is not None)
                asked = None
                match replies[0]:
                    case MovedError() as moved:
                        await self._client.nodes_manager.move_slot(moved)
                    case AskError() as elsewhere:
                        asked = self._named(elsewhere)
                    case TryAgainError():
                        await asyncio.sleep(PAUSE)
                    case ClusterDownError() if failures < MOST_FAILURES:
                        failures += 1
                        await asyncio.sleep(PAUSE)
                        await self._look_again(None)
                    case _:
                        return replies
            except _FAILURES as error:
                failures += 1
                asked = None
                await self._look_again(node)
                if failures >= MOST_FAILURES or isinstance(error, redis.TimeoutError):
                    raise redis.ConnectionError(str(error) or type(error).__name__) from error
                await asyncio.sleep(PAUSE)
        raise ClusterError(f"slot {slot} is on its way between nodes")

    def _named(self, elsewhere: AskError) -> ClusterNode:
        """The node that a reply names; it may be one that has no slots yet, and is in no map."""
        known = self._client.get_node(host=elsewhere.host, port=elsewhere.port)
        if known is not None:
            return known
        manager = self._client.nodes_manager
        node = ClusterNode(elsewhere.host, elsewhere.port, _PRIMARY, **manager.connection_kwargs)
        manager.set_nodes(manager.nodes_cache, {node.name: node})
        return node

    async def _look_again(self, failed: ClusterNode | None) -> None:
        """Read the map anew, of others than a node that has failed; its connections are of no use to anybody."""
        if failed is not None:
            failed.update_active_connections_for_reconnect()
            await failed.disconnect_free_connections()
        # Where nobody can tell, the map stays as it is, and the next attempt shows what is wrong.
        with contextlib.suppress(*_FAILURES, redis.RedisError):
            await self._client.nodes_manager.initialize(
                last_failed_node_name=failed.name if failed is not None else None
            )


async def _over_one_connection(
    node: ClusterNode, commands: Sequence[Sequence[Arg]], *, asking: bool = False
) -> list[Any]:
    """One attempt. A connection that fails in it, or is cancelled, closes itself: no reply is left in it."""
    sent = [("ASKING",), *commands] if asking else commands
    connection = node.acquire_connection()
    try:
        await node.disconnect_if_needed(connection)
        await connection.send_packed_command(packed(sent))
        replies: list[Any] = []
        for words in sent:
            try:
                replies.append(await node.parse_response(connection, str(words[0])))
            except ResponseError as error:
                replies.append(error)
        return replies[1:] if asking else replies
    except (AttributeError, RuntimeError) as error:
        # Another task that found the node gone has closed what this one was about to write to: redis-py has no writer
        # then, or uvloop a closed one.
        raise redis.ConnectionError(f"the connection was closed: {error}") from error
    finally:
        try:
            await node.disconnect_if_needed(connection)
        finally:
            node.release(connection)
