"""Promises of the capacity calls: allocations, count, bulk-allocate."""

import pytest

from .conftest import Driver

PLAIN_NO_SUBSCRIPTION = {"success": False, "error": "No active subscription found for this tenant"}


def test_every_page_carries_the_summary_of_the_whole_subscription(sandbox: Driver) -> None:
    sandbox.tenant(capacity=100, taken=25)
    pages = [sandbox.allocations(page=number, limit=10).json()["data"] for number in (1, 2, 3, 4)]
    assert [len(page["allocations"]) for page in pages] == [10, 10, 5, 0]
    assert {page["capacity"]["activeCount"] for page in pages} == {25}
    assert [page["pagination"]["hasNextPage"] for page in pages] == [True, True, False, False]
    assert [page["pagination"]["hasPreviousPage"] for page in pages] == [False, True, True, True]
    assert len({one["externalUserId"] for page in pages for one in page["allocations"]}) == 25


def test_removed_users_show_under_removed_and_all_only(sandbox: Driver) -> None:
    sandbox.tenant(users=["ann", "ben"])
    sandbox.post("/sandbox/tenants/acme/seats/remove", json={"users": ["ann"]})
    answers = {status: sandbox.allocations(status=status).json() for status in ("active", "removed", "all")}
    shown = {
        status: [(one["externalUserId"], one["status"]) for one in answer["data"]["allocations"]]
        for status, answer in answers.items()
    }
    assert shown == {
        "active": [("ben", "active")],
        "removed": [("ann", "removed")],
        "all": [("ann", "removed"), ("ben", "active")],
    }


def test_a_seat_given_again_is_one_allocation_not_two(sandbox: Driver) -> None:
    sandbox.tenant(users=["ann", "ben"])
    sandbox.post("/sandbox/tenants/acme/seats/remove", json={"users": ["ann"]})
    sandbox.post("/sandbox/tenants/acme/seats", json={"users": ["ann"]})
    shown = sandbox.allocations(status="all").json()["data"]["allocations"]
    assert [(one["externalUserId"], one["removedAt"]) for one in shown] == [("ben", None), ("ann", None)]


def test_more_seats_than_capacity_are_exceeded(sandbox: Driver) -> None:
    sandbox.tenant(capacity=3, taken=4)
    assert sandbox.allocations().json()["data"]["capacity"] == {
        "activeCount": 4,
        "capacityUnits": 3,
        "utilizationPercentage": 133.33,
        "exceeded": True,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", 101), ("limit", 0), ("limit", "x"), ("page", 0), ("page", -1), ("status", "gone")],
)
def test_a_page_that_cannot_be_is_refused(sandbox: Driver, name: str, value: str | int) -> None:
    sandbox.tenant()
    answer = sandbox.allocations("acme", **{name: value})
    assert answer.status_code == 400
    assert answer.json()["success"] is False


def test_count_is_the_summary(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10, taken=8)
    answer = sandbox.post("/api/public/capacity/count", json={"requestingEntityId": "acme"})
    assert answer.json()["data"] == {
        "activeCount": 8,
        "capacityUnits": 10,
        "utilizationPercentage": 80,
        "exceeded": False,
        "billingMode": "recurring",
    }


def allocate(sandbox: Driver, *users: str) -> tuple[int, dict[str, object]]:
    body = {"requestingEntityId": "acme", "users": [{"externalUserId": user} for user in users]}
    answer = sandbox.post("/api/public/capacity/bulk-allocate", json=body)
    return answer.status_code, answer.json()


def test_bulk_allocate_gives_seats_and_skips_those_who_have_one(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10, users=["ann"])
    status, answer = allocate(sandbox, "ann", "ben")
    assert status == 200
    assert answer["data"] == {
        "allocated": ["ben"],
        "skipped": ["ann"],
        "rejected": [],
        "capacity": {"activeCount": 2, "capacityUnits": 10},
    }


def test_bulk_allocate_rejects_beyond_the_capacity_with_207(sandbox: Driver) -> None:
    sandbox.tenant(capacity=3, users=["ann"])
    status, answer = allocate(sandbox, "ben", "cid", "dan", "ann")
    assert status == 207
    assert answer["data"] == {
        "allocated": ["ben", "cid"],
        "skipped": ["ann"],
        "rejected": ["dan"],
        "capacity": {"activeCount": 3, "capacityUnits": 3},
        "message": "2 user(s) allocated. 1 user(s) rejected \u2014 capacity limit of 3 reached.",
    }


def test_bulk_allocate_refuses_duplicates_and_large_batches_whole(sandbox: Driver) -> None:
    sandbox.tenant(capacity=500)
    assert allocate(sandbox, "ann", "ann") == (
        400,
        {"success": False, "error": "Duplicate externalUserId values found within the batch"},
    )
    assert allocate(sandbox, *(f"u{number}" for number in range(101)))[0] == 400
    assert allocate(sandbox)[0] == 400
    assert sandbox.state()["taken"] == 0


def test_both_error_shapes_are_really_used(sandbox: Driver) -> None:
    sandbox.tenant(subscribed=False)
    plain, coded = sandbox.allocations("acme"), sandbox.allocations("nobody")
    assert (plain.status_code, plain.json()) == (404, PLAIN_NO_SUBSCRIPTION)
    assert coded.status_code == 404
    assert coded.json() == {
        "success": False,
        "data": None,
        "error": {"message": "No tenant with the given external ID", "code": "TENANT_NOT_FOUND"},
    }


def test_a_bad_key_is_401_and_a_service_key_will_do(sandbox: Driver) -> None:
    sandbox.tenant()
    sandbox.headers["authorization"] = "Bearer sk_live_real"
    assert sandbox.allocations().status_code == 401
    del sandbox.headers["authorization"]
    assert sandbox.allocations().status_code == 401
    sandbox.headers["x-service-key"] = "wrong"
    assert sandbox.allocations().status_code == 401
    sandbox.headers["x-service-key"] = "service_sandbox"
    assert sandbox.allocations().status_code == 200


def test_credits_of_a_tenant_without_subscription_are_empty(sandbox: Driver) -> None:
    sandbox.tenant(subscribed=False, credits={"api": {"baseRemaining": 1, "limit": 2}})
    answer = sandbox.get("/api/public/credits/balance", params={"tenantId": "acme"})
    assert answer.json() == {"success": True, "data": {}}
    del sandbox.headers["authorization"]
    assert sandbox.get("/api/public/credits/balance", params={"tenantId": "acme"}).status_code == 400
