"""What kind of key each name is, to say which one is not what it should be."""

from collections.abc import Mapping
from typing import Final

from worker.store.keys import Keys
from worker.store.scripts import Call, Scripts, command

_OF_TENANTS: Final = {
    "record": "hash", "inbox": "list", "stamps": "list", "roster": "hash", "journal": "stream", "unreadable": "list",
    "erased": "string", "missing": "set", "orphaned": "set", "gone": "set", "removed": "set",
}  # fmt: skip
_OF_THE_INDEX: Final = {
    "due": "zset", "leases": "zset", "again": "zset", "waiting": "zset", "tokens": "hash", "serial": "string",
    "bell": "list", "tenants": "zset", "statuses": "hash", "upgrades": "zset", "owners": "hash", "states": "hash",
    "fullness": "zset", "since": "zset",
}  # fmt: skip


def tenant_kinds(keys: Keys, tenant: str) -> Mapping[str, str]:
    """The keys of a tenant, each with its kind."""
    return {keys.tenant(tenant) + name: kind for name, kind in _OF_TENANTS.items()}


def index_kinds(keys: Keys) -> Mapping[str, str]:
    """The keys that all tenants share, each with its kind."""
    return {key: kind for name, kind in _OF_THE_INDEX.items() for key in keys.indexes(name)}


def queue_kinds(namespace: str, queues: tuple[str, ...]) -> Mapping[str, str]:
    """The keys of a broker's queues, each with its kind."""
    return {
        **{f"{namespace}:{queue}": "list" for queue in queues},
        **{f"{namespace}:{queue}.msgs": "hash" for queue in queues},
    }


async def misfits(scripts: Scripts, kinds: Mapping[str, str]) -> list[str]:
    """The keys that are there and of another kind, each as "key is a string, not a list".

    Raises:
        StoreError: the server can't be asked.
    """
    calls: list[Call] = [command("TYPE", key) for key in kinds]
    found = [reply.decode() if isinstance(reply, bytes) else str(reply) for reply in await scripts.batch(calls)]
    return [
        f"{key} is a {kind}, not a {wanted}"
        for (key, wanted), kind in zip(kinds.items(), found, strict=True)
        if kind not in ("none", wanted)
    ]
