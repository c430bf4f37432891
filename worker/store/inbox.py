"""Inboxes: the facts of each tenant that are yet to be folded in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, groupby
from typing import Final

from worker.core.facts import Fact
from worker.store.codec import encode_fact
from worker.store.due import mark_due_calls
from worker.store.errors import InboxFull, StoreBroken, TenantBroken
from worker.store.group_commit import GroupCommit
from worker.store.interface import INBOX_LIMIT
from worker.store.keys import Keys
from worker.store.room import RedisRoom
from worker.store.scripts import Arg, Call

UNBOUNDED: Final = 2**40
"""More facts than any server holds."""

SMALL: Final = 8_192
"""Bytes of facts up to which a caller's gather with others': more would keep those waiting for little gain."""

_FULL: Final = -1
_NO_LIST: Final = -2


@dataclass(frozen=True, slots=True)
class Delivery:
    """One caller's facts, written: for each tenant its keys, then the number of its facts and those."""

    tenants: Sequence[str]
    keys: Sequence[str]
    args: Sequence[Arg]
    size: int
    settle: int
    limit: int
    trace: str


def delivery(
    keys: Keys, facts: Mapping[str, Sequence[Fact]], settle: int, limit: int = INBOX_LIMIT, trace: str = ""
) -> Delivery:
    """Facts by tenant, ready to be appended."""
    names: list[str] = []
    args: list[Arg] = []
    size = 0
    for tenant, batch in facts.items():
        written = list(map(encode_fact, batch))
        names += keys.inbox_and_stamps(tenant)
        args.append(len(written))
        args += written
        size += sum(map(len, written))
    return Delivery(list(facts), names, args, size, settle, limit, trace)


def append_calls(keys: Keys, deliveries: Sequence[Delivery]) -> tuple[list[Call], list[Call]]:
    """The calls that put facts in their inboxes, and those that make the tenants due after that.

    In that order, each in calls of its own: on a cluster they live on different servers. Whoever is interrupted between
    them has not been told that the facts were taken, and sends them again.
    """
    calls = []
    for (limit, trace), alike in groupby(deliveries, lambda one: (one.limit, one.trace)):
        together = list(alike)
        names = chain.from_iterable(one.keys for one in together)
        args = chain.from_iterable(one.args for one in together)
        calls.append(Call("append", list(names), [limit, trace, *args]))
    due: dict[int, dict[str, None]] = {}
    for one in deliveries:
        due.setdefault(one.settle, {}).update(dict.fromkeys(one.tenants))
    return calls, [call for settle, tenants in due.items() for call in mark_due_calls(keys, tenants, settle)]


def check_appended(tenants: Iterable[str], lengths: Sequence[int], limit: int) -> None:
    """Raise for the first tenant whose facts were not taken.

    Raises:
        InboxFull: they did not fit.
        TenantBroken: its inbox is no list.
    """
    for tenant, length in zip(tenants, lengths, strict=True):
        if length == _FULL:
            raise InboxFull(tenant, limit)
        if length == _NO_LIST:
            raise TenantBroken(tenant, "its inbox, or what stands beside it, is no list")


class Inboxes(RedisRoom):
    """The inboxes in Redis."""

    inbox_limit = INBOX_LIMIT

    async def append(
        self, facts: Mapping[str, Sequence[Fact]], *, settle: int = 0, bounded: bool = True, trace: str = ""
    ) -> None:
        limit = self.inbox_limit if bounded else UNBOUNDED
        lengths: Sequence[int]
        if self.scripts.clustered:
            lengths = await self._append_apart(
                [delivery(self.keys, {tenant: batch}, settle, limit, trace) for tenant, batch in facts.items()]
            )
        else:
            one = delivery(self.keys, facts, settle, limit, trace)
            lengths = await self._group.commit(one) if one.size <= SMALL else (await self._append_together([one]))[0]
        try:
            check_appended(facts, lengths, limit)
        except TenantBroken as error:
            raise await self.broken(error.tenant, StoreBroken(error.reason)) from None

    @cached_property
    def _group(self) -> GroupCommit[Delivery, Sequence[int]]:
        return GroupCommit(self._append_together)

    async def _append_together(self, deliveries: Sequence[Delivery]) -> list[Sequence[int]]:
        """The lengths of the inboxes of each delivery. One round trip, at the end of which all are safe."""
        appends, marks = append_calls(self.keys, deliveries)
        replies = (await self.write([*appends, *marks]))[: len(appends)]
        lengths = iter(list(chain.from_iterable(replies)))
        return [[int(next(lengths)) for _ in one.tenants] for one in deliveries]

    async def _append_apart(self, deliveries: Sequence[Delivery]) -> list[int]:
        """The lengths of the inboxes of each delivery, of one tenant each, which may be on servers of their own."""
        appends = [call for one in deliveries for call in append_calls(self.keys, [one])[0]]
        replies, trouble = await self.try_write(appends)
        # A tenant that nobody is told of would keep its first facts for itself: that it is due must be safe, too.
        await self.write(append_calls(self.keys, deliveries)[1])
        if trouble is not None:
            raise trouble
        return [int(length) for reply in replies for length in reply]
