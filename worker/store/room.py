"""What every part of the Redis store shares: a client, its scripts and the key names."""

from worker.store.connect import AsyncClient
from worker.store.keys import Keys
from worker.store.scripts import Scripts


class RedisRoom:
    """The base of the parts that ``RedisStore`` is put together from."""

    def __init__(self, client: AsyncClient, namespace: str, *, journal_length: int = 1000) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.scripts = Scripts(client)
        self.journal_length = journal_length

    async def aclose(self) -> None:
        """Close all connections."""
        await self.client.aclose()


def text(reply: bytes | str) -> str:
    """A reply that is text."""
    return reply.decode("utf-8") if isinstance(reply, bytes) else reply
