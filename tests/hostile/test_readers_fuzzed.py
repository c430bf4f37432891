"""Readers of what others send: whatever it is, a value that can be kept comes out, or the documented error."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.canaries import CROVVER_SECRET, STRIPE_SECRET
from tests.crovver.harness import fixture
from tests.hostile.counting import Counter, cases
from tests.hostile.documents import TEXTS, bodies
from tests.web.site import MICROS, NOW, an_event, crovver_headers, stripe_event, stripe_headers
from worker.core.facts import PaymentFact
from worker.core.times import DAY, format_instant
from worker.crovver import answers
from worker.crovver.envelope import Nonsense, refusal_of
from worker.crovver.words import plain
from worker.events import BadEvents, NotJSON, TooManyEvents, read_event, read_events
from worker.payments import crovver_webhook, signature
from worker.payments.errors import BadSignature, MalformedEvent
from worker.payments.events import read_event as read_stripe_event
from worker.store.codec import decode_fact, encode_fact
from worker.web.problems import Problem
from worker.web.roster import read_roster

DEFAULT = 80


def a_batch() -> list[dict[str, Any]]:
    return [an_event(), an_event(id="evt_2", type="user.removed", email="a@b.test", name="Ada"), an_event(id="evt_3")]


def a_roster() -> dict[str, Any]:
    users = [{"userId": f"user_{number}", "email": "a@b.test", "name": None} for number in range(3)]
    return {"users": users, "asOf": "2026-05-01T10:00:00Z"}


def a_payment() -> dict[str, Any]:
    event = stripe_event(metadata={"event_type": "seat_proration", "proration": "prr_1"})
    event["data"]["object"]["client_reference_id"] = "acme"
    return event


def a_hint() -> dict[str, Any]:
    return {"id": "whk_1", "type": "subscription.updated", "data": {"external_tenant_id": "acme"}}


def an_error() -> dict[str, Any]:
    return {"success": False, "error": {"message": "no such tenant", "code": "NOT_FOUND"}, "message": "no"}


def bulk() -> dict[str, Any]:
    said = {"allocated": ["u"], "skipped": [{"externalUserId": "v"}], "rejected": [], "capacity": {"activeCount": 1}}
    return {"success": True, "data": said}


def can_be_kept(fact: Any) -> None:
    """It can be written into an inbox and read again, and its time can be shown."""
    assert decode_fact(encode_fact(fact)) == fact
    format_instant(fact.at)


@given(body=bodies(an_event, a_batch), lifetime=st.sampled_from([None, DAY]))
@cases(DEFAULT)
def test_events(counter: Counter, body: bytes, lifetime: int | None) -> None:
    for read in (read_event, read_events):
        with counter.case():
            try:
                batch = read(body, MICROS, lifetime)
            except (NotJSON, TooManyEvents) as error:
                assert len(str(error)) < 300
                continue
            except BadEvents as error:
                assert error.problems
                assert all(one.reason and one.index >= 0 for one in error.problems)
                continue
            for tenant, facts in batch.facts.items():
                assert 1 <= len(tenant) <= 255
                for fact in facts:
                    can_be_kept(fact)


@given(body=bodies(a_roster), lifetime=st.sampled_from([None, DAY]))
@cases(DEFAULT)
def test_rosters(counter: Counter, body: bytes, lifetime: int | None) -> None:
    with counter.case():
        try:
            can_be_kept(read_roster(body, MICROS, False, lifetime))
        except Problem as problem:
            assert problem.status in (400, 413)
            json.loads(bytes(problem.response().body))


@given(body=bodies(a_payment))
@cases(DEFAULT)
def test_stripe_events(counter: Counter, body: bytes) -> None:
    with counter.case():
        try:
            fact = read_stripe_event(body)
        except MalformedEvent as error:
            assert len(str(error)) < 300
        else:
            assert fact is None or isinstance(fact, PaymentFact)
            if fact is not None:
                can_be_kept(fact)


@given(body=bodies(a_hint))
@cases(DEFAULT)
def test_crovver_hints(counter: Counter, body: bytes) -> None:
    with counter.case():
        try:
            hint = crovver_webhook.read_hint(body)
        except MalformedEvent as error:
            assert len(str(error)) < 300
        else:
            (hint.id + hint.type + (hint.tenant or "")).encode()


HEADERS = st.one_of(
    st.none(),
    st.sampled_from(TEXTS),
    st.text(max_size=40),
    st.text(st.sampled_from("t=v10,9a -.eE_\x00"), max_size=60),
    st.builds(
        "t={},v1={}".format, st.sampled_from(["", "1", "9" * 13, "-1", "1e9", "٣", f"{NOW}"]), st.text(max_size=4)
    ),
    st.integers(0, 40).map(lambda many: f"t={NOW}," + ",".join(["v1=00"] * many)),
)


@given(body=st.binary(max_size=40), header=HEADERS, at=st.sampled_from([float(NOW), float("nan"), float("inf"), -1.0]))
@cases(DEFAULT)
def test_signatures_that_nobody_made(counter: Counter, body: bytes, header: str | None, at: float) -> None:
    with counter.case():
        with pytest.raises(BadSignature):
            signature.verify(body, header, ["whsec_x", ""], now=at)
        with pytest.raises(BadSignature):
            crovver_webhook.verify(body, header, "secret")


@given(body=st.binary(min_size=1, max_size=40), torn=st.integers(0, 39))
@cases(DEFAULT)
def test_signatures_of_another_body(counter: Counter, body: bytes, torn: int) -> None:
    with counter.case():
        at = torn % len(body)
        other = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        stripe, crovver = stripe_headers(body)["Stripe-Signature"], crovver_headers(body)["X-Crovver-Signature"]
        signature.verify(body, stripe, [STRIPE_SECRET], now=NOW)
        crovver_webhook.verify(body, crovver, CROVVER_SECRET)
        with pytest.raises(BadSignature):
            signature.verify(other, stripe, [STRIPE_SECRET], now=NOW)
        with pytest.raises(BadSignature):
            crovver_webhook.verify(other, crovver, CROVVER_SECRET)


PARSERS: dict[str, tuple[Callable[[bytes], Any], Callable[[], Any]]] = {
    "allocations": (answers.allocations_page, lambda: fixture("allocations")),
    "proration_checkout": (answers.checkout, lambda: fixture("proration_checkout")),
    "credits_balance": (answers.credit_pools, lambda: fixture("credits_balance")),
    "bulk": (lambda body: answers.bulk_allocation(body, status=207), bulk),
}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@cases(DEFAULT)
def test_answers_of_crovver(counter: Counter, name: str, data: st.DataObject) -> None:
    parse, valid = PARSERS[name]
    body = data.draw(bodies(valid))
    with counter.case():
        try:
            read = parse(body)
        except Nonsense as nonsense:
            assert nonsense.reason.isprintable()
            assert len(nonsense.reason) < 400
        else:
            told = {key: asdict(pool) for key, pool in read.items()} if isinstance(read, dict) else asdict(read)
            json.dumps(told, allow_nan=False, ensure_ascii=False).encode()


@given(body=bodies(an_error))
@example(body=b'{"error":' + b"[" * 100_000)
@cases(DEFAULT)
def test_refusals_of_crovver(counter: Counter, body: bytes) -> None:
    with counter.case():
        words, code = refusal_of(body)
        for text in (words, code):
            shown = plain(text or "")
            assert shown.isprintable()
            assert len(shown) <= 300
