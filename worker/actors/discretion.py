"""What dramatiq logs of a message: not its arguments, among which are the names of people."""

import logging

from dramatiq import Message
from dramatiq.broker import MessageProxy

_OF_AN_ACTOR = "Received args="
"""How an entry begins that holds nothing but the arguments of a call."""


class WithoutArguments(logging.Filter):
    """Has messages in log records stand as their actor and their id; dramatiq would have them in full."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str) and record.msg.startswith(_OF_AN_ACTOR):
            return False
        if isinstance(record.args, tuple):
            record.args = tuple(map(_named, record.args))
        return True


def hide_arguments() -> None:
    """Filter whatever this process logs from now on."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(WithoutArguments())


def _named(value: object) -> object:
    if not isinstance(value, Message | MessageProxy):
        return value
    return f"{value.actor_name} (message {value.options.get('redis_message_id', value.message_id)})"
