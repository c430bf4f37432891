"""The store on Redis or Valkey."""

from worker.store.alerts import Alerts
from worker.store.checkouts import Checkouts
from worker.store.connect import connect
from worker.store.directory import Directory
from worker.store.due import DueTenants
from worker.store.erasing import Erasing
from worker.store.identity import Identity
from worker.store.inbox import Inboxes
from worker.store.journal import Journals
from worker.store.listing import Listing
from worker.store.meters import Meters
from worker.store.replicas import replicas_wanted
from worker.store.scripts import Call, command
from worker.store.taking_over import TakingOver
from worker.store.tenants import Tenants


class RedisStore(
    TakingOver, Inboxes, Tenants, DueTenants, Directory, Listing, Journals, Checkouts, Meters, Alerts, Erasing, Identity
):
    """Everything the worker keeps, on one Redis server or on a cluster.

    Implements ``worker.store.interface.Store``, where each method's promise stands. An instance belongs to one event
    loop.
    """

    @classmethod
    def from_url(
        cls, url: str, namespace: str = "seats", *, journal_length: int = 1000, min_replicas: int | None = None
    ) -> "RedisStore":
        """A store on the server of ``url``; nothing is sent until it is first used.

        ``min_replicas`` is how many replicas must have a fact or a claim before it counts; None: one behind Sentinels
        and on a cluster, which may put a replica in a server's place, else none.

        Raises:
            BadRedisURL: the URL can't be used.
        """
        wanted = replicas_wanted(url, min_replicas)
        return cls(connect(url), namespace, journal_length=journal_length, min_replicas=wanted)

    async def take_rate(self, spacing: int, burst: int) -> int:
        return int(await self.scripts.run(Call("take_rate", [self.keys.rate], [spacing, burst])))

    async def end_session(self, session: str, seconds: int) -> None:
        await self.scripts.run(command("SET", self.keys.ended_session(session), "1", "EX", seconds))

    async def session_ended(self, session: str) -> bool:
        return bool(await self.scripts.run(command("EXISTS", self.keys.ended_session(session))))

    async def ping(self) -> None:
        await self.write([command("SET", self.keys.ping, "1", "EX", 60)])
