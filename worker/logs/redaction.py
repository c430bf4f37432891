"""What must not stand in a log: secrets, payable links, addresses of people, and values without end.

A value is masked if the key it stands under says so, or if it looks like a secret wherever it stands: nested, in a
traceback, in the text of another library's message. This is the net under the rule that such values are not logged,
not a licence to log them.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

MASK = "***"
TEXT_LIMIT = 2_000
"""Characters of one value."""

TRACEBACK_LIMIT = 20_000
"""Characters of one traceback, whose middle is left out beyond it."""

_ITEM_LIMIT = 100
_DEPTH_LIMIT = 6
# A secret that the limit cuts in two must still be recognized: masking looks this much further.
_LOOK_BEYOND = 2_000

_SECRET_WORD = (
    r"authorization|passw(?:or)?d|passphrase|secret|token|credential|cookie|signature"
    r"|(?:api|service|private)[_-]?key|checkout[_-]?url|e[_-]?mail"
)
_SECRET_KEY = re.compile(_SECRET_WORD, re.IGNORECASE)

_PATTERNS = (
    # scheme://user:password@host
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s\"'<>@]{1,1000}@"), rf"\1{MASK}@"),
    # A page on which money can be paid.
    (
        re.compile(r"https?://[^\s\"'<>/]*checkout[^\s\"'<>]*|https?://[^\s\"'<>]{1,500}?/pay/[^\s\"'<>]*"),
        "[checkout url]",
    ),
    # Authorization: Bearer …
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',;]{3,}", re.IGNORECASE), rf"\1 {MASK}"),
    # Keys of Crovver and Stripe, webhook secrets, checkout sessions.
    (re.compile(r"\b((?:sk|rk)_(?:live|test)_|rk_|whsec_|cs_(?:live|test)_)[A-Za-z0-9+/=_%#-]*"), rf"\1{MASK}"),
    (re.compile(r"\bcs_[A-Za-z0-9]\w{5,}"), f"cs_{MASK}"),
    # password=…, "token": "…", Authorization: …
    (
        re.compile(
            rf"((?:{_SECRET_WORD})\w{{0,40}}(?:=|[\"']\s*[:=]\s*)[\"']?)[^\s\"',;&)}}\]]+"
            r"|(\b(?:authorization|cookie|x-service-key|x-crovver-signature|stripe-signature):\s*)[^\r\n\"']+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    # somebody@example.com
    (
        re.compile(r"[^\s@\"'<>,;:()\[\]{}=/\\*]{1,64}@[^\s@\"'<>,;:()\[\]{}=/\\*]{1,255}\.[^\W\d_]{2,24}"),
        f"{MASK}@{MASK}",
    ),
)


def redacted(text: str, limit: int = TEXT_LIMIT) -> str:
    """``text`` with everything masked that looks like a secret, and at most about ``limit`` characters of it."""
    text = text[: limit + _LOOK_BEYOND]
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
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
        masked = _SECRET_KEY.search(name) and value is not None and not isinstance(value, bool)
        plain[name] = MASK if masked else _plain(value, depth + 1)
    return plain


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return redacted(str(value))
    if isinstance(value, int) and abs(value) < 1 << 64:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < _DEPTH_LIMIT:
        if isinstance(value, Mapping):
            return _mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            items = list(value)
            rest = [f"… {len(items) - _ITEM_LIMIT} more"] if len(items) > _ITEM_LIMIT else []
            return [*(_plain(item, depth + 1) for item in items[:_ITEM_LIMIT]), *rest]
    try:
        text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    except Exception:
        text = f"<{type(value).__name__} that cannot be shown>"
    return redacted(text)
