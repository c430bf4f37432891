"""Dead letters as dramatiq leaves them, on Valkey and on Redis."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from worker.actors.broker import make_broker
from worker.logs.redaction import redacted
from worker.store.dead_letters import QUEUES, DeadLetters
from worker.store.errors import StoreUnavailable
from worker.store.letters import letter_view

R = TypeVar("R")


class Graveyard:
    """A broker with dead letters on it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broker = RedisBroker(url=url, namespace="seats")  # type: ignore[no-untyped-call]
        self.client: redis.Redis = self.broker.client
        for queue in QUEUES:
            self.broker.declare_queue(queue)

    def bury(
        self,
        *args: object,
        queue: str = "seat-events",
        actor: str = "user_added",
        options: object = None,
        **kwargs: object,
    ) -> str:
        """Have a message die as it does in a worker; its id."""
        message = self.broker.enqueue(
            dramatiq.Message[None](queue_name=queue, actor_name=actor, args=args, kwargs=kwargs, options={})
        )
        ident = str(message.options["redis_message_id"])
        if options is not None:
            changed = message.copy(options=options)
            self.client.hset(f"seats:{queue}.msgs", ident, changed.encode())
        self._die(queue, ident)
        return ident

    def bury_bytes(self, ident: str | bytes, body: bytes, queue: str = "seat-events") -> None:
        self.client.hset(f"seats:{queue}.msgs", ident, body)
        self.client.rpush(f"seats:{queue}", ident)
        self._die(queue, ident)

    def _die(self, queue: str, ident: str | bytes) -> None:
        self.broker.do_fetch(queue, 100)
        self.broker.do_nack(queue, ident)

    def fetched(self, queue: str = "seat-events") -> list[dict[str, object]]:
        """What a worker would get from a queue now."""
        return [json.loads(body) for body in self.broker.do_fetch(queue, 100)]

    def do(self, work: Callable[[DeadLetters], Awaitable[R]]) -> R:
        async def main() -> R:
            letters = DeadLetters.from_url(self.url, "seats", redacted)
            try:
                async with asyncio.timeout(20):
                    return await work(letters)
            finally:
                await letters.aclose()

        return asyncio.run(main())


@pytest.fixture
def graveyard(redis_url: str) -> Iterator[Graveyard]:
    yard = Graveyard(redis_url)
    yield yard
    yard.client.close()


def test_every_queue_of_the_broker_is_looked_at(redis_url: str) -> None:
    broker = make_broker(redis_url, "seats")
    assert broker.get_declared_queues() <= set(QUEUES)
    broker.client.close()


def test_they_are_counted_by_queue_and_listed_newest_first_page_by_page(graveyard: Graveyard) -> None:
    buried = [graveyard.bury("t", f"u{number}", queue=QUEUES[number % 2]) for number in range(25)]
    assert graveyard.do(lambda letters: letters.count()) == {"seat-events": 13, "reconcile": 12, "alerts": 0}

    async def walk(letters: DeadLetters, queue: str | None = None) -> list[str]:
        found, cursor = [], None
        while True:
            page, cursor = await letters.list(queue, cursor, 4)
            found += [(letter.died_at, letter.id) for letter in page]
            assert len(page) <= 4
            if cursor is None:
                assert found == sorted(found, reverse=True)
                return [ident for _, ident in found]

    assert sorted(graveyard.do(walk)) == sorted(buried)
    assert sorted(graveyard.do(lambda letters: walk(letters, "reconcile"))) == sorted(buried[1::2])


def test_many_that_died_in_one_millisecond_are_each_listed_once(graveyard: Graveyard) -> None:
    buried = [graveyard.bury("t", f"u{number}") for number in range(30)]
    graveyard.client.zadd("seats:seat-events.XQ", dict.fromkeys(buried, 1_700_000_000_000))

    async def walk(letters: DeadLetters) -> list[str]:
        found, cursor = [], None
        while True:
            page, cursor = await letters.list(None, cursor, 7)
            found += [letter.id for letter in page]
            if cursor is None:
                return found

    assert sorted(graveyard.do(walk)) == sorted(buried)


def test_what_is_personal_is_masked_wherever_it_stands(graveyard: Graveyard) -> None:
    positional = graveyard.bury("acme", "user_1", "ada@example.com", "Ada Lovelace", "evt_1")
    misnamed = graveyard.bury("acme", "user_1", mail="ada@example.com", full_name="Ada Lovelace", email=None)
    at_large = graveyard.bury("Ada <ada@example.com>", name="Ada Lovelace", queue="alerts", actor="tell")
    poison = b'{"email": "ada@example.com", '
    graveyard.bury_bytes("poison", poison)
    for ident in (positional, misnamed, at_large, "poison"):
        letter = graveyard.do(lambda letters, ident=ident: letters.get(ident))  # type: ignore[misc]
        assert letter is not None
        shown = json.dumps(letter_view(letter))
        assert "Lovelace" not in shown
        assert "ada@" not in shown
    first = graveyard.do(lambda letters: letters.get(positional))
    second = graveyard.do(lambda letters: letters.get(misnamed))
    assert first is not None
    assert second is not None
    assert first.args == ("acme", "user_1", "***", "***", "evt_1")
    assert second.kwargs == {"mail": "***", "full_name": "***", "email": None}


