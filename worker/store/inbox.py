"""Inboxes: the facts of each tenant that are yet to be folded in."""

from collections.abc import Mapping, Sequence

from worker.core.facts import Fact
from worker.store.codec import encode_fact
from worker.store.due import mark_due_call
from worker.store.errors import InboxFull, StoreBroken
from worker.store.interface import INBOX_LIMIT
from worker.store.keys import Keys
from worker.store.room import RedisRoom
from worker.store.scripts import Call


def append_calls(
    keys: Keys, facts: Mapping[str, Sequence[Fact]], settle: int, limit: int, trace: str = ""
) -> list[Call]:
    """The calls that put facts in their inboxes and then make the tenants due.

    In that order, each in a call of its own: on a cluster they live on different servers. Whoever is interrupted
    between them has not been told that the facts were taken, and sends them again.
    """
    calls = [
        Call("append", [keys.inbox(tenant), keys.stamps(tenant)], [limit, trace, *map(encode_fact, batch)])
        for tenant, batch in facts.items()
    ]
    return [*calls, mark_due_call(keys, list(facts), settle)]


def check_appended(tenants: Sequence[str], replies: Sequence[object], limit: int) -> None:
    """Raise for the first tenant whose facts did not fit.

    Raises:
        InboxFull: facts of this tenant were not taken.
    """
    for tenant, reply in zip(tenants, replies, strict=False):
        if reply == -1:
            raise InboxFull(tenant, limit)


UNBOUNDED = 2**40
"""More facts than any server holds."""


class Inboxes(RedisRoom):
    """The inboxes in Redis."""

    inbox_limit = INBOX_LIMIT

    async def append(
        self, facts: Mapping[str, Sequence[Fact]], *, settle: int = 0, bounded: bool = True, trace: str = ""
    ) -> None:
        calls = append_calls(self.keys, facts, settle, self.inbox_limit if bounded else UNBOUNDED, trace)
        try:
            if self.scripts.clustered:
                replies = [*await self.scripts.batch(calls[:-1]), await self.scripts.run(calls[-1])]
            else:
                replies = await self.write(calls)
        except StoreBroken as error:
            for tenant in facts:
                found = await self.broken(tenant, error)
                if found is not error:
                    raise found from error
            raise
        check_appended(list(facts), replies, self.inbox_limit)
