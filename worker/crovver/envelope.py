"""The outer shape of Crovver's answers: ``{"success": true, "data": …}``, and errors in two shapes."""

import json


class Nonsense(Exception):
    """The answer can't be what Crovver documents. ``reason`` quotes no body."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def data_of(body: bytes, *, success_optional: bool = False) -> object:
    """The ``data`` of a successful answer.

    Raises:
        Nonsense: not JSON, no envelope, or ``success`` is anything but true.
    """
    document = _read(body)
    if not isinstance(document, dict):
        raise Nonsense("the answer is not a JSON object")
    if document.get("success") is not True and not (success_optional and "data" in document):
        words, _ = _error_of(document)
        raise Nonsense(f"the answer says it did not succeed: {words}" if words else "the answer reports no success")
    if "data" not in document:
        raise Nonsense("the answer has no data")
    return document["data"]


def refusal_of(body: bytes) -> tuple[str | None, str | None]:
    """The words and the code of an error answer, None where it gives none. Never fails: gateways answer HTML."""
    try:
        document = _read(body)
    except Nonsense:
        return None, None
    return _error_of(document) if isinstance(document, dict) else (None, None)


def _error_of(document: dict[str, object]) -> tuple[str | None, str | None]:
    error = document.get("error")
    if isinstance(error, dict):
        return _text(error.get("message")), _text(error.get("code"))
    return _text(error) or _text(document.get("message")), _text(document.get("code"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _read(body: bytes) -> object:
    if not body:
        raise Nonsense("the answer is empty")
    try:
        # NaN and Infinity are no JSON; as null they fail exactly where a number matters and nowhere else.
        return json.loads(body.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        pass
    raise Nonsense("the answer is not JSON")
