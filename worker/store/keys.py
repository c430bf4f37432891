"""Key names. All keys of one tenant share a hash tag, and so do all keys of each index, so that every script stays
within one slot of a Redis Cluster."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one deployment; ``namespace`` is the prefix all of them carry."""

    namespace: str

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

    def index(self, name: str) -> str:
        """A key of the index of tenants, upgrades and due times."""
        return f"{self.namespace}:{{index}}:{name}"

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
