"""What lies in Redis: records, roster entries, facts, alerts, notes and dead letters, whoever has written them.

Only what this release writes comes out, and what comes out can be written again; anything else is ``Unreadable``.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.dashboard.sample import upgrade
from tests.hostile.counting import Counter, cases
from tests.hostile.documents import bodies
from tests.unit.test_strict import message
from tests.web.site import MICROS
from worker.core.alert_book import Active, Book
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.checkout import Checkout
from worker.core.facts import (
    CallOutcome,
    CheckoutFact,
    Fact,
    HintFact,
    Membership,
    OperatorAction,
    OperatorFact,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    RosterUser,
    UserFact,
)
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry, Seat
from worker.core.tenant import Tenant
from worker.core.upgrade import State
from worker.logs.redaction import redacted
from worker.store import codec
from worker.store.codec import Unreadable
from worker.store.letters import letter_row, letter_view, read_letter, revived
from worker.web.answers import answer

DEFAULT = 80

FACTS: tuple[Fact, ...] = (
    UserFact("ada", Membership.ADDED, MICROS, "evt_1", "a@b.test", "Ada"),
    RosterFact((RosterUser("ada", "a@b.test", None),), MICROS, "ros_1"),
    PaymentFact(PaymentEvent.COMPLETED, "cs_1", MICROS, "evt_1", "paid", False, "seat_proration", ("prr_1",)),
    OperatorFact(OperatorAction.RETRY, "upg_1", MICROS, "op_1"),
    HintFact("operator", MICROS, "hint_1"),
    CheckoutFact("upg_1", "claim", CallOutcome.UNKNOWN, MICROS, "chk_1", Checkout("prr_1", None, True, 5, {})),
)
TENANT = replace(Tenant("acme"), upgrades=(upgrade("upg_1", State.AWAITING_PAYMENT, MICROS),))
ALERT = Alert(1, "acme", AlertKind.UPGRADE_STARTED, Severity.INFO, Phase.RAISED, MICROS, data={"upgrade": "upg_1"})
BOOK: Book = (Active(AlertKind.CAPACITY_EXCEEDED, Severity.CRITICAL, MICROS, data={"used": 5}),)

Written = tuple[bytes, Callable[[bytes], Any], Callable[[Any], bytes]]
KEPT: dict[str, Written] = {
    "entry": (
        codec.encode_entry(Entry(True, MICROS, "evt_1", Seat.ACTIVE, MICROS, "a@b.test", None)),
        codec.decode_entry,
        codec.encode_entry,
    ),
    "tenant": (codec.encode_tenant(TENANT), codec.decode_tenant, codec.encode_tenant),
    "alert": (codec.encode_alert(ALERT), codec.decode_alert, codec.encode_alert),
    "book": (codec.encode_book(BOOK), codec.decode_book, codec.encode_book),
}


def reread(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], body: bytes) -> None:
    try:
        value = decode(body)
    except Unreadable:
        return
    # 1e999 is read as infinity and written as null: once it is written, it stays what it is.
    again = decode(encode(value))
    assert decode(encode(again)) == again


def facts() -> st.SearchStrategy[bytes]:
    """Facts as they are written, bent behind the word that says their kind."""

    def bent_fact(fact: Fact) -> st.SearchStrategy[bytes]:
        kind, body = (b"u", codec.encode_fact(fact)[1:]) if isinstance(fact, UserFact) else _split(fact)
        return bodies(lambda: json.loads(body)).map(lambda changed: kind + changed)

    return st.sampled_from(FACTS).flatmap(bent_fact)


def _split(fact: Fact) -> tuple[bytes, bytes]:
    kind, _, body = codec.encode_fact(fact).partition(b" ")
    return kind + b" ", body


@given(body=facts() | st.binary(max_size=30))
@example(body=b"u" + b"[" * 100_000)
@example(body=b'u[true,"ada",1e999,"evt_1",null,null]')
@example(body=b'u[true,5,1,"evt_1",null,null]')
@example(body=b'u[true,"\\ud800",1,"evt_1",null,null]')
@cases(DEFAULT)
def test_facts(counter: Counter, body: bytes) -> None:
    with counter.case():
        reread(codec.decode_fact, codec.encode_fact, body)


@given(body=facts(), stamp=st.none() | st.binary(max_size=30) | st.sampled_from([b"1;00-ab", b"9" * 5000, b";"]))
@example(body=b"", stamp=b"9" * 5000)
@cases(DEFAULT)
def test_facts_with_stamps(counter: Counter, body: bytes, stamp: bytes | None) -> None:
    with counter.case():
        try:
            at, trace, _ = codec.decode_accepted(body, stamp)
        except Unreadable:
            return
        assert at >= 0
        trace.encode()


@pytest.mark.parametrize("name", KEPT)
@given(data=st.data())
@cases(DEFAULT)
def test_records(counter: Counter, name: str, data: st.DataObject) -> None:
    good, decode, encode = KEPT[name]
    body = data.draw(bodies(lambda: json.loads(good)))
    with counter.case():
        reread(decode, encode, body)


@pytest.mark.parametrize("body", [b'["?-",1e999,"e",0,null,null]', b"[" * 100_000, b'["+a",1,5,0,null,null]'])
def test_entries_that_nobody_wrote(body: bytes) -> None:
    with pytest.raises(Unreadable):
        codec.decode_entry(body)


@given(body=bodies(lambda: json.loads(codec.encode_note(Note(NoteKind.LOOK, {"active": 5}), MICROS))))
@example(body=b"[]")
@example(body=b"[" * 100_000)
@cases(DEFAULT)
def test_notes(counter: Counter, body: bytes) -> None:
    with counter.case():
        try:
            note = codec.decode_note(body)
        except Unreadable:
            return
        assert isinstance(note, dict)


def an_event_message() -> dict[str, Any]:
    return message(options={"redis_message_id": "x", "traceback": "Traceback\n  File\nValueError: bad"})


def a_wake_up() -> dict[str, Any]:
    return message(queue_name="reconcile", actor_name="reconcile", args=["acme", {"a": [1.5, None]}], kwargs={"b": 1})


@given(body=bodies(an_event_message, a_wake_up), queue=st.sampled_from(["seat-events", "reconcile"]))
@example(
    body=json.dumps(message(queue_name="reconcile", args=[float("nan"), float("inf")])).encode(), queue="reconcile"
)
@cases(DEFAULT)
def test_dead_letters(counter: Counter, body: bytes, queue: str) -> None:
    with counter.case():
        letter = read_letter("id", queue, MICROS, body, redacted)
        for view in (letter_row(letter), letter_view(letter)):
            assert len(answer(view).body) < 100_000
        revived("id", queue, body)
