"""What the queue takes for a message.

dramatiq checks a message's fields by their names alone. One whose fields are of other kinds than it expects, or whose
options steer it, ends the thread that meets it: the messages that were fetched with it are stranded then, or the whole
process ends and meets it again.
"""

from typing import Any, Final

from dramatiq import JSONEncoder
from dramatiq.common import current_millis, q_name
from dramatiq.errors import DecodeError

_KINDS: Final = {
    "queue_name": str, "actor_name": str, "args": list, "kwargs": dict, "options": dict, "message_id": str,
    "message_timestamp": int | float,
}  # fmt: skip

_LAST_MILLISECOND: Final = 253_402_300_799_999
"""Of the year 9999: later than this is no date."""


class StrictEncoder(JSONEncoder):
    """dramatiq's JSON encoder, for which a message that it could not handle is none at all.

    Raises:
        DecodeError: it is no JSON, or no message.
    """

    def decode(self, data: bytes) -> dict[str, Any]:
        try:
            fields = super().decode(data)
        except (ValueError, RecursionError) as error:
            # A number of 5,000 digits, 10,000 brackets: dramatiq foresees neither.
            raise DecodeError("the message can't be read", data, error) from None  # type: ignore[no-untyped-call]
        problem = _problem(fields)
        if problem is not None:
            raise DecodeError(problem, data, None)  # type: ignore[no-untyped-call]
        return fields


def _problem(fields: object) -> str | None:
    """Why these are not the fields of a message that can be handled; None where they are."""
    if not isinstance(fields, dict) or fields.keys() != _KINDS.keys():
        return "the fields are not those of a message"
    wrong = next((name for name, kind in _KINDS.items() if not isinstance(fields[name], kind)), None)
    if wrong is not None:
        return f"the field {wrong} is of another kind"
    sent_at = fields["message_timestamp"]
    if isinstance(sent_at, bool) or not 0 <= sent_at <= _LAST_MILLISECOND:
        return "the field message_timestamp is no time"
    options, queue = fields["options"], fields["queue_name"]
    if not isinstance(options.get("redis_message_id"), str):
        return "the option redis_message_id is missing: it could not be acknowledged"
    if "throws" in options:
        return "the option throws can't come with a message"
    eta = options.get("eta")
    if isinstance(eta, int | float) and q_name(queue) == queue and not eta <= current_millis():
        # It would take the place of others in memory until then. Messages that are put off come over another queue.
        return "the option eta is in the future, on a queue whose messages are due"
    return None
