"""Promises of faults: what is broken is broken as asked, and the sandbox knows what it did."""

import collections
import time
from typing import Any

import httpx
import pytest

from .conftest import Driver

BROKEN_CONNECTION = (httpx.RemoteProtocolError, httpx.ReadError)


def test_a_lost_answer_still_makes_a_checkout(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("lost", endpoint="proration-checkout")
    with pytest.raises(BROKEN_CONNECTION):
        sandbox.checkout(15)
    assert [checkout["newCapacity"] for checkout in sandbox.checkouts()] == [15]
    assert sandbox.checkout(15).status_code == 200


def test_a_call_can_be_lost_before_it_is_carried_out(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("lost", afterCommit=False)
    with pytest.raises(BROKEN_CONNECTION):
        sandbox.checkout(15)
    assert sandbox.checkouts() == []


def test_a_cut_answer_ends_in_the_middle_of_its_body(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("cut", endpoint="proration-checkout")
    received = bytearray()
    body = {"externalTenantId": "acme", "newCapacity": 15}
    with sandbox.stream("POST", "/api/public/capacity/proration-checkout", json=body) as answer:
        assert answer.status_code == 200
        promised = int(answer.headers["content-length"])
        with pytest.raises(BROKEN_CONNECTION):
            collections.deque(map(received.extend, answer.iter_raw()))
    assert len(received) == promised // 2
    assert received.startswith(b'{"success":true')
    assert len(sandbox.checkouts()) == 1


def test_a_hanging_call_keeps_silent_until_the_caller_gives_up(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("hang", endpoint="allocations", afterCommit=True)
    with pytest.raises(httpx.ReadTimeout):
        sandbox.get("/api/public/capacity/allocations", params={"requestingEntityId": "acme"}, timeout=0.1)
    sandbox.fault("hang", seconds=0.05)
    with pytest.raises(BROKEN_CONNECTION):
        sandbox.allocations()


def test_latency_can_lie_before_or_after_the_deed(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("latency", seconds=0.3, afterCommit=True)
    with pytest.raises(httpx.ReadTimeout):
        sandbox.post(
            "/api/public/capacity/proration-checkout",
            json={"externalTenantId": "acme", "newCapacity": 15},
            timeout=0.1,
        )
    assert len(sandbox.checkouts()) == 1
    sandbox.fault("latency", seconds=0.1)
    began = time.monotonic()
    assert sandbox.allocations().status_code == 200
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    ("fault", "status", "shape"),
    [
        ({"kind": "429", "retryAfter": 7}, 429, "application/json"),
        ({"kind": 500}, 500, "application/json"),
        ({"kind": "html"}, 502, "text/html"),
        ({"kind": "html", "status": 200}, 200, "text/html"),
        ({"kind": "302"}, 302, None),
        ({"kind": "garbage"}, 200, "application/json"),
        ({"kind": "empty"}, 200, None),
    ],
)
def test_an_answer_can_be_replaced_and_nothing_is_done(
    sandbox: Driver, fault: dict[str, Any], status: int, shape: str | None
) -> None:
    sandbox.tenant()
    sandbox.post("/sandbox/faults", json=[fault])
    answer = sandbox.checkout(15)
    assert answer.status_code == status
    assert (answer.headers.get("content-type") or "").split(";")[0] == (shape or "")
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
    assert sandbox.checkouts() == []


def test_an_error_can_come_after_the_deed(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("500", afterCommit=True)
    assert sandbox.checkout(15).status_code == 500
    assert len(sandbox.checkouts()) == 1


def test_a_fault_meets_its_endpoint_and_tenant_as_often_as_asked(sandbox: Driver) -> None:
    sandbox.tenant("odd", taken=1)
    sandbox.tenant("even", taken=1)
    sandbox.fault("500", endpoint="allocations", tenant="odd", times=2)
    assert sandbox.allocations("even").status_code == 200
    assert sandbox.checkout(15, "odd").status_code == 200
    assert [sandbox.allocations("odd").status_code for _ in range(3)] == [500, 500, 200]
    assert sandbox.get("/sandbox/faults").json() == {"faults": []}


def test_a_fault_without_end_lasts_until_it_is_deleted(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.fault("500", times=None)
    assert {sandbox.allocations().status_code for _ in range(5)} == {500}
    assert sandbox.delete("/sandbox/faults").status_code == 204
    assert sandbox.allocations().status_code == 200


def test_a_fault_that_makes_no_sense_is_refused(sandbox: Driver) -> None:
    assert sandbox.post("/sandbox/faults", json={"kind": "explode"}).status_code == 400
    answer = sandbox.post("/sandbox/faults", json=[{"kind": "500", "endpiont": "credits"}])
    assert answer.status_code == 400
    assert "endpiont" in answer.text


def test_calls_are_counted_exactly_even_if_their_answer_is_lost(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.delete("/sandbox/calls")
    sandbox.fault("lost", endpoint="proration-checkout")
    with pytest.raises(BROKEN_CONNECTION):
        sandbox.checkout(15)
    sandbox.checkout(15)
    sandbox.allocations()
    sandbox.allocations("nobody")
    calls = sandbox.get("/sandbox/calls").json()
    counted = {(one["endpoint"], one["tenant"], one["method"]): one["count"] for one in calls["counts"]}
    assert counted == {
        ("proration-checkout", "acme", "POST"): 2,
        ("allocations", "acme", "GET"): 1,
        ("allocations", "nobody", "GET"): 1,
    }
    assert calls["total"] == 4
    assert [one["outcome"] for one in calls["history"]] == ["lost", "200", "200", "404"]
    assert '"newCapacity": 15' in calls["history"][0]["summary"]
    of_one = sandbox.get("/sandbox/calls", params={"endpoint": "proration-checkout", "tenant": "acme"}).json()
    assert (of_one["total"], len(of_one["history"])) == (2, 2)


def test_the_history_is_bounded_and_the_counts_are_not(sandbox: Driver) -> None:
    sandbox.tenant()
    for _ in range(1_010):
        sandbox.allocations(limit=1)
    calls = sandbox.get("/sandbox/calls", params={"limit": 1000}).json()
    assert (calls["total"], len(calls["history"])) == (1_010, 1_000)


def test_a_body_beyond_the_bound_is_refused(sandbox: Driver) -> None:
    answer = sandbox.post("/api/public/capacity/proration-checkout", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
