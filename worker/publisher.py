"""Publishing from Python: ``SeatEvents`` writes what ``POST /v1/events`` writes, without the web process between.

It is for host apps: blocking, in need of nothing but the Redis URL, with exceptions that say what to do.
"""

import time as clocks
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from worker.core.facts import UserFact
from worker.core.times import SECOND
from worker.events import MOST_EVENTS, BadEvents, EventProblem, check_events
from worker.store.connect import BadRedisURL, connect_sync
from worker.store.errors import (
    InboxFull,
    StateElsewhere,
    StoreBroken,
    StoreError,
    StoreUnavailable,
    TenantBroken,
    TooFewReplicas,
)
from worker.store.inbox import append_calls, check_appended, delivery
from worker.store.interface import INBOX_LIMIT
from worker.store.keys import Keys
from worker.store.replicas import check_replicated, replicas_wanted, wait_for
from worker.store.scripts import Call, packed, source, translated, words_of

__all__ = [
    "BadEvents",
    "BadRedisURL",
    "EventProblem",
    "InboxFull",
    "SeatEvents",
    "StateElsewhere",
    "StoreBroken",
    "StoreError",
    "StoreUnavailable",
    "TenantBroken",
]

SOURCE: Final = "SeatEvents"
CHECK_EVERY: Final = 60.0
"""Seconds for which a server is taken to still be the one that holds the state."""


