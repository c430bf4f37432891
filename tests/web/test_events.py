"""POST /v1/events: what is taken, what is refused, and how."""

import json
from typing import Any

import pytest

from tests.web.conftest import Open
from tests.web.site import INGEST_AUTH, MICROS, OTHER_INGEST, Site, an_event
from worker.core.facts import Membership, UserFact
from worker.core.policy import Policy
from worker.core.retention import Retention
from worker.core.times import DAY, format_instant
from worker.store.errors import StoreUnavailable

BATCH = "application/cloudevents-batch+json"
ONE = "application/cloudevents+json"
AT = 1_777_629_600_123_000


def errors(response: Any) -> list[tuple[int, str]]:
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [(error["index"], error["field"]) for error in response.json()["errors"]]


@pytest.mark.parametrize("media_type", [ONE, "application/json", "Application/JSON; charset=UTF-8"])
def test_an_event_is_accepted_and_is_in_the_inbox_and_its_tenant_is_due(open_site: Open, media_type: str) -> None:
    site = open_site(settle=0)
    answer = site.publish(an_event(email="ada@example.com", name="Ada"), media_type)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    assert site.inbox("acme") == [UserFact("user_1", Membership.ADDED, AT, "evt_1", "ada@example.com", "Ada")]
    assert site.due() == ["acme"]


def test_a_tenant_settles_before_it_is_due(site: Site) -> None:
    site.publish(an_event())
    assert site.due() == []
    assert 0 < (site.do(lambda store: store.claim_due(1, 1)).next_in or 0) <= 2_000_000


@pytest.mark.parametrize("media_type", [BATCH, "application/json"])
def test_a_batch_is_accepted_for_all_its_tenants_in_its_order(site: Site, media_type: str) -> None:
    events = [an_event(id=f"e{at}", userId=f"u{at}", tenantId=f"t{at % 2}", type="user.removed") for at in range(10)]
    assert site.publish(events, media_type).json() == {"accepted": 10}
    assert [fact.user for fact in site.inbox("t1") if isinstance(fact, UserFact)] == ["u1", "u3", "u5", "u7", "u9"]
    assert len(site.inbox("t0")) == 5


def test_events_without_a_time_happened_when_they_were_received_in_the_order_of_the_batch(site: Site) -> None:
    events = [{**an_event(id=f"e{at}"), "time": None} for at in range(3)]
    del events[0]["time"]
    assert site.publish(events).status_code == 202
    assert [fact.at for fact in site.inbox("acme")] == [MICROS, MICROS + 1, MICROS + 2]


def test_a_bad_event_refuses_the_whole_batch_naming_every_index_and_field(site: Site) -> None:
    no_user = an_event(id="e3")
    del no_user["data"]["userId"]
    events = [
        an_event(id="e0"),
        an_event(id="", type="user.renamed", time="yesterday"),
        an_event(tenantId=" ", userId="a\x00b", email=7, name="n" * 256),
        no_user,
        "no event",
        an_event(specversion="0.3", source="", data=[]),
    ]
    answer = site.publish(events)
    assert errors(answer) == [
        (1, "id"), (1, "type"), (1, "time"),
        (2, "data.tenantId"), (2, "data.userId"), (2, "data.email"), (2, "data.name"),
        (3, "data.userId"),
        (4, ""),
        (5, "specversion"), (5, "source"), (5, "data"),
    ]  # fmt: skip
    assert {"type", "title", "status", "detail", "errors"} <= answer.json().keys()
    assert all(error["reason"] for error in answer.json()["errors"])
    assert site.inbox("acme") == []


def test_a_time_of_long_ago_is_taken(site: Site) -> None:
    assert site.publish(an_event(time="1999-05-01T10:00:00Z")).status_code == 202


