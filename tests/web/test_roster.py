"""PUT /v1/tenants/{id}/roster: a full list of users."""

import json
from typing import Any

import pytest

from tests.web.conftest import Open
from tests.web.site import INGEST_AUTH, MICROS, Site, an_event, looked, seat
from worker.core.facts import RosterFact, RosterUser
from worker.core.policy import Policy
from worker.core.retention import Retention
from worker.core.tenant import Tenant
from worker.core.times import DAY, format_instant


def put(site: Site, content: object, tenant: str = "acme", query: str = "", **headers: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {**INGEST_AUTH, "Content-Type": "application/json", **headers}
    return site.request("PUT", f"/v1/tenants/{tenant}/roster{query}", content=body, headers=headers)


def users(*names: str) -> dict[str, Any]:
    return {"users": [{"userId": name} for name in names]}


def test_a_roster_is_accepted_as_of_when_it_was_received(site: Site) -> None:
    answer = put(site, {"users": [{"userId": "u1", "email": "a@example.com", "name": "A", "x": 1}, {"userId": "u2"}]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    [fact] = site.inbox("acme")
    assert isinstance(fact, RosterFact)
    assert fact.users == (RosterUser("u1", "a@example.com", "A"), RosterUser("u2"))
    assert (fact.at, fact.forced, fact.id[:4]) == (MICROS, False, "ros_")


def test_a_roster_may_say_as_of_when_it_is(site: Site) -> None:
    assert put(site, {**users("u1"), "asOf": "2026-05-01T10:00:00Z"}).status_code == 202
    assert put(site, {**users("u1"), "asOf": None}).status_code == 202
    assert [fact.at for fact in site.inbox("acme")] == [1_777_629_600_000_000, MICROS]


def test_an_as_of_more_than_5_minutes_ahead_or_not_a_time_is_refused(site: Site) -> None:
    for as_of in (format_instant(MICROS + 301_000_000), "today", 1):
        answer = put(site, {**users("u1"), "asOf": as_of})
        assert answer.status_code == 400
        assert [(error["index"], error["field"]) for error in answer.json()["errors"]] == [(None, "asOf")]


def test_users_that_break_a_rule_are_named_by_index_and_field(site: Site) -> None:
    answer = put(site, {"users": [{"userId": "u1"}, {"userId": ""}, {"userId": "u3", "email": 1}, 4]})
    assert answer.status_code == 400
    found = [(error["index"], error["field"]) for error in answer.json()["errors"]]
    assert found == [(1, "userId"), (2, "email"), (3, "")]
    assert site.inbox("acme") == []


def test_a_user_named_twice_is_refused_naming_the_indexes(site: Site) -> None:
    answer = put(site, users("u1", "u2", "u1", "u1"))
    assert answer.status_code == 400
    assert [error["index"] for error in answer.json()["errors"]] == [2, 3]
    assert site.inbox("acme") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"users":null}', b"\xff", b"[" * 100_000, b'{"users":{}}'])
def test_what_is_no_roster_is_refused(site: Site, body: bytes) -> None:
    assert put(site, body).status_code == 400


def test_a_roster_holds_100_000_users_and_no_more(site: Site) -> None:
    named = [f"user_{at}" for at in range(100_001)]
    assert put(site, users(*named)).status_code == 413
    assert put(site, users(*named[:-1])).json() == {"accepted": 100_000}


def test_a_roster_over_16_mib_is_refused(site: Site) -> None:
    assert put(site, b" " * (16 * 1_048_576 + 1)).status_code == 413


def test_another_media_type_is_refused(site: Site) -> None:
    assert put(site, b"userId\nu1", **{"Content-Type": "text/csv"}).status_code == 415


def test_the_tenant_in_the_path_may_be_any_id_percent_encoded(site: Site) -> None:
    assert put(site, users("u1"), "a%2Fb%20%25%D0%BA").status_code == 202
    assert len(site.inbox("a/b %к")) == 1


@pytest.mark.parametrize("tenant", ["%00", "%FF", "%20", "x" * 256, "a%0Ab"])
def test_a_tenant_id_that_could_not_be_stored_is_refused(site: Site, tenant: str) -> None:
    assert put(site, users("u1"), tenant).status_code == 400


def test_a_roster_that_removes_most_users_is_refused_with_counts_and_a_remedy(site: Site) -> None:
    site.put_tenant(Tenant("acme", look=looked(20, 30)), {f"user_{at}": seat() for at in range(20)})
    answer = put(site, users("user_1", "user_2"))
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["removed"], problem["needed"], problem["named"]) == (18, 20, 2)
    assert "force=true" in problem["detail"]
    assert site.inbox("acme") == []


def test_a_roster_that_removes_most_users_is_taken_if_forced(site: Site) -> None:
    site.put_tenant(Tenant("acme", look=looked(20, 30)), {f"user_{at}": seat() for at in range(20)})
    assert put(site, users("user_1"), query="?force=true").status_code == 202
    [fact] = site.inbox("acme")
    assert isinstance(fact, RosterFact)
    assert fact.forced


def test_a_large_roster_is_compared_too(site: Site) -> None:
    site.put_tenant(Tenant("acme", look=looked(2000, 3000)), {f"user_{at}": seat() for at in range(2000)})
    answer = put(site, users("user_1"))
    assert (answer.status_code, answer.json().get("removed")) == (409, 1999)
    assert put(site, users(*(f"user_{at}" for at in range(1500)))).status_code == 202


def test_users_whose_events_are_not_folded_in_yet_count_too(site: Site) -> None:
    assert site.publish([an_event(userId=f"user_{at}", id=f"e{at}") for at in range(20)]).status_code == 202
    assert put(site, users("user_1")).status_code == 409


def test_a_roster_older_than_what_is_known_removes_nobody_and_is_taken(site: Site) -> None:
    site.put_tenant(Tenant("acme", floor=(MICROS, "ros_1")), {f"user_{at}": seat() for at in range(20)})
    assert put(site, {**users("user_1"), "asOf": "2026-05-01T10:00:00Z"}).status_code == 202


def test_where_tombstones_have_a_lifetime_an_older_roster_is_refused(open_site: Open) -> None:
    site = open_site(policy=Policy(retention=Retention(tombstones=90 * DAY)))
    oldest = MICROS - 90 * DAY
    answer = put(site, {**users("user_1"), "asOf": format_instant(oldest - 1000)})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["index"], error["field"]) == (None, "asOf")
    assert "SEATS_TOMBSTONES_FOR" in error["reason"]
    assert site.inbox("acme") == []
    assert put(site, {**users("user_1"), "asOf": format_instant(oldest)}).status_code == 202


@pytest.mark.parametrize("force", ["maybe", ""])
def test_force_is_true_or_false(site: Site, force: str) -> None:
    answer = put(site, users("u1"), query=f"?force={force}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "force")
