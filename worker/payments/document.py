"""Signed JSON, read with nothing taken for granted."""

import json
from typing import NoReturn

from worker.payments.errors import MalformedEvent

LONGEST_ID = 255


def read_object(payload: bytes) -> dict[str, object]:
    """The JSON object in ``payload``.

    Raises:
        MalformedEvent: not UTF-8, not JSON, nested too deep, or no object.
    """
    try:
        document = json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise MalformedEvent("it is not a JSON object in UTF-8")
    return document


def text_of(parent: dict[str, object], name: str, place: str) -> str:
    """A text of 1 to 255 characters that must be there.

    Raises:
        MalformedEvent: it is not.
    """
    value = parent.get(name)
    if not is_text(value):
        raise MalformedEvent(f"{place} is missing or no text of 1 to {LONGEST_ID} characters")
    return str(value)


def object_of(parent: dict[str, object], name: str, place: str) -> dict[str, object]:
    """A member that must be an object.

    Raises:
        MalformedEvent: it is not.
    """
    value = parent.get(name)
    if not isinstance(value, dict):
        raise MalformedEvent(f"{place} is missing or no object")
    return value


def is_text(value: object) -> bool:
    """1 to 255 characters that can be written as UTF-8: JSON may carry half a surrogate pair, which can't."""
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_ID:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _refuse(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")
