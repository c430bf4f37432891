"""The broker's consumer waits where dramatiq's would poll, and strands nothing while it does."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from dramatiq.errors import ConnectionClosed

from tests.processes import eventually
from worker.actors import broker as module
from worker.actors.broker import RECONCILE, Broker, make_broker, wake_message

LONG = 3.0
"""Seconds of a wait that a test has to end; less than a socket waits for."""


def consume(broker: Broker, prefetch: int = 4) -> Any:
    return broker.consume(RECONCILE, prefetch)


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    made = make_broker(redis_url, "seats")
    made.enqueue_all(RECONCILE, [])  # it learns how many values the server's Lua can take at once
    yield made
    made.close()


def wakes(*tenants: str) -> list[Any]:
    return [wake_message(tenant, "1") for tenant in tenants]


def taken(consumer: Any) -> list[str]:
    """The tenants of what a consumer fetches before it finds nothing; none of it is acknowledged."""
    return [message.args[0] for message in iter(consumer.__next__, None)]


def calls(broker: Broker) -> dict[str, int]:
    """How often clients have sent which commands since the last time."""
    stats = broker.client.info("commandstats")
    broker.client.config_resetstat()
    sent = {name.removeprefix("cmdstat_"): known["calls"] for name, known in stats.items()}
    return {name: sent[name] for name in ("eval", "evalsha", "blmove") if name in sent}


def test_messages_are_enqueued_in_one_round_trip_and_come_in_order(broker: Broker) -> None:
    assert broker.enqueue_all(RECONCILE, wakes("a", "b", "c")) == 3
    assert broker.enqueue_all(RECONCILE, wakes("d")) == 4
    message = next(consume(broker, 10))
    assert (message.actor_name, message.args) == ("reconcile", ("a", "1"))
    assert taken(consume(broker, 10)) == []  # the first consumer has fetched them all
    assert broker.enqueue_all(RECONCILE, wakes("e", "f")) == 2
    assert taken(consume(broker, 10)) == ["e", "f"]


def test_a_server_that_was_restarted_is_taught_the_script_on_the_way(broker: Broker) -> None:
    broker.client.script_flush()
    assert broker.enqueue_all(RECONCILE, wakes("a", "b")) == 2
    assert taken(consume(broker, 10)) == ["a", "b"]


def test_an_idle_consumer_sends_two_commands_for_each_wait(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_WAIT", 0.01)
    consumer = consume(broker)
    next(consumer)  # the server learns the script
    calls(broker)
    for _ in range(5):
        assert next(consumer) is None
    assert calls(broker) == {"evalsha": 5, "blmove": 5}


def test_a_message_ends_the_wait_and_stays_where_it_is_until_it_is_fetched(
    broker: Broker, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_WAIT", LONG)
    waiting, other = consume(broker), make_broker(redis_url, "seats")
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(next(waiting)))
    thread.start()
    assert eventually(lambda: broker.client.info("clients")["blocked_clients"] == 1, LONG)
    began = time.monotonic()
    other.enqueue_all(RECONCILE, wakes("a", "b"))
    thread.join()
    assert time.monotonic() - began < LONG / 2
    assert answers == [None]
    # As it was: whoever was called and died before it fetched has taken nothing along.
    assert broker.queued(RECONCILE) == 2
    assert [next(waiting).args[0] for _ in range(2)] == ["a", "b"]
    other.close()


def test_a_consumer_with_all_it_may_have_is_called_by_the_first_acknowledgement(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_WAIT", LONG)
    consumer = consume(broker, 1)
    broker.enqueue_all(RECONCILE, wakes("a", "b"))
    first = next(consumer)
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(next(consumer)))
    thread.start()
    began = time.monotonic()
    consumer.ack(first)
    thread.join()
    assert time.monotonic() - began < LONG / 2
    # The thread found it at once where the acknowledgement came before it had begun to wait.
    second: Any = answers[0] or next(consumer)
    assert second.args[0] == "b"


def test_one_whose_message_was_taken_by_another_goes_on_waiting(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_WAIT", 0.05)
    late, quick = consume(broker), consume(broker)
    broker.enqueue_all(RECONCILE, wakes("a"))
    assert next(quick).args[0] == "a"
    for _ in range(20):
        assert next(late) is None
    broker.enqueue_all(RECONCILE, wakes("b"))
    assert taken(late) == ["b"]


def test_what_a_dead_process_held_comes_back_with_a_look_that_is_due_by_time(
    broker: Broker, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_WAIT", 0.01)
    dead = make_broker(redis_url, "seats")
    broker.enqueue_all(RECONCILE, wakes("a"))
    assert taken(consume(dead)) == ["a"]
    broker.client.zadd("seats:__heartbeats__", {dead.broker_id: 1})
    broker._maintained.again_at = time.monotonic() + 60
    assert taken(consume(broker)) == []
    broker._maintained.again_at = 0.0
    assert taken(consume(broker)) == ["a"]
    assert broker._maintained.again_at <= time.monotonic() + module.MAINTENANCE_EVERY
    dead.close()


def test_a_wait_that_is_cut_off_is_a_lost_connection_and_what_it_held_comes_back(
    broker: Broker, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dramatiq forgets the delayed messages of a consumer that lost its connection: they must not count as held."""
    monkeypatch.setattr(module, "IDLE_WAIT", LONG)
    consumer, identity = consume(broker), broker.broker_id
    troubles: list[BaseException] = []

    def wait() -> None:
        try:
            next(consumer)
        except ConnectionClosed as error:
            troubles.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert eventually(lambda: broker.client.info("clients")["blocked_clients"] == 1, LONG)
    with redis.Redis.from_url(redis_url) as scissors:
        scissors.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    thread.join()
    assert len(troubles) == 1
    assert broker.broker_id != identity