def test_where_tombstones_have_a_lifetime_an_older_time_is_refused_with_the_remedy(open_site: Open) -> None:
    site = open_site(policy=Policy(retention=Retention(tombstones=90 * DAY)))
    oldest = MICROS - 90 * DAY
    events = [
        an_event(id="e0", time=format_instant(oldest)),
        an_event(id="e1", time=format_instant(oldest - 1000)),
        an_event(id="e2", time=None),
    ]
    answer = site.publish(events)
    assert errors(answer) == [(1, "time")]
    reason = answer.json()["errors"][0]["reason"]
    assert "90 days" in reason
    assert "SEATS_TOMBSTONES_FOR" in reason
    assert "leave it out" in reason
    assert site.inbox("acme") == []
    assert errors(site.publish(events[1], ONE)) == [(0, "time")]
    assert site.publish([events[0], events[2]]).status_code == 202


def test_a_single_bad_event_has_the_index_zero(site: Site) -> None:
    assert errors(site.publish(an_event(userId=""), ONE)) == [(0, "data.userId")]


def test_a_problem_never_repeats_what_was_sent(site: Site) -> None:
    assert "ada@example" not in site.publish(an_event(userId="", email="ada@example.com" * 40)).text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenantId", "x" * 256),
        ("tenantId", "a\nb"),
        ("userId", "a\x7fb"),
        ("userId", "a\x85b"),
        ("userId", "\u2003"),
        ("userId", "half a pair: \ud83d"),
        ("userId", None),
        ("userId", 1),
        ("email", "e" * 321),
    ],
)
def test_what_could_not_be_stored_safely_is_refused_by_name(site: Site, field: str, value: object) -> None:
    assert errors(site.publish([an_event(), an_event(**{field: value})])) == [(1, f"data.{field}")]
    assert site.inbox("acme") == []


@pytest.mark.parametrize("ident", ["x", "x" * 255, "a/b c", "ключ-🙂", "{t:x}", "a:b*?[", '"quoted"', "\u2028x"])
def test_any_printable_id_of_1_to_255_characters_is_taken_as_it_is(site: Site, ident: str) -> None:
    assert site.publish(an_event(id=ident, tenantId=ident, userId=ident)).status_code == 202
    assert [(fact.user, fact.id) for fact in site.inbox(ident) if isinstance(fact, UserFact)] == [(ident, ident)]


