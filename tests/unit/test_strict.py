"""What the queue takes for a message: everything that dramatiq makes, and nothing that it could not handle."""

import json

import dramatiq
import pytest
from dramatiq.errors import DecodeError

from worker.actors.strict import StrictEncoder

ENCODER = StrictEncoder()


def message(**changes: object) -> dict[str, object]:
    made = dramatiq.Message[None](
        queue_name="seat-events", actor_name="user_added", args=("t", "u"), kwargs={"email": None}, options={}
    )
    return {**json.loads(made.encode()), "options": {"redis_message_id": "x"}, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"options": {"redis_message_id": "x", "retries": 3, "traceback": "…", "requeue_timestamp": 5}},
        {"options": {"redis_message_id": "x", "of_some_middleware": {"trace": [1]}}},
        {"queue_name": "seat-events.DQ", "options": {"redis_message_id": "x", "eta": 4e15}},
        {"options": {"redis_message_id": "x", "eta": None}},
        {"options": {"redis_message_id": "x", "eta": 1_700_000_000_000}},
        {"options": {"redis_message_id": "x", "eta": "soon"}},
        {"message_timestamp": 1_780_000_000_000.25},
    ],
    ids=["plain", "retried", "with more options", "put off", "eta null", "eta past", "eta no number", "float time"],
)
def test_what_dramatiq_makes_is_taken_as_it_is(changes: dict[str, object]) -> None:
    made = message(**changes)
    assert ENCODER.decode(ENCODER.encode(made)) == made


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"more": 1}, "not those of a message"),
        ({"args": None}, "args"),
        ({"message_id": ["x"]}, "message_id"),
        ({"options": {}}, "redis_message_id"),
        ({"options": {"redis_message_id": 7}}, "redis_message_id"),
        ({"options": {"redis_message_id": "x", "throws": "all"}}, "throws"),
        ({"options": {"redis_message_id": "x", "eta": 4e15}}, "eta"),
        ({"options": {"redis_message_id": "x", "eta": 10**400}}, "eta"),
        ({"options": {"redis_message_id": "x", "eta": float("nan")}}, "eta"),
        ({"message_timestamp": "yesterday"}, "message_timestamp"),
        ({"message_timestamp": True}, "message_timestamp"),
        ({"message_timestamp": -1}, "message_timestamp"),
        ({"message_timestamp": 10**400}, "message_timestamp"),
        ({"message_timestamp": float("inf")}, "message_timestamp"),
        ({"message_timestamp": float("nan")}, "message_timestamp"),
    ],
)
def test_what_it_could_not_handle_is_none_and_the_reason_names_it(changes: dict[str, object], why: str) -> None:
    data = json.dumps(message(**changes)).encode()
    with pytest.raises(DecodeError, match=why):
        ENCODER.decode(data)
