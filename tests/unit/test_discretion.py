"""dramatiq's log entries name messages; what was in them is nobody's business."""

import logging

import dramatiq
import pytest
from dramatiq.broker import MessageProxy
from dramatiq.brokers.stub import StubBroker

from worker.actors.discretion import WithoutArguments

MESSAGE = dramatiq.Message[None](
    queue_name="q", actor_name="user_added", args=("t", "u"), kwargs={"name": "Ada"},
    options={"redis_message_id": "id_1"},
)  # fmt: skip


def test_a_message_stands_as_its_actor_and_its_id() -> None:
    for message in (MESSAGE, MessageProxy(MESSAGE)):
        record = logging.LogRecord("d", logging.ERROR, "p", 1, "Failed to process %s after %d s.", (message, 3), None)
        assert WithoutArguments().filter(record)
        assert record.getMessage() == "Failed to process user_added (message id_1) after 3 s."


def test_what_an_actor_says_of_its_arguments_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    @dramatiq.actor(broker=StubBroker())
    def greet(name: str) -> None: ...

    caplog.set_level(logging.DEBUG)
    greet("Ada")
    said = [record for record in caplog.records if "Ada" in record.getMessage()]
    assert said
    assert not any(WithoutArguments().filter(record) for record in said)


def test_other_records_stay_as_they_are() -> None:
    for given, text in (((7,), "seven 7"), (({"a": 7},), "seven {'a': 7}"), ((), "seven %s")):
        record = logging.LogRecord("d", logging.ERROR, "p", 1, "seven %s", given, None)
        assert WithoutArguments().filter(record)
        assert record.getMessage() == text
