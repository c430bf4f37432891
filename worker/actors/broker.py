"""The dramatiq broker, set up on purpose.

It carries wake-ups, which may be lost or doubled at no cost, and the host app's own ``user_added`` and
``user_removed`` messages, which must not be. What dramatiq does by default on Redis, and why that is not enough, stands
beside each choice.
"""

import threading
import time
import traceback
from collections.abc import Iterable
from uuid import uuid4

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import q_name
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import CurrentMessage, Middleware

from worker.actors.loops import FastAsyncIO
from worker.actors.strict import StrictEncoder
from worker.logs.redaction import redacted
from worker.store.connect import connect_sync
from worker.store.scripts import is_passing, source

log = structlog.get_logger(__name__)

SEAT_EVENTS = "seat-events"
RECONCILE = "reconcile"
ALERTS = "alerts"

HEARTBEAT_TIMEOUT_MS = 20_000
"""A process silent for this long is taken for dead and its messages are given to others (default: a minute)."""

MAINTENANCE_EVERY = 5.0
"""Seconds after which each consumer looks for dead processes. By time, and not by chance as dramatiq has it: an idle
consumer sends few commands and would take minutes, a busy one would have the server walk all its keys (``KEYS``) many
times a second for as long as a dead process is known."""

STOPPING_PAUSE = 0.02
"""Between the questions of a consumer thread that is being stopped and has not heard of it."""

IDLE_WAIT = 0.5
"""Seconds an idle consumer waits on the server for a message, or, while all threads are busy, for one of them. Either
wait ends at once when there is something to do: this is how long a process that is told to stop may take to notice."""

LOST_RACE_PAUSE, LONGEST_PAUSE = 0.002, 0.02
"""Seconds a consumer pauses after it was called for a message that another had taken, times how often in a row."""

DEAD_LETTERS_KEPT_MS = 30 * 86_400_000
"""A message that can't be handled is kept for a month."""

TRACEBACK_FRAMES = 8
TRACEBACK_LENGTH = 6_000
"""Of why a message died these last frames are kept, in about so many characters."""


