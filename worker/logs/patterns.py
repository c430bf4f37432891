"""What a secret, a payable link or a person's address looks like in a text, and what is shown in its place."""

import re

MASK = "***"

_WORD = (
    r"authorization|passw(?:or)?d|passphrase|secret|token|credential|cookie|signature|bearer|(?<![a-z])(?:pwd|auth)(?![a-z])"
    r"|(?:api|service|private)[_-]?key|(?:checkout|alert|webhook)[_-]?url|e[_-]?mail"
)
SECRET_KEY = re.compile(_WORD, re.IGNORECASE)
"""Names whose values are masked whatever they are."""

# As they are, percent-encoded, and as JSON escapes them.
_SLASHES = r"(?::(?:\\{0,8}/){2}|%3A%2F%2F)"
_AT = r"(?:[@\uff20]|%(?:25){0,3}40|\\{1,8}u0040|&#(?:0{0,4}64|x0{0,4}40);)"
_REST = r"[^\s\"'<>]"
_NOT_LOCAL = r"\s@\uff20\"'<>,;:()\[\]{}=/\\*"

# In this order: what the first ones mask, the later ones leave alone.
_PATTERNS = (
    # scheme://user:password@host, with whatever stands before the last @ of the authority
    (
        re.compile(rf"([a-z][a-z0-9+.-]{{0,30}}{_SLASHES})[^\s\"'<>/?#]{{1,1000}}(?:@|%40)", re.IGNORECASE),
        rf"\1{MASK}@",
    ),
    # A page on which money can be paid or a subscription changed.
    (
        re.compile(
            rf"https?{_SLASHES}[^\s\"'<>/]*checkout{_REST}*|https?{_SLASHES}{_REST}{{1,500}}?/pay/{_REST}*"
            rf"|(?:https?{_SLASHES})?\b(?:checkout|buy|pay|invoice|billing)\.stripe\.com\b{_REST}*",
            re.IGNORECASE,
        ),
        "[checkout url]",
    ),
    # A channel for alerts: Apprise's own schemes, and the webhooks of chat services.
    (
        re.compile(
            rf"\b((?!(?:https?|rediss?|redis\+[a-z]+|unix|tcp|file):)[a-z][a-z0-9+.-]{{1,30}}://){_REST}+"
            rf"|\b(https?://[^\s\"'<>/]*(?:/services/|/api/webhooks/|webhook\.office\.com/)){_REST}+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    # Authorization: Bearer …
    (re.compile(r"\b(Bearer|Basic)(\s+|%20)[^\s\"',;]{3,}", re.IGNORECASE), rf"\1\2{MASK}"),
    # Keys of Crovver and Stripe, webhook secrets, checkout sessions.
    (
        re.compile(
            r"(?<![a-z0-9])((?:sk|rk)_(?:live|test)_|rk_|whsec_|cs_(?:live|test)_)[a-z0-9+/=_%#-]*", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"\bcs_[A-Za-z0-9]\w{5,}"), f"cs_{MASK}"),
    # "token": "…", api_key: '…', (b'authorization', b'…')
    (
        re.compile(
            rf"((?:{_WORD})[\w-]{{0,40}}\\{{0,8}}[\"']?\s*[:=,]\s*b?\\{{0,8}}([\"']))(?:(?!\\{{0,8}}\2).){{1,2000}}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # password=…, "pin_token": 4711, Authorization: …, --operator-token …
    (
        re.compile(
            rf"((?:{_WORD})\w{{0,40}}(?:=|\\{{0,8}}[\"']\s*[:=]\s*)|\bpassw(?:or)?d:\s+)[^\s\"',;&)}}\]]+"
            r"|(\b(?:authorization|(?:set-)?cookie|x-[a-z-]{0,30}(?:key|token|signature)|stripe-signature):\s*)[^\r\n\"']+"
            r"|(--[a-z-]{0,30}(?:token|secret|password|key)\s+)[^\s-]\S*",
            re.IGNORECASE,
        ),
        rf"\1\2\3{MASK}",
    ),
)
_ADDRESS = re.compile(
    rf"(?:\"[^\"\s]{{1,64}}(?: [^\"\s]{{1,64}}){{0,3}}\"|[^{_NOT_LOCAL}]{{1,64}}){_AT}"
    rf"(?:[^{_NOT_LOCAL}]{{1,255}}\.[^\W\d_]{{2,24}}|\[[0-9a-f:.]{{2,45}}\])",
    re.IGNORECASE,
)
_MAY_HOLD_ADDRESS = re.compile(_AT, re.IGNORECASE)
# A password with a slash in it, which is no proper URL, and so was left over above.
_IMPROPER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s\"'<>*]{1,1000}@")


def masked(text: str) -> str:
    """``text`` with everything masked that looks like a secret."""
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    if _MAY_HOLD_ADDRESS.search(text):
        text = _ADDRESS.sub(f"{MASK}@{MASK}", text)
        text = _IMPROPER.sub(rf"\1{MASK}@", text)
    return text
