"""The servers that hold the queue and the state: reachable, writable, and set up to lose nothing."""

import asyncio
from dataclasses import replace

from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from worker.cli.doctor.findings import Finding, fix, good
from worker.cli.doctor.reach import why
from worker.cli.doctor.server_facts import read_facts
from worker.cli.doctor.server_rules import judged
from worker.store.connect import BadRedisURL
from worker.store.errors import StoreError
from worker.store.interface import Wake
from worker.store.redis_store import RedisStore

ANSWER_SECONDS = 6.0
"""For a first answer: Sentinels that are away are tried again for longer than that."""


async def examine_server(
    name: str, setting: str, url: str, namespace: str, replicas: int | None = None
) -> list[Finding]:
    """Everything about the server of a URL, given by a setting; ``name`` begins each subject.

    ``replicas`` is how many must have a write before it counts; None: writes to this server wait for none.
    """
    try:
        store = RedisStore.from_url(url, namespace, min_replicas=0)
    except BadRedisURL as error:
        return [fix(name, f"{setting} can't be used: {error}", "correct it")]
    try:
        return await _examine(name, store, namespace, replicas)
    except (StoreError, RedisError, OSError) as error:
        seen, remedy = trouble(error, setting, namespace)
        return [fix(name, seen, remedy)]
    finally:
        await store.aclose()


async def _examine(name: str, store: RedisStore, namespace: str, replicas: int | None) -> list[Finding]:
    refused: list[Finding] = []
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await store.ping()
        # A lease nobody holds: nothing is written, but the script runs.
        await store.renew(Wake("seats doctor", "no token"), 1)
    except StoreError as error:
        # A server that answers and takes no writes is looked at all the same: why it does so may show.
        if not isinstance(error.__cause__, ResponseError):
            raise
        refused = [fix(name, *trouble(error, "its URL", namespace))]
    if not isinstance(store.client, RedisCluster):
        found = judged(name, await read_facts(store.client), replicas)
    else:
        await store.client.initialize()
        nodes = {f"{node.host}:{node.port}": node for node in store.client.get_primaries()}
        found = merged(
            [
                (where, judged(name, await read_facts(store.client, node=node), replicas))
                for where, node in sorted(nodes.items())
            ]
        )
    return [*(refused or [good(name, "reachable; takes writes and runs scripts")]), *found]


def merged(by_node: list[tuple[str, list[Finding]]]) -> list[Finding]:
    """The findings of a cluster's nodes: what is good is told once, of the first; what is not, of each it concerns."""
    found: dict[str, list[Finding]] = {}
    for _, findings in by_node:
        for finding in findings:
            found.setdefault(finding.subject, [])
    for where, findings in by_node:
        for finding in findings:
            if finding.remedy:
                found[finding.subject].append(replace(finding, seen=f"{where}: {finding.seen}"))
    firsts = {finding.subject: finding for _, findings in reversed(by_node) for finding in findings}
    return [one for subject, bad in found.items() for one in bad or [firsts[subject]]]


def trouble(error: Exception, setting: str, namespace: str) -> tuple[str, str]:
    """What an error of a server means, and what to do about it."""
    cause = error.__cause__ if isinstance(error, StoreError) and error.__cause__ is not None else error
    text = str(cause)
    if isinstance(cause, AuthenticationError) or text.startswith(("WRONGPASS", "NOAUTH")):
        return "it does not accept the user or the password", f"correct them in {setting}, percent-encoded"
    if isinstance(cause, NoPermissionError):
        rights = f"~{namespace}:* &* +@all -@dangerous +info +config|get"
        return "its user may not do what is needed here", f"allow it, as in: ACL SETUSER <user> {rights}"
    if isinstance(cause, ReadOnlyError) or text.startswith("READONLY"):
        return "it is a replica and takes no writes", f"name the primary, or the Sentinels that know it, in {setting}"
    if isinstance(cause, OutOfMemoryError) or text.startswith("OOM"):
        return "its memory is full, so it takes no writes", "raise its maxmemory, or free some of it"
    if text.startswith("MISCONF"):
        return "it takes no writes because it can't save to its disk", "free space there, and read its log"
    if isinstance(cause, MasterNotFoundError):
        return "no Sentinel knows a primary of that service", f"correct the service's name in {setting}, or the hosts"
    if isinstance(cause, ResponseError):
        return f"it refused a command: {text[:200]}", "see that it is Redis 6.2 or later, or Valkey"
    if isinstance(cause, RedisTimeout | TimeoutError):
        remedy = f"check {setting} (rediss:// where the server speaks TLS, else redis://), the server, and the firewall"
        return "it did not answer in time", remedy
    remedy = f"check {setting} and that the server runs there"
    reason = why(cause)
    return f"it can't be reached: {reason or text[:200] or type(cause).__name__}", remedy