class Consumer(_RedisConsumer):
    """A consumer that always comes back, and leaves no message behind.

    It takes every trouble of Redis for a lost connection: redis-py's TimeoutError is no ConnectionError, and neither is
    a server that is loading, read-only or out of memory; dramatiq lets the first end the consumer's thread for good.

    It does not poll either, but waits: on the server while its queue is empty, for its threads while they have as many
    messages as they may. dramatiq would sleep, longer and longer, in both cases.
    """

    def __init__(self, broker: "Broker", queue_name: str, prefetch: int, timeout: int) -> None:
        # dramatiq sleeps for at most its timeout where it finds nothing.
        super().__init__(broker, queue_name, prefetch, timeout=0)  # type: ignore[no-untyped-call]
        self._room = threading.Event()
        self._called = False

    def __next__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        if self.broker.stopping.is_set():
            time.sleep(STOPPING_PAUSE)
            return None
        while True:
            self._room.clear()
            try:
                message = super().__next__()  # type: ignore[no-untyped-call]
                if message is None:
                    self._wait()
                    return None
                if message.queue_name == self.queue_name:
                    self._called = False
                    return message
                # Handled, it would be given back to a queue that it did not come from, which nobody may consume.
                log.error("a message for another queue becomes a dead letter", queue=self.queue_name)
                self.nack(message)  # type: ignore[no-untyped-call]
            except DecodeError as error:
                # Raised further, it would cost the messages that were fetched with this one.
                self._set_aside(error.data)
            except ConnectionClosed:
                self.broker.take_new_identity()
                raise
            except redis.RedisError as error:
                self.broker.take_new_identity()
                raise as_connection_closed(error) from None

    def _wait(self) -> None:
        """Wait until there may be a message to fetch, for half a second at most."""
        if self.outstanding_message_count >= self.prefetch:
            self._room.wait(IDLE_WAIT)
            return
        if self._called:
            # Whoever waits on an empty queue is called for each message. Those who come late give way for a moment.
            time.sleep(min(self.misses * LOST_RACE_PAUSE, LONGEST_PAUSE))
        name = f"{self.broker.namespace}:{self.queue_name}"
        # From its head to its head: the queue stays as it is, and the message where a lost reply can't strand it.
        self._called = self.broker.client.blmove(name, name, IDLE_WAIT, "LEFT", "LEFT") is not None
        if not self._called:
            self.misses = 0

    def _set_aside(self, data: bytes) -> None:
        """Make a dead letter of a message that can't be decoded, and so does not tell its own id.

        It is known by its body, or, where somebody has written that anew since, by the new one that is no better.
        """
        log.error("a message can't be decoded and becomes a dead letter", queue=self.queue_name, bytes=len(data))
        namespace, client = self.broker.namespace, self.broker.client
        try:
            # Not many: those that this process has fetched and not yet handled.
            held = sorted(client.smembers(f"{namespace}:__acks__.{self.broker.broker_id}.{self.queue_name}"))
            known = client.hmget(f"{namespace}:{self.queue_name}.msgs", held) if held else []
            for ident, body in zip(held, known, strict=True):
                if body == data or (body is not None and not _is_message(body)):
                    self.broker.do_nack(self.queue_name, ident)
        except redis.RedisError as error:
            raise as_connection_closed(error) from None

    def ack(self, message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        try:
            super().ack(message)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise as_connection_closed(error) from None
        finally:
            self._room.set()

    def nack(self, message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        try:
            super().nack(message)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise as_connection_closed(error) from None
        finally:
            self._room.set()

    def requeue(self, messages):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        try:
            super().requeue(messages)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise as_connection_closed(error) from None


def _is_message(data: bytes) -> bool:
    try:
        dramatiq.Message.decode(data)
    except DecodeError:
        return False
    return True


def as_connection_closed(error: redis.RedisError) -> Exception:
    """The error as one that dramatiq recovers from.

    Also where waiting alone would not mend it, as with a key of the wrong type: the queue is tried again every second,
    and others are worked off meanwhile.
    """
    if isinstance(error, redis.ResponseError) and not is_passing(error):
        log.error("a queue can't be used until somebody mends it; `seats doctor` looks at its keys", reason=str(error))
    return ConnectionClosed(error)  # type: ignore[no-untyped-call]


class Broker(RedisBroker):
    """dramatiq's Redis broker with the consumer above, which fetches nothing more once ``stopping`` is set."""

    stopping: threading.Event

    _maintained = threading.local()
    """When this thread has last had its queue looked after. Each consumer has a thread of its own."""

    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer

    def take_new_identity(self) -> None:
        """Let what was fetched under the old identity come back, once its heartbeat has ended.

        A reply that was lost on its way may have carried messages, which nobody but this process is waiting for. Those
        that it does know are handled twice then, which does no harm.
        """
        self.broker_id = str(uuid4())

    def _should_do_maintenance(self, command: str) -> int:
        if command != "fetch" or time.monotonic() < getattr(self._maintained, "again_at", 0.0):
            return 0
        self._maintained.again_at = time.monotonic() + MAINTENANCE_EVERY
        return 1

    def queued(self, queue: str) -> int:
        """How many messages wait in a queue.

        Raises:
            redis.RedisError: the server can't be used.
        """
        length = self.client.llen(f"{self.namespace}:{queue}")
        assert isinstance(length, int)
        return length

    def enqueue_all(self, queue: str, messages: Iterable["dramatiq.Message[None]"]) -> int:
        """Enqueue messages for one queue in one round trip; how many wait there then. Where it raises, some may be in.

        Raises:
            redis.RedisError: the server can't be used.
        """
        script, now = self.scripts["dispatch"], round(time.time() * 1000)
        most: int = self._max_unpack_size()  # type: ignore[no-untyped-call]
        common = [now, queue, self.broker_id, self.heartbeat_timeout, self.dead_message_ttl, 0, most]
        with self.client.pipeline(transaction=False) as pipe:
            for number, message in enumerate(messages):
                ident = str(uuid4())
                body = message.copy(options={"redis_message_id": ident}).encode()
                # In full at first: a server that was restarted has forgotten it.
                how = ("EVALSHA", script.sha) if number else ("EVAL", script.script)
                pipe.execute_command(*how, 1, self.namespace, "enqueue", *common, ident, body)
            pipe.llen(f"{self.namespace}:{queue}")
            length = pipe.execute()[-1]
        assert isinstance(length, int)
        return length


class DeadLetters(Middleware):
    """A message whose actor raises is kept as a dead letter, with the reason.

    dramatiq's own ``Retries`` would enqueue it again, and where Redis is away at that moment, lose it. Our actors wait
    for Redis by themselves: what they raise would be raised again.
    """

    def after_process_message(  # type: ignore[no-untyped-def]
        self,
        broker,  # noqa: ANN001
        message,  # noqa: ANN001
        *,
        result=None,  # noqa: ANN001
        exception=None,  # noqa: ANN001
    ) -> None:
        if exception is not None:
            message.fail()

    def after_nack(self, broker: "Broker", message: "dramatiq.MessageProxy") -> None:  # type: ignore[override]
        error = message._exception
        if error is None:
            return
        lines = traceback.format_exception(error, limit=-TRACEBACK_FRAMES)
        # Where dramatiq's Retries would keep it, too.
        message.options["traceback"] = redacted("".join(lines), TRACEBACK_LENGTH)
        bodies, ident = f"{broker.namespace}:{q_name(message.queue_name)}.XQ.msgs", message.options["redis_message_id"]
        try:
            broker.client.eval(source("explain_dead"), 1, bodies, ident, message.encode())
        except redis.RedisError as problem:
            log.warning("why a message died could not be kept", queue=message.queue_name, reason=str(problem))


def make_broker(url: str, namespace: str, middleware: Iterable[Middleware] = ()) -> Broker:
    """A broker on the server of ``url``. Nothing is sent until it is first used.

    No ``TimeLimit`` (it raises past ``except Exception`` and has the message repeated), no ``Prometheus`` (it opens a
    port to the world), no ``AgeLimit``.
    """
    # Of the whole process, and this process decodes nobody else's messages.
    dramatiq.set_encoder(StrictEncoder())
    broker = Broker(  # type: ignore[no-untyped-call]
        client=connect_sync(url, retries=0),
        namespace=namespace,
        middleware=[FastAsyncIO(), CurrentMessage(), DeadLetters(), *middleware],
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        dead_message_ttl=DEAD_LETTERS_KEPT_MS,
    )
    broker.stopping = threading.Event()
    for queue in (SEAT_EVENTS, RECONCILE, ALERTS):
        broker.declare_queue(queue)
    return broker


def wake_message(tenant: str, token: str) -> "dramatiq.Message[None]":
    """The wake-up of one tenant."""
    return dramatiq.Message(queue_name=RECONCILE, actor_name="reconcile", args=(tenant, token), kwargs={}, options={})


def alerts_message(channel: str, cursor: int) -> "dramatiq.Message[None]":
    """The wake-up of one alert channel that stands at ``cursor``."""
    return dramatiq.Message(
        queue_name=ALERTS, actor_name="deliver_alerts", args=(channel, cursor), kwargs={}, options={}
    )
