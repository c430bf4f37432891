"""Key names. All keys of one tenant share a hash tag, and so do all keys of each shard of the index, so that every
script stays within one slot of a Redis Cluster."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote
from zlib import crc32

CLUSTER_SHARDS = 16
"""Shards of the index on a cluster. What is kept there rests on it: another number would look for it elsewhere."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one deployment; ``namespace`` is the prefix all of them carry.

    The index (who is due, and all lists) is one shard on one server, and ``CLUSTER_SHARDS`` on a cluster, where each is
    in a slot of its own. A tenant is in the shard that its id hashes to, with all its upgrades.
    """

    namespace: str
    shards: int = 1

    def tenant(self, tenant: str) -> str:
        """The prefix of a tenant's keys. Braces and control characters in an id cannot break the hash tag."""
        return f"{self.namespace}:{{t:{quote(tenant, safe=':@.-_')}}}:"

    def record(self, tenant: str) -> str:
        return self.tenant(tenant) + "record"

    def inbox(self, tenant: str) -> str:
        return self.tenant(tenant) + "inbox"

    def stamps(self, tenant: str) -> str:
        """When each fact of the inbox came."""
        return self.tenant(tenant) + "stamps"

    def inbox_and_stamps(self, tenant: str) -> tuple[str, str]:
        prefix = self.tenant(tenant)
        return prefix + "inbox", prefix + "stamps"

    def erased(self, tenant: str) -> str:
        """The version of a tenant that was erased, for as long as that is remembered."""
        return self.tenant(tenant) + "erased"

    def roster(self, tenant: str) -> str:
        return self.tenant(tenant) + "roster"

    def standing(self, tenant: str, standing: str) -> str:
        return self.tenant(tenant) + standing

    def unreadable(self, tenant: str) -> str:
        """Facts that no release that met them could read, as they were written."""
        return self.tenant(tenant) + "unreadable"

    def journal(self, tenant: str) -> str:
        return self.tenant(tenant) + "journal"

    def shard(self, tenant: str) -> int:
        """The shard of the index that a tenant is in."""
        return crc32(tenant.encode()) % self.shards if self.shards > 1 else 0

    def by_shard(self, tenants: Iterable[str]) -> dict[int, list[str]]:
        """Tenants by their shards, in the order given."""
        if self.shards == 1:
            return {0: found} if (found := list(tenants)) else {}
        groups: dict[int, list[str]] = {}
        for tenant in tenants:
            groups.setdefault(self.shard(tenant), []).append(tenant)
        return groups

    def index(self, name: str, shard: int | None = None) -> str:
        """A key of a shard of the index of tenants, upgrades and due times. None: of the only one.

        Raises:
            ValueError: which shard is meant has to be said where there are several.
        """
        if self.shards == 1:
            return self.unsharded(name)
        if shard is None:
            raise ValueError("the index has several shards: say which")
        return f"{self.namespace}:{{index:{shard}}}:{name}"

    def index_of(self, tenant: str, name: str) -> str:
        """A key of the shard of the index that a tenant is in."""
        return self.index(name, self.shard(tenant))

    def indexes(self, name: str) -> list[str]:
        """The keys of this name in all shards of the index, in their order."""
        return [self.index(name, shard) for shard in range(self.shards)]

    def token_end(self, shard: int) -> str:
        """What tokens of leases in a shard end with, so that no two of all shards are the same."""
        return "" if self.shards == 1 else f".{shard}"

    def unsharded(self, name: str) -> str:
        """A key of an index that is in one slot, also where it is looked for in several."""
        return f"{self.namespace}:{{index}}:{name}"

    @property
    def ping(self) -> str:
        """Written to see whether writes are taken."""
        return self.unsharded("ping")

    def parked(self, name: str) -> str:
        """A key of the parked payment events."""
        return f"{self.namespace}:{{parked}}:{name}"

    def meters(self, name: str) -> str:
        """A key of what processes have counted."""
        return f"{self.namespace}:{{meters}}:{name}"

    def alerts(self, name: str) -> str:
        """A key of the alert log and its channels."""
        return f"{self.namespace}:{{alerts}}:{name}"

    def checkout(self, name: str) -> str:
        """Where a checkout session or proration id leads."""
        return f"{self.namespace}:checkout:{quote(name, safe=':@.-_')}"

    def ended_session(self, session: str) -> str:
        """Set where somebody has signed out, for as long as the session could have lasted."""
        return f"{self.namespace}:session-ended:{quote(session, safe='')}"

    @property
    def rate(self) -> str:
        return f"{self.namespace}:rate"

    @property
    def mark(self) -> str:
        """Which state this is (vouch.lua)."""
        return f"{self.namespace}:mark"

    @property
    def elsewhere(self) -> str:
        """Set on a broker whose deployment keeps its state on another server: the identity of that state."""
        return f"{self.namespace}:state-is-elsewhere"
