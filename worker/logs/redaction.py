"""What must not stand in a log: secrets, payable links, addresses of people, and values without end.

A value is masked if the key it stands under says so, or if it looks like a secret wherever it stands: nested, in a
traceback, in the text of another library's message. This is the net under the rule that such values are not logged,
not a licence to log them.
"""

import math
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from worker.logs.patterns import MASK, SECRET_KEY, masked

TEXT_LIMIT = 2_000
"""Characters of one value."""

TRACEBACK_LIMIT = 20_000
"""Characters of one traceback, whose middle is left out beyond it."""

_ITEM_LIMIT = 100
_DEPTH_LIMIT = 6
# A secret that the limit cuts in two must still be recognized: masking looks this much further.
_LOOK_BEYOND = 2_000


def redacted(text: str, limit: int = TEXT_LIMIT) -> str:
    """``text`` with everything masked that looks like a secret, and at most about ``limit`` characters of it."""
    text = text[: limit + _LOOK_BEYOND]
    text = masked(text)
    return text if len(text) <= limit else f"{text[:limit]}… (cut)"


def redact(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A structlog processor, the last before rendering: masks secrets in an entry, makes it plain and bounded.

    Afterwards it holds nothing but text, numbers, booleans, None, lists and dicts.
    """
    tracebacks = {key: _traceback(str(event.pop(key))) for key in ("exception", "stack") if event.get(key)}
    return {**_mapping(event, 0), **tracebacks}


def _traceback(text: str) -> str:
    if len(text) > TRACEBACK_LIMIT:
        # The last lines say what happened, the first ones where it began.
        text = f"{text[: TRACEBACK_LIMIT // 4]}\n… (cut) …\n{text[-TRACEBACK_LIMIT * 3 // 4 :]}"
    return redacted(text, TRACEBACK_LIMIT + 100)


def _mapping(values: Mapping[Any, object], depth: int) -> dict[str, object]:
    plain: dict[str, object] = {}
    for count, (key, value) in enumerate(values.items()):
        if count == _ITEM_LIMIT:
            plain["…"] = f"{len(values) - count} more"
            break
        name = redacted(str(key), 200)
        plain[name] = MASK if _is_secret(name, value) else _plain(value, depth + 1)
    return plain


def _is_secret(name: str, value: object) -> bool:
    """Whether a value is masked for its name. That a secret is missing, or whether there is one, may be told."""
    return SECRET_KEY.search(name) is not None and value is not None and not isinstance(value, bool)


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return redacted(str(value))
    if isinstance(value, bytes | bytearray):
        return redacted(bytes(value[: TEXT_LIMIT + _LOOK_BEYOND]).decode("utf-8", "backslashreplace"))
    if isinstance(value, int) and abs(value) < 1 << 64:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < _DEPTH_LIMIT:
        if isinstance(value, Mapping):
            return _mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = list(value)
            if len(items) == 2 and isinstance(items[0], str | bytes) and _is_secret(str(items[0]), items[1]):
                # A header, as servers and clients pass them around.
                return [_plain(items[0], depth + 1), MASK]
            rest = [f"… {len(items) - _ITEM_LIMIT} more"] if len(items) > _ITEM_LIMIT else []
            return [*(_plain(item, depth + 1) for item in items[:_ITEM_LIMIT]), *rest]
    try:
        text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception:
        text = f"<{type(value).__name__} that cannot be shown>"
    return redacted(text)
