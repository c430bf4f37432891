"""Messages that nobody can handle: they become dead letters, and cost those around them neither time nor a place."""

import json
import time
from collections.abc import Mapping

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker

from tests.e2e.crovver import Crovver
from tests.e2e.deployment import OPERATOR, Deployment, eventually
from worker.actors.broker import make_broker
from worker.embedded import EmbeddedServer

QUEUE = "seats:seat-events"
GOOD = 50
NAME = "Ada King, Countess of Lovelace"
PROMPT = 10.0
"""Seconds. A process that has to be started anew gets its messages back after 20."""


def message(*args: object, actor: str = "user_added", **kwargs: object) -> dict[str, object]:
    made = dramatiq.Message[None](queue_name="seat-events", actor_name=actor, args=args, kwargs=kwargs, options={})
    return dict(made.asdict())


def changed(**changes: object) -> bytes:
    """A message that is well but for what is changed."""
    return json.dumps({**message("crowd", "nobody"), "options": {"redis_message_id": "?"}, **changes}).encode()


POISON: dict[str, bytes] = {
    "bytes": b"\x00not a message",
    "empty": b"",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "no fields": b"{}",
    "too many fields": changed(more=1),
    "no options": changed(options=None),
    "no id of its own": changed(options={}),
    "args": changed(args=None),
    "kwargs": changed(kwargs=[1]),
    "actor": changed(actor_name=["user_added"]),
    "message id": changed(message_id=["x"]),
    "timestamp": changed(message_timestamp="yesterday"),
    "another queue": changed(queue_name="default", options={"redis_message_id": "another queue"}),
    "throws": changed(args=[], options={"redis_message_id": "throws", "throws": "everything"}),
    "next year": changed(options={"redis_message_id": "next year", "eta": 4e15}),
    "no such actor": changed(actor_name="user_promoted", options={"redis_message_id": "no such actor"}),
    "no arguments": changed(args=[], options={"redis_message_id": "no arguments"}),
    "unknown argument": changed(kwargs={"mail": "ada@example.com"}, options={"redis_message_id": "unknown argument"}),
    "bad argument": changed(args=["crowd", "", "ada@example.com", NAME], options={"redis_message_id": "bad argument"}),
    "bad kind": changed(args=["crowd", {"id": 7}], options={"redis_message_id": "bad kind"}),
}


@pytest.fixture
def host(valkey: EmbeddedServer) -> RedisBroker:
    """The broker of a host app that uses dramatiq."""
    return RedisBroker(url=valkey.url, namespace="seats")  # type: ignore[no-untyped-call]


def put(host: RedisBroker, ident: str, body: bytes) -> None:
    host.client.hset(f"{QUEUE}.msgs", ident, body)
    host.client.rpush(QUEUE, ident)


def send(host: RedisBroker, user: str) -> None:
    host.enqueue(
        dramatiq.Message[None](
            queue_name="seat-events", actor_name="user_added", args=("crowd", user), kwargs={}, options={}
        )
    )


def post(deployment: Deployment, path: str) -> Mapping[str, object]:
    answer = deployment.http.post(path, headers={"authorization": f"Bearer {OPERATOR}"})
    assert answer.status_code == 200, answer.text
    found: Mapping[str, object] = answer.json()
    return found


def needed(deployment: Deployment) -> int:
    return int(deployment.tenant("crowd").get("seatsNeeded", 0))


