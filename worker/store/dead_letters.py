"""Dead letters: the messages on the broker that gave up, and what an operator can do about them.

They lie where dramatiq keeps them: for each queue a sorted set ``<namespace>:<queue>.XQ`` (message id, when it died)
and a hash ``<namespace>:<queue>.XQ.msgs`` (message id, message). dramatiq drops them after a month.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from worker.store.connect import AsyncClient, connect
from worker.store.letters import SEAT_EVENTS, DeadLetter, Redact, read_letter, revived
from worker.store.scripts import Call, Scripts, command

QUEUES: Final = (SEAT_EVENTS, "reconcile", "alerts")
"""Every queue of a deployment."""

PAGE: Final = 200
LARGEST_PAGE: Final = 1_000
_TRIES: Final = 5

_Row = tuple[int, bytes, str]
"""When it died (milliseconds), its id, its queue."""


class DeadLetters:
    """The dead letters of one deployment. An instance belongs to one event loop.

    Everything raises ``StoreUnavailable`` while the broker is away, and is safe to repeat then. ``redact`` masks what
    must not be shown; it is asked about every text of a message.
    """

    def __init__(self, client: AsyncClient, namespace: str, redact: Redact) -> None:
        self.client = client
        self.namespace = namespace
        self.redact = redact
        self.scripts = Scripts(client)

    @classmethod
    def from_url(cls, url: str, namespace: str, redact: Redact) -> "DeadLetters":
        """The dead letters on the broker of ``url``; nothing is sent until they are first asked for.

        Raises:
            BadRedisURL: the URL can't be used.
        """
        return cls(connect(url), namespace, redact)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    async def count(self) -> dict[str, int]:
        """How many there are, by queue."""
        replies = await self.scripts.batch([command("ZCARD", self._dead(queue)) for queue in QUEUES])
        return dict(zip(QUEUES, map(int, replies), strict=True))

    async def list(
        self, queue: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> tuple[Sequence[DeadLetter], str | None]:
        """Dead letters, newest first, and the cursor to go on with; of one queue, or of all.

        A cursor is ``<milliseconds>-<id>``; one that is none begins anew.
        """
        assert 1 <= limit <= LARGEST_PAGE
        before = _cursor(cursor)
        found: list[_Row] = []
        for name in QUEUES if queue is None else (queue,):
            found += await self._newest(name, before, limit + 1)
        page = sorted(found, reverse=True)[:limit]
        bodies = await self.scripts.batch([command("HGET", self._bodies(name), ident) for _, ident, name in page])
        letters = [
            read_letter(_text(ident), name, died * 1000, body, self.redact)
            for (died, ident, name), body in zip(page, bodies, strict=True)
            if body is not None  # requeued or discarded a moment ago
        ]
        return letters, f"{page[-1][0]}-{_text(page[-1][1])}" if len(found) > limit else None

    async def every(self, queue: str | None = None) -> AsyncIterator[DeadLetter]:
        """All of them, newest first, page by page. What dies meanwhile is left out."""
        cursor = None
        while True:
            letters, cursor = await self.list(queue, cursor, PAGE)
            for letter in letters:
                yield letter
            if cursor is None:
                return

    async def get(self, ident: str) -> DeadLetter | None:
        """One of them; None where there is no such dead letter (any more)."""
        found = await self._find(_bytes(ident))
        if found is None:
            return None
        queue, body = found
        died = await self.scripts.run(command("ZSCORE", self._dead(queue), _bytes(ident)))
        return read_letter(ident, queue, int(float(died or 0)) * 1000, body, self.redact)

    async def requeue(self, ident: str) -> bool:
        """Put one back on its queue, as if it had just been sent; False where there is no such dead letter.

        One step: the message is on one of the two queues at any time, and on one only.
        """
        name = _bytes(ident)
        for _ in range(_TRIES):
            found = await self._find(name)
            if found is None:
                return False
            queue, body = found
            live = f"{self.namespace}:{queue}"
            keys = [self._dead(queue), self._bodies(queue), live, f"{live}.msgs"]
            done = await self.scripts.run(Call("requeue_dead", keys, [name, body, revived(ident, queue, body)]))
            # Else it was changed since it was read: why it died is written down a moment after it has.
            if int(done) >= 0:
                return int(done) == 1
        return False

    async def discard(self, ident: str) -> bool:
        """Drop one for good; False where there is no such dead letter."""
        name = _bytes(ident)
        dropped = [
            await self.scripts.run(Call("discard_dead", [self._dead(queue), self._bodies(queue)], [name]))
            for queue in QUEUES
        ]
        return any(dropped)

    async def _newest(self, queue: str, before: tuple[int, bytes] | None, limit: int) -> Sequence[_Row]:
        """Up to ``limit`` ids of a queue that died before a point, newest first."""
        found: list[_Row] = []
        newest = "+inf" if before is None else str(before[0])
        skip = 0
        while len(found) < limit:
            span = ("WITHSCORES", "LIMIT", skip, limit)
            reply = await self.scripts.run(command("ZREVRANGEBYSCORE", self._dead(queue), newest, "-inf", *span))
            rows = _rows(reply)
            found += [(died, ident, queue) for died, ident in rows if before is None or (died, ident) < before]
            if len(rows) < limit:
                break
            skip += len(rows)
        return found[:limit]

    async def _find(self, ident: bytes) -> tuple[str, bytes] | None:
        """The queue and the body of a dead letter."""
        bodies = await self.scripts.batch([command("HGET", self._bodies(queue), ident) for queue in QUEUES])
        return next(((queue, body) for queue, body in zip(QUEUES, bodies, strict=True) if body is not None), None)

    def _dead(self, queue: str) -> str:
        return f"{self.namespace}:{queue}.XQ"

    def _bodies(self, queue: str) -> str:
        return f"{self.namespace}:{queue}.XQ.msgs"


def _bytes(ident: str) -> bytes:
    return ident.encode("utf-8", "surrogateescape")


def _text(ident: bytes) -> str:
    """An id as text; bytes that are none survive the way there and back."""
    return ident.decode("utf-8", "surrogateescape")


def _cursor(text: str | None) -> tuple[int, bytes] | None:
    died, _, ident = (text or "").partition("-")
    return (int(died), _bytes(ident)) if died.isascii() and died.isdigit() and len(died) <= 16 else None


def _rows(reply: Sequence[object]) -> Sequence[tuple[int, bytes]]:
    """Scores with their members, flat or paired as redis-py has it."""
    flat = [part for row in reply for part in (row if isinstance(row, list | tuple) else (row,))]
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(int(float(str(_plain(score)))), ident) for ident, score in pairs if isinstance(ident, bytes)]


def _plain(score: object) -> object:
    return score.decode() if isinstance(score, bytes) else score
