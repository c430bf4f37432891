"""Comparing secrets: the one way it is done, so that how long it takes tells nobody how close a guess was."""

import hmac


def same(given: str | bytes, secret: str | bytes) -> bool:
    """Whether ``given`` is the secret. Any text will do, also one that is no Unicode; the empty secret is nobody's."""
    return hmac.compare_digest(_bytes(given), _bytes(secret)) and len(secret) > 0


def _bytes(text: str | bytes) -> bytes:
    # compare_digest itself raises on text that is not ASCII.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
