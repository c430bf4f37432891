"""Checkouts: which tenant a session or proration id belongs to, and payment events that match nothing yet."""

from collections.abc import Iterable

from worker.core.facts import PaymentFact
from worker.store.codec import Unreadable, decode_fact, encode_fact
from worker.store.interface import ParkedPayment
from worker.store.room import RedisRoom, text
from worker.store.scripts import Arg, Call, command

LINK_SECONDS = 35 * 86_400
PARKED_SECONDS = 7 * 86_400
PARKED_AT_MOST = 10_000


def names_of(payment: PaymentFact) -> list[str]:
    """Every name a payment event may be asked for by: its session and its references."""
    return list(dict.fromkeys((payment.session, *payment.references)))


class Checkouts(RedisRoom):
    """The checkout index and the parked events in Redis."""

    async def link_checkout(self, names: Iterable[str], tenant: str) -> None:
        await self.write([command("SET", self.keys.checkout(name), tenant, "EX", LINK_SECONDS) for name in names])

    async def linked_tenants(self, names: Iterable[str]) -> list[str]:
        replies = await self.scripts.batch([command("GET", self.keys.checkout(name)) for name in names])
        return list(dict.fromkeys(text(reply) for reply in replies if reply is not None))

    async def park(self, payment: PaymentFact) -> bool:
        keys = [self.keys.parked("events"), self.keys.parked("since")]
        args: list[Arg] = [PARKED_AT_MOST, payment.id, encode_fact(payment), self.keys.parked("by:"), PARKED_SECONDS]
        (fresh,) = await self.write([Call("park", keys, [*args, *names_of(payment)])])
        return bool(fresh)

    async def parked_for(self, names: Iterable[str]) -> list[PaymentFact]:
        args = [self.keys.parked("by:"), *names]
        reply = await self.scripts.run(Call("parked_for", [self.keys.parked("events")], args))
        facts = [_payment(item) for item in reply[1::2]]
        return [fact for fact in facts if fact is not None]

    async def parked(self, limit: int) -> list[ParkedPayment]:
        reply = await self.scripts.run(command("ZRANGE", self.keys.parked("since"), 0, max(limit - 1, 0)))
        ids = [text(item) for item in reply]
        if not ids:
            return []
        facts, since = await self.scripts.batch(
            [
                command("HMGET", self.keys.parked("events"), *ids),
                command("ZMSCORE", self.keys.parked("since"), *ids),
            ]
        )
        found = []
        for item, score in zip(facts, since, strict=True):
            fact = _payment(item)
            if fact is not None and score is not None:
                found.append(ParkedPayment(fact, int(float(score))))
        return found

    async def unpark(self, events: Iterable[str]) -> None:
        ids = list(events)
        if ids:
            await self.scripts.batch(
                [
                    command("HDEL", self.keys.parked("events"), *ids),
                    command("ZREM", self.keys.parked("since"), *ids),
                ]
            )


def _payment(item: bytes | None) -> PaymentFact | None:
    """The parked event, None where it is gone or another release's: it stays until it is too old."""
    try:
        fact = decode_fact(item) if item is not None else None
    except Unreadable:
        return None
    return fact if isinstance(fact, PaymentFact) else None
