"""Ids that are easily taken for one another, or for a part of a key."""

import unicodedata
from collections.abc import Iterable

from hypothesis import strategies as st

_ACCENT = "caf\u00e9"

LOOKALIKES: tuple[str, ...] = tuple(dict.fromkeys([
    "a", "A", "b", "a:b", "a/b", "a\\b", "a.b", "a-b", "a_b", "a b", "a+b", "a%20b", "a%2Fb", "a%3Ab", "%61", "a&b=c",
    "a?b", "a#b", "a;b", "a,b", "a|b", "a*", "a?", "[a]", "^a", "a{b", "a}b", "{a}", "}:{a", "{index}", "{parked}",
    "t:a", "{t:a}", " a", "a ", "a\u00a0", "\u200ba", "a\u200b", "a\u202eb", ".", "..", "../a", "./a", "a/", "/a", "//",
    "%", "%%", "%2e%2e", _ACCENT, unicodedata.normalize("NFD", _ACCENT), _ACCENT.upper(), "\ufb01", "fi", "\uff41",
    "\u0430", "\u00df", "ss", "\u0130", "i\u0307", "\u0131", "K", "\u212a", "0", "00", "1", "-1", "1e0", "null", "None",
    "true", "*", "-", "+", "+inf", "-inf", "(a", "$", "''", '"a"', "<a>", "record", "inbox", "a:inbox", "a}:inbox",
    "a:record", "a:erased", "roster", "journal", "removed", "missing", "index", "due", "seats", "seats:a", "checkout:a",
    "cs_test_a", "upg_a", "prr_a", "a" * 254, "a" * 255, "\u00e9" * 255, "\U0001f642", "\U0001f642" * 127,
]))  # fmt: skip

_PIECES = ["a", "b", ":", "/", "{", "}", "%", "%3A", "%7B", ".", " ", "\u0301", "é", "inbox", "t", "*", "🙂", "\\"]


def sets_of_ids() -> st.SearchStrategy[list[str]]:
    """A handful of ids put together from pieces that matter in keys, paths and patterns."""
    one = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map("".join).filter(str.strip)
    return st.lists(one, min_size=2, max_size=8, unique=True)


def in_path(ident: str) -> str:
    """An id as a segment of a path in which nothing can be taken for anything else."""
    return "".join(f"%{byte:02X}" for byte in ident.encode())


def others(ids: Iterable[str], ident: str) -> list[str]:
    return [one for one in ids if one != ident]
