"""Notes: what the journal keeps. They never hold a checkout URL, a session id, a name or an e-mail address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float | bool | None
Json = Value | list["Json"] | dict[str, "Json"]


class NoteKind(StrEnum):
    """The kinds of entries in a tenant's journal."""

    FACTS = "facts"
    ROSTER = "roster"
    PAYMENT = "payment"
    OPERATOR = "operator"
    HINT = "hint"
    LOOK = "look"
    TROUBLE = "trouble"
    DECISION = "decision"
    UPGRADE = "upgrade"
    CALL = "call"
    OUTCOME = "outcome"
    UNREADABLE = "unreadable"
    TOO_OLD = "too_old"
    CREDITS = "credits"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Note:
    """One journal entry before it has a place and time in the journal."""

    kind: NoteKind
    data: Mapping[str, Json] = field(default_factory=dict)