class SeatEvents:
    """Tells the worker who joined and who left. Safe to share between threads, and to use after a fork.

    When a call returns, its events are in the store, and on as many replicas of it as ``min_replicas`` says. When it
    raises anything but ``BadEvents``, they may be or not, and sending them again, with the same ids and times, does no
    harm. No message of the queue carries them: a host app that sends ``user_added`` messages of its own through
    dramatiq has the queue's promise alone, which a failover of the broker may break.

    >>> with SeatEvents.from_url("redis://localhost:6379/0") as seats:
    ...     seats.user_added("workspace_123", "user_1", email="ada@example.com")
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        namespace: str = "seats",
        settle_seconds: float = 2,
        tombstones_for: timedelta | None = None,
        min_replicas: int = 0,
    ) -> None:
        if not 0 <= settle_seconds <= 3600:
            raise ValueError("settle_seconds must be from 0 to 3600")
        self._client = client
        self._keys = Keys(namespace)
        self._settle = int(settle_seconds * SECOND)
        self._lifetime = None if tombstones_for is None else tombstones_for // timedelta(microseconds=1)
        self._replicas = min_replicas
        self._checked_until = 0.0

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str = "seats",
        settle_seconds: float = 2,
        tombstones_for: timedelta | None = None,
        min_replicas: int | None = None,
    ) -> Self:
        """A publisher to the Redis that holds the deployment's state. Nothing is sent before the first event.

        ``namespace`` is the deployment's ``SEATS_NAMESPACE``. ``settle_seconds`` is how long a tenant's burst of events
        may gather before it is reconciled. ``tombstones_for`` is the deployment's ``SEATS_TOMBSTONES_FOR``, where that
        is set: events with an older time are refused. ``min_replicas`` is the deployment's ``SEATS_MIN_REPLICAS``: how
        many replicas must have an event before it counts; None: one behind Sentinel, else none.

        Raises:
            BadRedisURL: the URL can't be used.
        """
        return cls(
            connect_sync(url), namespace=namespace, settle_seconds=settle_seconds, tombstones_for=tombstones_for,
            min_replicas=replicas_wanted(url, min_replicas),
        )  # fmt: skip

    def user_added(
        self,
        tenant: str,
        user: str,
        email: str | None = None,
        name: str | None = None,
        id: str | None = None,
        time: datetime | str | None = None,
    ) -> str:
        """A user joined a tenant; returns the event's id.

        ``id`` and ``time`` (a datetime with a zone, or RFC 3339) default to a new id and now. Of two events about a
        user the newer one counts, so give the time at which it happened if you know it.

        Raises:
            BadEvents: an argument breaks a rule; it says which.
            StoreUnavailable: Redis can't be used just now, or too few replicas have the event.
            InboxFull: the tenant has too many events waiting; send it again later.
            StateElsewhere: this Redis is not the one that holds the state.
        """
        return self._publish_one("user.added", tenant, user, email, name, id, time)

    def user_removed(
        self,
        tenant: str,
        user: str,
        email: str | None = None,
        name: str | None = None,
        id: str | None = None,
        time: datetime | str | None = None,
    ) -> str:
        """A user left a tenant; otherwise like ``user_added``."""
        return self._publish_one("user.removed", tenant, user, email, name, id, time)

    def publish(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Publish CloudEvents, as ``POST /v1/events`` takes them, parsed; returns how many were accepted.

        Any number: they are sent in batches of 1,000, each of which is taken as a whole or not at all.

        Raises:
            BadEvents: some break a rule; it names each by its index. Batches before theirs were accepted.
            StoreUnavailable, InboxFull, StateElsewhere: as ``user_added``.
        """
        remaining, accepted = iter(events), 0
        while batch := list(islice(remaining, MOST_EVENTS)):
            try:
                checked = check_events(batch, self._now(), self._lifetime)
            except BadEvents as error:
                moved = [EventProblem(accepted + one.index, one.field, one.reason) for one in error.problems]
                raise BadEvents(moved, accepted) from None
            self._append(checked.facts)
            accepted += checked.count
        return accepted

    def close(self) -> None:
        """Close the connections to Redis. Publishing afterwards opens new ones."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _publish_one(
        self,
        kind: str,
        tenant: str,
        user: str,
        email: str | None,
        name: str | None,
        id: str | None,
        time: datetime | str | None,
    ) -> str:
        ident = uuid.uuid4().hex if id is None else id
        data = {"tenantId": tenant, "userId": user, "email": email, "name": name}
        moment = time.isoformat() if isinstance(time, datetime) else time
        event = {"specversion": "1.0", "id": ident, "source": SOURCE, "type": kind, "time": moment, "data": data}
        self._append(check_events([event], self._now(), self._lifetime).facts)
        return ident

    def _append(self, facts: Mapping[str, Sequence[UserFact]]) -> None:
        if not facts:
            return
        self._refuse_elsewhere()
        appends, marks = append_calls(self._keys, [delivery(self._keys, facts, self._settle, INBOX_LIMIT)])
        calls = [*appends, *marks]
        waits = [wait_for(self._replicas)] if self._replicas else []
        replies = self._run([*calls, *waits])
        for reply in replies[: len(calls)]:
            if isinstance(reply, Exception):
                raise translated(reply) from reply
        for reply in replies[len(calls) :]:
            try:
                check_replicated(reply, self._replicas)
            except TooFewReplicas:
                # A server that its replicas have left may have been replaced: the next connection asks Sentinel.
                self._client.connection_pool.disconnect(inuse_connections=False)
                raise
        [lengths] = replies[: len(appends)]
        assert isinstance(lengths, list)
        check_appended(facts, lengths, INBOX_LIMIT)

    def _refuse_elsewhere(self) -> None:
        """Raise if this server is a mere broker: its deployment would never see what is written here."""
        now = clocks.monotonic()
        if now < self._checked_until:
            return
        try:
            elsewhere = self._client.get(self._keys.elsewhere)
        except (RedisError, OSError) as error:
            raise translated(error) from error
        if elsewhere is not None:
            raise StateElsewhere
        self._checked_until = now + CHECK_EVERY

    def _run(self, calls: Sequence[Call]) -> list[object]:
        """The replies to calls, in one round trip; a call that was refused is answered by its error."""
        try:
            replies = self._pipeline(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                # A server that was restarted has forgotten the scripts. Facts may be appended twice.
                for script in {call.script for call in calls if call.script}:
                    self._client.script_load(source(script))
                replies = self._pipeline(calls)
        except (RedisError, OSError) as error:
            raise translated(error) from error
        return replies

    def _pipeline(self, calls: Sequence[Call]) -> list[object]:
        """Each call's reply or error. redis-py's own pipeline takes half as long again for it."""
        commands = list(map(words_of, calls))
        sent, names = [packed(commands)], [str(words[0]) for words in commands]
        pool: Any = self._client.connection_pool
        connection = pool.get_connection()
        try:
            replies: list[object] = connection.retry.call_with_retry(
                lambda: self._exchange(connection, sent, names), lambda _: connection.disconnect()
            )
        finally:
            pool.release(connection)
        return replies

    def _exchange(self, connection: Any, sent: Sequence[bytes], names: Sequence[str]) -> list[object]:  # noqa: ANN401
        """One attempt. A connection that fails in it closes itself: no reply is left in it."""
        connection.send_packed_command(sent)
        replies: list[object] = []
        for name in names:
            try:
                replies.append(self._client.parse_response(connection, name))  # type: ignore[no-untyped-call]
            except ResponseError as error:
                replies.append(error)
        return replies

    @staticmethod
    def _now() -> int:
        return clocks.time_ns() // 1_000
