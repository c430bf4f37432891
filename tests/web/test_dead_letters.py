"""The operator API's dead letters."""

import json

import pytest

from tests.web.conftest import Open
from tests.web.site import Site
from worker.core.times import format_instant
from worker.store.scripts import command
from worker.web import schemas

BODY = {
    "queue_name": "seat-events",
    "actor_name": "user_added",
    "args": ["acme", "user_1", "ada@example.com", "Ada"],
    "kwargs": {},
    "options": {"redis_message_id": "msg_1", "traceback": "Trace\nValueError: no"},
    "message_id": "m",
    "message_timestamp": 1_700_000_000_000,
}


def bury(site: Site, ident: str, at: int = 1_700_000_001_000, body: object = BODY, queue: str = "seat-events") -> None:
    name = f"{site.namespace}:{queue}.XQ"

    async def work(_: object) -> None:
        await site.store.scripts.run(command("ZADD", name, at, ident))
        await site.store.scripts.run(command("HSET", f"{name}.msgs", ident, json.dumps(body)))

    site.do(work)


def test_a_list_and_one_of_it(site: Site) -> None:
    bury(site, "msg_1")
    bury(site, "a/b c", 1_700_000_002_000, "nonsense", queue="alerts")
    listed = site.operate("GET", "/v1/dead-letters").json()
    schemas.DeadLetters.model_validate(listed, strict=True, extra="forbid")
    assert [(row["id"], row["queue"], row["actor"]) for row in listed["deadLetters"]] == [
        ("a/b c", "alerts", None),
        ("msg_1", "seat-events", "user_added"),
    ]
    one = site.operate("GET", "/v1/dead-letters/msg_1")
    schemas.DeadLetter.model_validate(one.json(), strict=True, extra="forbid")
    assert one.json() | {"size": 0} == {
        "id": "msg_1",
        "queue": "seat-events",
        "actor": "user_added",
        "args": ["acme", "user_1", "***", "***"],
        "kwargs": {},
        "problem": "ValueError: no",
        "sentAt": format_instant(1_700_000_000_000_000),
        "diedAt": format_instant(1_700_000_001_000_000),
        "size": 0,
        "traceback": "Trace\nValueError: no",
        "body": None,
    }
    assert "ada" not in one.text.lower()
    assert site.operate("GET", "/v1/dead-letters/a%2Fb%20c").json()["body"] == '"nonsense"'


def test_pages(site: Site) -> None:
    for number in range(5):
        bury(site, f"msg_{number}")
    first = site.operate("GET", "/v1/dead-letters?limit=3").json()
    rest = site.operate("GET", "/v1/dead-letters", params={"limit": 3, "cursor": first["next"]}).json()
    met = [row["id"] for row in (*first["deadLetters"], *rest["deadLetters"])]
    assert (met, rest["next"]) == ([f"msg_{number}" for number in reversed(range(5))], None)
    assert site.operate("GET", "/v1/dead-letters?queue=alerts").json() == {"deadLetters": [], "next": None}


def test_requeue_and_discard_answer_once(site: Site) -> None:
    for ident, action, outcome in (("msg_1", "requeue", "requeued"), ("msg_2", "discard", "discarded")):
        bury(site, ident)
        answer = site.operate("POST", f"/v1/dead-letters/{ident}/{action}")
        assert (answer.status_code, answer.json()) == (200, {"id": ident, "outcome": outcome})
        assert site.operate("POST", f"/v1/dead-letters/{ident}/{action}").status_code == 404
        assert site.operate("GET", f"/v1/dead-letters/{ident}").status_code == 404

    async def queue(_: object) -> list[bytes]:
        found: list[bytes] = await site.store.scripts.run(command("LRANGE", f"{site.namespace}:seat-events", 0, -1))
        return found

    assert site.do(queue) == [b"msg_1"]


@pytest.mark.parametrize("query", ["queue=other", "queue=", "cursor=", "cursor=x", "cursor=12", "limit=0", "limit=201"])
def test_a_query_that_is_wrong_is_named(site: Site, query: str) -> None:
    answer = site.operate("GET", f"/v1/dead-letters?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])


def test_a_broker_that_is_away_is_answered_with_come_back(open_site: Open, state_url: str) -> None:
    away = open_site("redis://127.0.0.1:1/0")
    for method, path in (("GET", ""), ("GET", "/x"), ("POST", "/x/requeue"), ("POST", "/x/discard")):
        answer = away.operate(method, f"/v1/dead-letters{path}")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert open_site(dead_letters=away.dead_letters).operate("GET", "/v1/tenants").status_code == 200
