"""What the queue takes for a message.

dramatiq checks a message's fields by their names alone. One whose fields are of other kinds than it expects, or whose
options steer it, ends the thread that meets it: the messages that were fetched with it are stranded then, or the whole
process ends and meets it again.
"""

from typing import Any

from dramatiq import JSONEncoder
from dramatiq.common import q_name
from dramatiq.errors import DecodeError

_KINDS = {
    "queue_name": str, "actor_name": str, "args": list, "kwargs": dict, "options": dict, "message_id": str,
    "message_timestamp": int,
}  # fmt: skip


class StrictEncoder(JSONEncoder):
    """dramatiq's JSON encoder, for which a message that it could not handle is none at all.

    Raises:
        DecodeError: it is no JSON, or no message.
    """

    def decode(self, data: bytes) -> dict[str, Any]:
        fields = super().decode(data)
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
    options, queue = fields["options"], fields["queue_name"]
    if not isinstance(options.get("redis_message_id"), str):
        return "the option redis_message_id is missing: it could not be acknowledged"
    if "throws" in options:
        return "the option throws can't come with a message"
    if "eta" in options and q_name(queue) == queue:
        # It would take the place of others in memory until then. Messages that are put off come over another queue.
        return "the option eta on a queue whose messages are due"
    return None