def test_poison_becomes_dead_letters_and_its_siblings_are_handled_promptly(
    deployment: Deployment, crovver: Crovver, host: RedisBroker
) -> None:
    crovver.add("crowd", 1000, 0)
    deployment.start("web", "worker", "scheduler")
    worker = deployment.processes["worker"].pid
    send(host, "first")
    eventually(lambda: needed(deployment) == 1, what="a deployment at work")
    poison = list(POISON.items())
    for number in range(GOOD):
        send(host, f"u{number}")
        if number % 2 == 0 and poison:
            put(host, *poison.pop())
    assert not poison
    began = time.monotonic()
    eventually(lambda: needed(deployment) == 1 + GOOD, 60, "the siblings")
    assert time.monotonic() - began < PROMPT

    def dead_letters() -> list[dict[str, str]]:
        found: list[dict[str, str]] = deployment.get("/v1/dead-letters")["deadLetters"]
        return found

    eventually(lambda: len(dead_letters()) == len(POISON), PROMPT, "the dead letters")
    dead = dead_letters()
    assert {row["id"] for row in dead} == set(POISON)
    assert deployment.processes["worker"].pid == worker
    assert deployment.processes["worker"].poll() is None
    assert "ends itself" not in deployment.log("worker").read_text(), "no process had to start anew"
    assert host.client.hlen(f"{QUEUE}.msgs") == 0
    reasons = {row["id"]: row["problem"] for row in dead}
    assert "nexpected keyword argument 'mail'" in reasons["unknown argument"]
    assert "userId" in reasons["bad argument"]
    assert "ActorNotFound" in reasons["no such actor"]
    for said in (json.dumps(dead), deployment.log("worker").read_text()):
        assert "ada@" not in said
        assert NAME not in said


def test_poison_whose_body_was_written_anew_meanwhile_is_set_aside_all_the_same(valkey: EmbeddedServer) -> None:
    namespace, encoder = "rewritten", dramatiq.get_encoder()
    broker = make_broker(valkey.url, namespace)
    broker.declare_queue("seat-events")
    key = f"{namespace}:seat-events"
    bodies = {"first": changed(options={"redis_message_id": "first"}), "bad": b"\x00", "last": changed()}
    for ident, body in bodies.items():
        broker.client.hset(f"{key}.msgs", ident, body)
        broker.client.rpush(key, ident)
    consumer = broker.consume("seat-events", prefetch=3, timeout=100)
    first = next(consumer)
    assert first is not None
    assert first.options["redis_message_id"] == "first"
    broker.client.hset(f"{key}.msgs", "bad", b"{}")
    last = next(consumer)
    assert last is not None
    assert last.options["redis_message_id"] == "?"
    assert broker.client.hkeys(f"{key}.XQ.msgs") == [b"bad"]
    assert set(broker.client.smembers(f"{namespace}:__acks__.{broker.broker_id}.seat-events")) == {b"first", b"last"}
    broker.close()
    dramatiq.set_encoder(encoder)


def test_requeued_once_it_can_be_handled_it_is_and_discarded_it_is_gone(
    deployment: Deployment, crovver: Crovver, host: RedisBroker
) -> None:
    crovver.add("crowd", 1000, 0)
    deployment.start("web", "worker", "scheduler")
    put(host, "mendable", changed(args=["crowd", ""], options={"redis_message_id": "mendable"}))
    put(host, "hopeless", b"\x00")
    eventually(lambda: len(deployment.get("/v1/dead-letters")["deadLetters"]) == 2, what="the dead letters")
    assert post(deployment, "/v1/dead-letters/hopeless/discard") == {"id": "hopeless", "outcome": "discarded"}
    died = deployment.get("/v1/dead-letters/mendable")["diedAt"]
    post(deployment, "/v1/dead-letters/mendable/requeue")

    def dead_again() -> bool:
        rows = deployment.get("/v1/dead-letters")["deadLetters"]
        return [row["id"] for row in rows] == ["mendable"] and rows[0]["diedAt"] > died

    eventually(dead_again, what="nothing was mended, so it dies again")
    body = json.loads(host.client.hget(f"{QUEUE}.XQ.msgs", "mendable"))  # type: ignore[arg-type]
    host.client.hset(f"{QUEUE}.XQ.msgs", "mendable", json.dumps({**body, "args": ["crowd", "mended"]}))
    outcome = deployment.seats("dead-letters", "requeue", "--all")
    assert (outcome.returncode, outcome.stdout) == (0, "1 message requeued\n")
    eventually(lambda: needed(deployment) == 1, what="the mended one")
    assert deployment.seats("dead-letters").stdout == "No dead letters.\n"
    assert host.client.hlen(f"{QUEUE}.msgs") == 0