def test_why_it_died_is_shown_without_secrets(graveyard: Graveyard) -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py"\nValueError: no user ada@example.com for sk_live_abcdef'
    ident = graveyard.bury("acme", "u", options={"traceback": trace})
    letter = graveyard.do(lambda letters: letters.get(ident))
    assert letter is not None
    assert letter.problem == "ValueError: no user ***@*** for sk_live_***"
    assert letter.traceback is not None
    assert letter.traceback.startswith("Traceback")
    assert letter.sent_at is not None
    assert abs(letter.died_at - letter.sent_at) < 60_000_000


@pytest.mark.parametrize(
    "body",
    [b"\x00not a message\xff", b"", b"[]", b'{"queue_name": 1}', b"[" * 100_000, b"x" * 2_000_000, "ключ".encode()],
)
def test_bytes_that_are_no_message_are_shown_escaped_and_cut(graveyard: Graveyard, body: bytes) -> None:
    graveyard.bury_bytes("poison", body)
    letter = graveyard.do(lambda letters: letters.get("poison"))
    assert letter is not None
    assert (letter.actor, letter.problem, letter.size) == (None, "it can't be decoded", len(body))
    assert letter.body is not None
    assert letter.body.isascii() or letter.body.endswith("… (cut)")
    assert letter.body.replace("…", "").isprintable()
    assert len(letter.body) < 3_000


def test_an_id_that_is_no_text_can_be_listed_and_dealt_with(graveyard: Graveyard) -> None:
    graveyard.bury_bytes(b"\xff\x00id", b"poison")

    async def scenario(letters: DeadLetters) -> bool:
        (letter,), _ = await letters.list()
        assert (await letters.get(letter.id)) == letter
        return await letters.discard(letter.id)

    assert graveyard.do(scenario)


def test_requeued_it_is_what_was_sent_with_nothing_left_of_its_failure(graveyard: Graveyard) -> None:
    failed = {"traceback": "Trace", "retries": 3, "requeue_timestamp": 5, "eta": 9e15, "tracing": {"id": 7}}
    ident = graveyard.bury("acme", "u", [], email=None, options=failed)
    assert graveyard.do(lambda letters: letters.requeue(ident))
    (message,) = graveyard.fetched()
    assert (message["args"], message["kwargs"]) == (["acme", "u", []], {"email": None})
    assert message["options"] == {"redis_message_id": ident, "tracing": {"id": 7}}
    assert graveyard.do(lambda letters: letters.count())["seat-events"] == 0
    assert not graveyard.client.exists("seats:seat-events.XQ", "seats:seat-events.XQ.msgs")
    graveyard.broker.do_ack("seat-events", ident)
    assert not graveyard.client.exists("seats:seat-events", "seats:seat-events.msgs"), "it can be acknowledged"
    assert not graveyard.do(lambda letters: letters.requeue(ident)), "once"


def test_of_ten_who_requeue_it_at_once_one_does(graveyard: Graveyard) -> None:
    ident = graveyard.bury("acme", "u")

    async def scenario(letters: DeadLetters) -> list[bool]:
        return await asyncio.gather(*(letters.requeue(ident) for _ in range(10)))

    assert sum(graveyard.do(scenario)) == 1
    assert len(graveyard.fetched()) == 1


def test_a_message_that_was_sent_to_another_queue_is_requeued_to_the_one_it_died_on(graveyard: Graveyard) -> None:
    body = dramatiq.Message[None](
        queue_name="elsewhere", actor_name="user_added", args=("t", "u"), kwargs={}, options={}
    ).encode()
    graveyard.bury_bytes("stray", body)
    assert graveyard.do(lambda letters: letters.requeue("stray"))
    (message,) = graveyard.fetched()
    assert (message["queue_name"], message["options"]) == ("seat-events", {"redis_message_id": "stray"})


def test_discarded_it_is_gone_from_both_structures(graveyard: Graveyard) -> None:
    ident = graveyard.bury("acme", "u")
    assert graveyard.do(lambda letters: letters.discard(ident))
    assert not graveyard.do(lambda letters: letters.discard(ident))
    assert not graveyard.client.keys("seats:*XQ*")
    assert graveyard.fetched() == []


def test_every_one_is_met_once_even_where_all_are_requeued_on_the_way(graveyard: Graveyard) -> None:
    buried = {graveyard.bury("t", f"u{number}") for number in range(450)}

    async def scenario(letters: DeadLetters) -> list[str]:
        met = []
        async for letter in letters.every():
            met.append(letter.id)
            assert await letters.requeue(letter.id)
        return met

    met = graveyard.do(scenario)
    assert (len(met), set(met)) == (450, buried)


def test_a_broker_that_is_away_is_told_as_such() -> None:
    async def main() -> None:
        letters = DeadLetters.from_url("redis://127.0.0.1:1/0", "seats", redacted)
        with pytest.raises(StoreUnavailable):
            await letters.count()
        await letters.aclose()

    asyncio.run(main())