@pytest.mark.parametrize(
    "time",
    ["2026-05-01T10:00:00", "2026-05-01", "2026-02-30T10:00:00Z", "1969-12-31T23:59:59Z", "", 1_777_629_600, True,
     "2026-05-01T10:00:00." + "1" * 99 + "Z", "\uff12\uff10\uff12\uff16-05-01T10:00:00Z", "0000-01-01T00:00:00Z",
     "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_a_time_that_is_none_or_has_no_zone_or_lies_before_1970_is_refused(site: Site, time: object) -> None:
    assert errors(site.publish(an_event(time=time))) == [(0, "time")]


def test_a_time_may_be_5_minutes_ahead_and_no_more(site: Site) -> None:
    limit = MICROS + 300 * 1_000_000
    assert site.publish(an_event(time=format_instant(limit))).status_code == 202
    assert errors(site.publish(an_event(time=format_instant(limit + 1_000)))) == [(0, "time")]


def test_unknown_members_are_kept_out_not_refused(site: Site) -> None:
    event = an_event(subject="s", dataschema=None, traceparent=["any", {"thing": 1.5e300}], datacontenttype="text/json")
    event["data"]["plan"] = {"a": 1}
    assert site.publish(event).status_code == 202
    assert len(site.inbox("acme")) == 1


@pytest.mark.parametrize(
    "media_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json", None]
)
def test_data_is_json(site: Site, media_type: str | None) -> None:
    assert site.publish(an_event(datacontenttype=media_type, data_base64=None)).status_code == 202


def test_data_that_is_not_json_is_refused_by_name(site: Site) -> None:
    event = an_event(datacontenttype="application/xml", data_base64="eyJ9")
    assert errors(site.publish(event)) == [(0, "datacontenttype"), (0, "data_base64")]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[", b"[{}", b"nope", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[NaN]", b'{"a":Infinity}', b"[" * 200_000,
     b'{"a":' * 150_000, b"1" * 100_000, json.dumps(an_event()).encode("utf-16"), b'{"a":"\x00"}'],
)  # fmt: skip
def test_what_is_not_json_is_refused(site: Site, body: bytes) -> None:
    assert site.publish(body).status_code == 400


@pytest.mark.parametrize("body", [b"1", b"null", b'"text"'])
def test_json_that_is_no_event_is_refused(site: Site, body: bytes) -> None:
    assert errors(site.publish(body)) == [(0, "")]


def test_of_a_key_that_is_there_twice_the_last_counts(site: Site) -> None:
    body = json.dumps(an_event()).replace('"userId"', '"userId":"first","userId"')
    assert site.publish(body.encode()).status_code == 202
    assert [fact.user for fact in site.inbox("acme") if isinstance(fact, UserFact)] == ["user_1"]


def test_one_event_is_no_batch_and_a_batch_is_not_one_event(site: Site) -> None:
    assert site.publish([an_event()], ONE).status_code == 400
    assert site.publish(an_event(), BATCH).status_code == 400
    assert site.inbox("acme") == []


def test_an_empty_batch_is_accepted(site: Site) -> None:
    assert (site.publish([]).status_code, site.publish(b" [ ] ", BATCH).json()) == (202, {"accepted": 0})


def test_a_thousand_events_are_accepted_and_one_more_is_too_many(site: Site) -> None:
    events = [an_event(id=f"e{at}") for at in range(1001)]
    assert site.publish(events).status_code == 413
    assert site.publish([0] * 400_000).status_code == 413
    assert site.inbox("acme") == []
    assert site.publish(events[:1000]).json() == {"accepted": 1000}


def test_a_body_over_1_mib_is_refused(site: Site) -> None:
    assert site.publish(b" " * 1_048_577).status_code == 413
    padded = json.dumps(an_event()).encode().ljust(1_048_576)
    assert site.publish(padded).status_code == 202


def test_a_body_that_does_not_end_is_refused_when_enough_of_it_has_been_thrown_away(site: Site) -> None:
    read = 0

    async def endless() -> Any:
        nonlocal read
        while True:
            read += 65_536
            yield b" " * 65_536

    headers = {**INGEST_AUTH, "Content-Type": "application/json"}
    assert site.request("POST", "/v1/events", content=endless(), headers=headers).status_code == 413
    assert read <= 18 * 1_048_576


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin1"]
)
def test_other_media_types_are_refused(site: Site, media_type: str) -> None:
    answer = site.publish(an_event(), media_type)
    assert (answer.status_code, answer.json()["status"]) == (415, 415)


def test_every_ingest_token_is_taken(site: Site) -> None:
    assert site.publish(an_event(), Authorization=f"bearer {OTHER_INGEST}").status_code == 202


def test_a_full_inbox_asks_to_come_back(site: Site) -> None:
    site.store.inbox_limit = 2
    assert site.publish([an_event(), an_event()]).status_code == 202
    answer = site.publish(an_event())
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_bug_is_answered_by_a_reference_and_the_log_has_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("inner workings")

    monkeypatch.setattr(site.store, "append", broken, raising=False)
    answer = site.publish(an_event())
    assert answer.status_code == 500
    assert "inner" not in answer.text
    [(_, fields)] = site.log.entries
    assert str(fields["request"]) in answer.json()["detail"]
    assert answer.headers["x-request-id"] == fields["request"]
    assert (fields["route"], str(fields["exc_info"])) == ("/v1/events", "inner workings")


def test_an_unavailable_store_is_not_told_about_in_detail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("Error 111 connecting to 10.1.2.3:6379")

    monkeypatch.setattr(site.store, "append", away, raising=False)
    answer = site.publish(an_event())
    assert answer.status_code == 503
    assert "10.1.2.3" not in answer.text
