"""Stripe's checkout events as facts."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.facts import PaymentEvent, PaymentFact
from worker.payments.errors import MalformedEvent
from worker.payments.events import read_event

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-05-27",
    "created": 1_777_629_600,
    "type": "checkout.session.completed",
    "livemode": False,
    "data": {
        "object": {
            "id": "cs_test_1",
            "object": "checkout.session",
            "client_reference_id": "workspace_123",
            "metadata": {"event_type": "seat_proration", "proration": "p1"},
            "payment_status": "paid",
            "status": "complete",
            "url": None,
        }
    },
}


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def changed(*path: str, to: object = None, drop: bool = False) -> bytes:
    event = copy.deepcopy(EVENT)
    parent = event
    for name in path[:-1]:
        parent = parent[name]
    if drop:
        del parent[path[-1]]
    else:
        parent[path[-1]] = to
    return body(event)


def fact(payload: bytes) -> PaymentFact:
    found = read_event(payload)
    assert found is not None
    return found


def test_a_completed_checkout_is_read_member_by_member() -> None:
    assert read_event(body(EVENT)) == PaymentFact(
        event=PaymentEvent.COMPLETED,
        session="cs_test_1",
        at=1_777_629_600_000_000,
        id="evt_1",
        payment_status="paid",
        livemode=False,
        purpose="seat_proration",
        references=("workspace_123", "seat_proration", "p1"),
    )


@pytest.mark.parametrize("event", PaymentEvent)
def test_all_four_session_events_are_of_interest(event: PaymentEvent) -> None:
    assert fact(changed("type", to=f"checkout.session.{event}")).event is event


@pytest.mark.parametrize(
    "kind", ["invoice.paid", "checkout.session.", "checkout.session.foo", "completed", "v2.core.x"]
)
def test_other_types_are_none_whatever_they_carry(kind: str) -> None:
    assert read_event(body({"id": "evt_1", "type": kind, "data": 5})) is None


@pytest.mark.parametrize(
    ("metadata", "reference", "references"),
    [
        (None, None, ()),
        ({}, "", ()),
        ({"a": "x", "b": "x"}, "x", ("x",)),
        ({"a": "", "b": "y" * 256, "c": 5, "d": None, "e": "z" * 255, "f": "\ud800"}, None, ("z" * 255,)),
        ({str(n): str(n) for n in range(80)}, "me", ("me", *map(str, range(50)))),
        ({"a": "x"}, 5, ("x",)),
    ],
)
def test_references_are_every_usable_value_once(
    metadata: object, reference: object, references: tuple[str, ...]
) -> None:
    event = copy.deepcopy(EVENT)
    event["data"]["object"] |= {"metadata": metadata, "client_reference_id": reference}
    assert fact(body(event)).references == references


@pytest.mark.parametrize("purpose", [None, 5, "", [], "x" * 256])
def test_a_purpose_that_is_no_text_is_none(purpose: object) -> None:
    assert fact(changed("data", "object", "metadata", to={"event_type": purpose})).purpose is None


def test_a_session_without_payment_status_or_livemode_is_read() -> None:
    assert fact(changed("data", "object", "payment_status", drop=True)).payment_status is None
    assert fact(changed("livemode", drop=True)).livemode is None


def test_the_last_of_two_members_of_one_name_counts() -> None:
    assert fact(body(EVENT)[:-1] + b', "id": "evt_2"}').id == "evt_2"


@pytest.mark.parametrize("payload", [
    b"", b" ", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}",
    body(EVENT).decode().encode("utf-16"),
    b"[" * 100_000, b'{"a":' * 100_000, b'{"id": NaN}', b'{"n": -Infinity}', b'{"n": ' + b"9" * 10_000 + b"}",
    changed("id", drop=True), changed("id", to=5), changed("id", to=""), changed("id", to="x" * 256),
    changed("id", to="\ud800"), changed("type", drop=True), changed("type", to=[]), changed("data", drop=True),
    changed("data", to=[]), changed("data", "object", to=None), changed("data", "object", to="cs_1"),
    changed("data", "object", "id", drop=True), changed("data", "object", "id", to={}),
    changed("data", "object", "payment_status", to=5), changed("data", "object", "metadata", to=[]),
    changed("created", to="now"), changed("created", to=True),
    changed("created", to=-1), changed("created", to=1.5), changed("created", to=10**12), changed("livemode", to="no"),
])  # fmt: skip
def test_anything_odd_is_a_malformed_event(payload: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_event(payload)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(
    value=values,
    path=st.sampled_from([
        ("id",), ("type",), ("created",), ("livemode",), ("data",), ("data", "object"), ("data", "object", "id"),
        ("data", "object", "metadata"), ("data", "object", "client_reference_id"),
    ]),
)  # fmt: skip
def test_one_thing_changed_gives_a_fact_that_can_be_written_down_or_a_malformed_event(
    value: object, path: tuple[str, ...]
) -> None:
    try:
        found = read_event(changed(*path, to=value))
    except MalformedEvent:
        return
    repr(found).encode()


@given(payload=st.binary(max_size=100))
def test_bytes(payload: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_event(payload)


def test_an_event_without_its_time_is_read_all_the_same() -> None:
    fact = read_event(changed("created", drop=True))
    assert fact is not None
    assert fact.at == 0
