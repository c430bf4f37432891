"""Connections to Redis or Valkey by URL, with every default that matters chosen on purpose.

``redis://`` and ``rediss://`` (TLS), ``unix://``, Sentinel as ``redis+sentinel://h1:p,h2:p/service``, and, for the
state only, a cluster as ``redis+cluster://h1:p,h2:p``.

A socket that says nothing for ``SOCKET_TIMEOUT`` seconds is given up, and not tried again: a webhook's sender wants an
answer within 5 seconds. One repeat follows a broken connection, because a pooled connection to a server that was
restarted fails at its first use; every call here may be repeated safely.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

SOCKET_TIMEOUT = 4.0
CONNECT_TIMEOUT = 3.0
POOL_SIZE = 64

AsyncClient = redis.asyncio.Redis | RedisCluster


class BadRedisURL(ValueError):
    """A Redis URL that can't be used; the message never repeats its password."""


@dataclass(frozen=True, slots=True)
class _Address:
    """A Sentinel or cluster URL taken apart."""

    nodes: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None
    tls: bool
    sentinel_password: str | None


def _options() -> dict[str, Any]:
    return {
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 0,
    }


def is_sentinel(url: str) -> bool:
    """Whether a URL names Sentinels: its server changes with every failover."""
    return url.startswith("redis+sentinel://")


def is_cluster(url: str) -> bool:
    """Whether a URL names a cluster."""
    return url.startswith("redis+cluster://")


def connect(url: str) -> AsyncClient:
    """An asyncio client for the state. Nothing is sent until its first command.

    Raises:
        BadRedisURL: not a URL of a form named above.
    """
    parts = _split(url)
    retry = AsyncRetry(ConstantBackoff(0.05), 1, (redis.ConnectionError,))
    options = {**_options(), "retry": retry}
    if parts.scheme == "redis+cluster":
        address = _address(parts)
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.nodes],
            username=address.username,
            password=address.password,
            ssl=address.tls,
            # Slots that have moved are noted one by one. To read the whole map anew after every fifth, as is redis-py's
            # default, closes the connections of all other tasks.
            reinitialize_steps=0,
            # A slot that nobody serves keeps no other from being used.
            require_full_coverage=False,
            **{**_options(), "retry": AsyncRetry(ConstantBackoff(0.1), 3)},
        )
    if parts.scheme == "redis+sentinel":
        address = _address(parts)
        sentinel = AsyncSentinel(  # type: ignore[no-untyped-call]
            list(address.nodes),
            sentinel_kwargs={**_options(), "retry": options["retry"], "password": address.sentinel_password},
        )
        client: redis.asyncio.Redis = sentinel.master_for(
            address.service, db=address.database, username=address.username, password=address.password,
            ssl=address.tls, **options,
        )  # fmt: skip
        return client
    fitting = _for_scheme(parts, options)
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=POOL_SIZE, timeout=10, **fitting)
    return redis.asyncio.Redis.from_pool(pool)


def connect_sync(url: str, *, retries: int = 1) -> "redis.Redis":
    """A blocking client, for the broker and for host apps.

    The broker takes no ``retries``: a fetch whose reply was lost and that is quietly repeated strands the messages of
    the first one.

    Raises:
        BadRedisURL: not a URL of a form named above, or a cluster, which a broker can't run on.
    """
    parts = _split(url)
    options = {**_options(), "retry": Retry(ConstantBackoff(0.05), retries, (redis.ConnectionError,))}
    if parts.scheme == "redis+cluster":
        raise BadRedisURL("a Redis Cluster can hold the state (SEATS_STATE_URL), not the broker (SEATS_REDIS_URL)")
    if parts.scheme == "redis+sentinel":
        address = _address(parts)
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            list(address.nodes),
            sentinel_kwargs={**_options(), "retry": options["retry"], "password": address.sentinel_password},
        )
        client: redis.Redis = sentinel.master_for(
            address.service, db=address.database, username=address.username, password=address.password,
            ssl=address.tls, **options,
        )  # fmt: skip
        return client
    return redis.Redis.from_url(url, **_for_scheme(parts, options))


def _for_scheme(parts: SplitResult, options: dict[str, Any]) -> dict[str, Any]:
    """The options that a connection of this scheme knows: a Unix socket needs no keep-alive."""
    return {name: value for name, value in options.items() if parts.scheme != "unix" or name != "socket_keepalive"}


def _split(url: str) -> SplitResult:
    forms = "redis://host:port/db, rediss://…, unix:///path, redis+sentinel://h1:p,h2:p/service or redis+cluster://h:p"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadRedisURL(f"not a Redis URL: use {forms}") from error
    if parts.scheme not in ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster"):
        raise BadRedisURL(f"not a Redis URL: use {forms}")
    if parts.scheme != "unix" and not parts.netloc:
        raise BadRedisURL(f"a Redis URL without a host: use {forms}")
    return parts


def _address(parts: SplitResult) -> _Address:
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    query = parse_qs(parts.query)
    try:
        nodes = tuple(_node(item) for item in hosts.split(",") if item)
        path = [part for part in parts.path.split("/") if part]
        service = path[0] if path else ""
        database = int(path[1]) if len(path) > 1 else 0
    except ValueError as error:
        raise BadRedisURL("nodes are written host:port, separated by commas") from error
    if not nodes or (parts.scheme == "redis+sentinel" and not service):
        raise BadRedisURL("a Sentinel URL names its nodes and its service: redis+sentinel://h1:26379,h2:26379/mymaster")
    return _Address(
        nodes=nodes,
        service=service,
        database=database,
        username=unquote(username) or None,
        password=unquote(password) or None,
        tls=query.get("tls", ["0"])[0] in ("1", "true"),
        sentinel_password=query.get("sentinel_password", [None])[0],
    )


def _node(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise ValueError(text)
    return host.strip("[]"), int(port)
