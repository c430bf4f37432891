"""The one job that all peers do."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import redis

from tests.benchmarks.workload import Workload

Event = tuple[str, str, bool, int, str, str | None, str | None]
"""Tenant, user, whether it was added, time in microseconds, event id, e-mail, name."""

FOLD = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or ARGV[2] > known then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
"""
"""Entries begin with time and id, both of a fixed length: so the newer of two is the greater."""


def url() -> str:
    return os.environ["BENCH_REDIS_URL"]


def key(tenant: str) -> str:
    """The hash that holds a tenant's roster."""
    return f"roster:{tenant}"


def entry(added: bool, at: int, ident: str, email: str | None, name: str | None) -> str:
    """What is kept of a user: the newest event about it."""
    return f"{at:016} {ident} " + json.dumps([added, email, name], separators=(",", ":"))


def folder() -> Callable[..., None]:
    """What folds one event: a function of the members of ``Event``."""
    client = redis.Redis.from_url(url())
    script = client.register_script(FOLD)

    def fold(tenant: str, user: str, added: bool, at: int, ident: str, email: str | None, name: str | None) -> None:
        script([key(tenant)], [user, entry(added, at, ident, email, name)])

    return fold


def events(workload: Workload) -> Iterable[Event]:
    for tenant, fact in workload.messages():
        yield tenant, fact.user, fact.membership == "added", fact.at, fact.id, fact.email, fact.name


def asked_to_fill() -> Workload | None:
    """The workload to queue, where this program was started for that."""
    match sys.argv[1:]:
        case ["fill", tenants, count]:
            return Workload(int(tenants), int(count))
    return None


def folded(client: Any, workload: Workload) -> bool:
    """Whether the rosters are what they must come to."""
    for tenant in workload.names():
        found = {}
        for user, text in client.hgetall(key(tenant)).items():
            _, ident, document = text.decode().split(" ", 2)
            found[user.decode()] = (json.loads(document)[0], ident)
        if found != workload.expected(tenant):
            return False
    return True
