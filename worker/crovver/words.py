"""Other people's text, made fit to show: short, on one line, without keys and payable links."""

import re

_LINK = re.compile(r"\bhttps?:\S+|\bcs_(?:live|test)_\S*", re.IGNORECASE)
_KEY = re.compile(r"\b(?:sk|pk|rk)_(?:live|test)_\w+|\bwhsec_\w+|\bBearer\s+\S+", re.IGNORECASE)


def one_line(text: str, limit: int) -> str:
    """The printable characters of ``text`` on one line, at most ``limit`` of them."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def plain(text: str, limit: int = 300) -> str:
    """``one_line`` with links and keys taken out.

    Crovver's error texts come from elsewhere and may quote what was sent (a key) or what was made (a checkout URL).
    """
    # Redacted before control characters go: removing one first could cut a link in two, and its tail would stay.
    return one_line(_KEY.sub("[key]", _LINK.sub("[link]", text)), limit)
