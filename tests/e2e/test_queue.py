"""What dramatiq on Redis does not promise costs neither a fact nor a second checkout: a test for each way it fails."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment, event, eventually
from worker.embedded import EmbeddedServer

NEW = [f"new_{number}" for number in range(5)]
LONG = pytest.mark.skipif("STORM_ROUNDS" not in os.environ, reason="takes long, as its like in the storm does")


@pytest.fixture
def host(valkey: EmbeddedServer) -> RedisBroker:
    """The broker of a host app that uses dramatiq."""
    return RedisBroker(url=valkey.url, namespace="seats")  # type: ignore[no-untyped-call]


@pytest.fixture
def running(deployment: Deployment, crovver: Crovver) -> Deployment:
    crovver.add("acme", 10, 8)
    crovver.add("crowd", 1000, 0)
    return deployment.start_all()


def send(host: RedisBroker, tenant: str, user: str) -> None:
    message = dramatiq.Message[None](
        queue_name="seat-events", actor_name="user_added", args=(tenant, user), kwargs={}, options={}
    )
    while True:
        try:
            host.enqueue(message)
        except (redis.RedisError, dramatiq.BrokerConnectionError):
            time.sleep(0.05)
        else:
            return


@contextmanager
def meanwhile(disturb: Callable[[], None], every: float) -> Iterator[None]:
    """Disturb again and again while the block runs."""
    over = threading.Event()

    def keep_on() -> None:
        while not over.wait(every):
            disturb()

    thread = threading.Thread(target=keep_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def needed(deployment: Deployment, tenant: str) -> int:
    found = deployment.tenant(tenant).get("seatsNeeded", 0)
    assert isinstance(found, int)
    return found


def test_messages_survive_a_redis_that_dies_while_they_are_handled(
    running: Deployment, host: RedisBroker, valkey: EmbeddedServer
) -> None:
    for number in range(150):
        send(host, "crowd", f"u{number}")
        if number in (40, 90):
            valkey.kill()
            time.sleep(0.7)
            valkey.restart()
    eventually(lambda: needed(running, "crowd") == 150, 60, "every message")


def test_replies_that_are_lost_strand_no_message(
    running: Deployment, host: RedisBroker, valkey: EmbeddedServer
) -> None:
    """Connections are cut while they carry fetches, acknowledgements, enqueues and scripts."""
    with redis.Redis.from_url(valkey.url) as scissors:

        def cut() -> None:
            scissors.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        with meanwhile(cut, 0.08):
            for number in range(200):
                send(host, "crowd", f"u{number}")
            running.start("worker2")
            time.sleep(4)
    eventually(lambda: needed(running, "crowd") == 200, 60, "every message")


def test_a_message_that_cannot_be_decoded_is_a_dead_letter_and_costs_its_siblings_nothing(
    running: Deployment, host: RedisBroker
) -> None:
    running.stop("worker")
    with host.client.pipeline() as pipe:
        for number in range(10):
            if number == 2:
                pipe.hset("seats:seat-events.msgs", "poison", b"\x00not a message")
                pipe.rpush("seats:seat-events", "poison")
                pipe.execute()
            send(host, "crowd", f"u{number}")
    running.start("worker")
    eventually(lambda: needed(running, "crowd") == 10, 20, "the siblings")
    eventually(lambda: host.client.zscore("seats:seat-events.XQ", "poison"), 20, "the dead letter")
    assert host.client.hget("seats:seat-events.XQ.msgs", "poison") == b"\x00not a message"


@LONG
def test_a_redis_that_stands_still_for_longer_than_a_socket_waits_is_survived(
    running: Deployment, host: RedisBroker, valkey: EmbeddedServer
) -> None:
    for _ in range(2):
        os.kill(valkey.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert running.publish(event("acme", "someone")).status_code == 503
        assert time.monotonic() - began < 6
        time.sleep(max(0.0, 7 - (time.monotonic() - began)))
        os.kill(valkey.pid, signal.SIGCONT)
        time.sleep(1)
    send(host, "acme", "by_message")
    running.join("acme", "by_http")
    eventually(lambda: needed(running, "acme") >= 10, 30, "both, and nobody needed a restart")
    assert all(process.poll() is None for process in running.processes.values())


def test_a_redis_without_memory_refuses_at_the_door_and_goes_on_when_it_has_some(
    running: Deployment, crovver: Crovver, valkey: EmbeddedServer
) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", "1")
        answer = running.publish(event("acme", "someone"))
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert running.answers("/readyz") == 503
        time.sleep(3)
        client.config_set("maxmemory", "0")
    running.join("acme", *NEW)
    running.wait_for_state("acme", "awaiting_payment", 60)
    assert len(crovver.checkouts) == 1


@LONG
def test_a_worker_that_stood_still_in_the_middle_of_a_call_does_not_make_it_twice(
    running: Deployment, crovver: Crovver
) -> None:
    """Stopped for longer than its lease and its heartbeat, both 20 s: others take over what it had."""
    crovver.checkout_faults = ["slow"]
    crovver.slow_seconds = 2.0
    running.join("acme", *NEW)
    eventually(lambda: crovver.checkouts, what="the call to begin")
    stopped = running.processes["worker"]
    stopped.send_signal(signal.SIGSTOP)
    running.start("worker2")
    time.sleep(22)
    running.join("acme", "one_more")
    time.sleep(2)
    stopped.send_signal(signal.SIGCONT)
    running.wait_for_state("acme", "awaiting_payment", 60)
    time.sleep(2)
    assert [checkout.capacity for checkout in crovver.checkouts] == [13]


def test_no_message_is_ever_delayed_in_the_queue(running: Deployment, host: RedisBroker, crovver: Crovver) -> None:
    running.join("acme", *NEW)
    running.wait_for_state("acme", "awaiting_payment")
    assert not list(host.client.scan_iter("seats:*.DQ*"))
