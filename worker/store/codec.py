"""How records, roster entries and facts are written in Redis.

Facts carry a tag, so that a later release can add kinds. User facts and roster entries are the many and the small: they
are plain JSON arrays. Everything else is checked by pydantic on its way in.
"""

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from worker.core.alert_book import Book
from worker.core.alerts import Alert
from worker.core.facts import (
    AllocateFact,
    CheckoutFact,
    CreditsFact,
    Fact,
    HintFact,
    Membership,
    OperatorFact,
    PaymentFact,
    RosterFact,
    SessionFact,
    UserFact,
)
from worker.core.journal import Json, Note
from worker.core.roster import Entry, Seat
from worker.core.tenant import Tenant

_TENANT: TypeAdapter[Tenant] = TypeAdapter(Tenant)
_ALERT: TypeAdapter[Alert] = TypeAdapter(Alert)
_BOOK: TypeAdapter[Book] = TypeAdapter(Book)
_OTHERS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (RosterFact, PaymentFact, OperatorFact, HintFact, CheckoutFact, SessionFact, AllocateFact, CreditsFact)
}
Written = TypeVar("Written")
_ADDED = {True: Membership.ADDED, False: Membership.REMOVED}
_SEATS = {"a": Seat.ACTIVE, "r": Seat.REMOVED, "-": Seat.NONE}
_SEAT_MARKS = {seat: mark for mark, seat in _SEATS.items()}
_SAID = {"+": True, "-": False, "?": None}
_SAID_MARKS = {said: mark for mark, said in _SAID.items()}


# What Python meets in JSON that is not what was expected; 1e999 overflows as an integer, 100,000 brackets are too deep.
_NOT_OURS = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError)


class Unreadable(ValueError):
    """Something in Redis is not what this release writes."""


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _read(shape: TypeAdapter[Written], data: bytes, what: str) -> Written:
    try:
        return shape.validate_json(data)
    except ValidationError as error:
        raise Unreadable(f"{what} is not readable by this release") from error


def encode_fact(fact: Fact) -> bytes:
    if isinstance(fact, UserFact):
        added = fact.membership is Membership.ADDED
        return b"u" + _dump([added, fact.user, fact.at, fact.id, fact.email, fact.name])
    name = type(fact).__name__
    return name.encode("ascii") + b" " + _OTHERS[name].dump_json(fact)


def decode_fact(data: bytes) -> Fact:
    """The fact that was written.

    Raises:
        Unreadable: it is not one this release knows.
    """
    try:
        if data[:1] == b"u":
            added, user, at, ident, email, name = json.loads(data[1:])
            return UserFact(_text(user), _ADDED[added], int(at), _text(ident), _optional(email), _optional(name))
        kind, _, body = data.partition(b" ")
        fact: Fact = _OTHERS[kind.decode("ascii", "replace")].validate_json(body)
    except _NOT_OURS as error:
        raise Unreadable("a fact is not readable by this release") from error
    return fact


def decode_accepted(item: bytes, stamp: bytes | None) -> tuple[int, str, Fact]:
    """The time of a fact's acceptance and its trace, as its stamp tells (0 and '' where none was noted), and the fact.

    A release of before wrote the stamp into the inbox, before the fact.

    Raises:
        Unreadable: it is not one this release knows.
    """
    first, _, rest = item.partition(b" ")
    if first.partition(b";")[0].isdigit():
        item, stamp = rest, first
    at, _, trace = (stamp or b"").partition(b";")
    return int(at) if at.isdigit() and len(at) < 20 else 0, trace.decode("ascii", "replace"), decode_fact(item)


def encode_entry(entry: Entry) -> bytes:
    marks = _SAID_MARKS[entry.said] + _SEAT_MARKS[entry.seat]
    return _dump([marks, entry.at, entry.id, entry.seat_at, entry.email, entry.name])


def decode_entry(data: bytes) -> Entry:
    """The entry that was written.

    Raises:
        Unreadable: it is not one this release knows.
    """
    try:
        marks, at, ident, seat_at, email, name = json.loads(data)
        seat = _SEATS[marks[1]]
        return Entry(_SAID[marks[0]], int(at), _text(ident), seat, int(seat_at), _optional(email), _optional(name))
    except _NOT_OURS as error:
        raise Unreadable("a roster entry is not readable by this release") from error


def encode_tenant(tenant: Tenant) -> bytes:
    return _TENANT.dump_json(tenant, exclude_defaults=True)


def decode_tenant(data: bytes) -> Tenant:
    """The record that was written.

    Raises:
        Unreadable: it is not one this release knows.
    """
    return _read(_TENANT, data, "a tenant's record")


def encode_alert(alert: Alert) -> bytes:
    return _ALERT.dump_json(alert, exclude_defaults=True)


def decode_alert(data: bytes) -> Alert:
    """The alert that was written.

    Raises:
        Unreadable: it is not one this release knows.
    """
    return _read(_ALERT, data, "an alert")


def encode_book(book: Book) -> bytes:
    return _BOOK.dump_json(book, exclude_defaults=True)


def decode_book(data: bytes) -> Book:
    """The alert book that was written.

    Raises:
        Unreadable: it is not one this release knows.
    """
    return _read(_BOOK, data, "an alert book")


def encode_note(note: Note, at: int) -> bytes:
    return _dump({"at": at, "kind": note.kind.value, **note.data})


def decode_note(data: bytes) -> dict[str, Json]:
    """The note that was written.

    Raises:
        Unreadable: it is none.
    """
    try:
        note = json.loads(data)
    except _NOT_OURS:
        note = None
    if not isinstance(note, dict):
        raise Unreadable("a journal entry is not readable by this release")
    return note


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    # Half a surrogate pair could be no key of Redis. That is a UnicodeEncodeError, and so a ValueError.
    value.encode()
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)
