"""The sandbox answers the reference pages' own examples, field for field."""

import uuid
from typing import Any

from .conftest import Driver

USERS = [
    {
        "externalUserId": "user_1",
        "email": "alice@acme.com",
        "name": "Alice",
        "allocatedAt": "2026-05-01T10:00:00.000Z",
        "metadata": {"addedBy": "admin_789"},
    },
    {
        "externalUserId": "user_2",
        "email": "bob@acme.com",
        "name": "Bob",
        "allocatedAt": "2026-05-03T14:30:00.000Z",
    },
]

ALLOCATIONS: dict[str, Any] = {
    "allocations": [
        {
            "externalUserId": "user_1",
            "email": "alice@acme.com",
            "name": "Alice",
            "status": "active",
            "allocatedAt": "2026-05-01T10:00:00.000Z",
            "removedAt": None,
            "metadata": {"addedBy": "admin_789"},
        },
        {
            "externalUserId": "user_2",
            "email": "bob@acme.com",
            "name": "Bob",
            "status": "active",
            "allocatedAt": "2026-05-03T14:30:00.000Z",
            "removedAt": None,
            "metadata": {},
        },
    ],
    "capacity": {"activeCount": 8, "capacityUnits": 10, "utilizationPercentage": 80, "exceeded": False},
    "pagination": {
        "total": 8,
        "page": 1,
        "limit": 50,
        "totalPages": 1,
        "hasNextPage": False,
        "hasPreviousPage": False,
    },
}

CREDITS = {
    "api_calls": {
        "poolKey": "api_calls",
        "displayName": "API Calls",
        "baseRemaining": 850,
        "addonRemaining": 500,
        "total": 1350,
        "limit": 1000,
        "limitBehavior": "soft",
        "nextExpiry": "2025-02-01T00:00:00Z",
        "usagePercent": 15,
    }
}


def test_allocations_are_the_reference_pages_example(sandbox: Driver) -> None:
    sandbox.tenant("workspace_123", capacity=10, taken=8, users=USERS)
    answer = sandbox.allocations("workspace_123", status="active", page=1, limit=50).json()
    data = answer["data"]
    assert list(answer) == ["success", "data"]
    assert data["allocations"][:2] == ALLOCATIONS["allocations"]
    assert [list(one) for one in data["allocations"]] == [list(ALLOCATIONS["allocations"][0])] * 8
    assert data["capacity"] == ALLOCATIONS["capacity"]
    assert data["pagination"] == ALLOCATIONS["pagination"]


def test_a_proration_checkout_is_the_reference_pages_example_but_for_its_amount(sandbox: Driver) -> None:
    sandbox.tenant("workspace_123", capacity=10, pricePerSeat=100, periodDays=30, daysRemaining=17)
    answer = sandbox.checkout(
        15,
        "workspace_123",
        successUrl="https://app.com/settings?upgraded=1",
        cancelUrl="https://app.com/settings/seats",
    ).json()
    data = answer["data"]
    assert list(answer) == ["success", "data"]
    assert str(uuid.UUID(data["prorationId"])) == data["prorationId"]
    assert data["checkoutUrl"].startswith(f"{str(sandbox.base_url).rstrip('/')}/pay/cs_test_")
    assert data["prorationAmount"] == 283
    assert {name: data[name] for name in ("requiresPayment", "prorationDetails", "message")} == {
        "requiresPayment": True,
        "prorationDetails": {
            "description": "Prorated charge for 5 additional seats",
            "calculation": "5 seats \u00d7 $1.00/seat \u00d7 17/30 days",
        },
        "message": "Checkout session created. Capacity will be upgraded after payment confirmation.",
    }
    assert len(data) == 6


def test_credits_are_the_reference_pages_example(sandbox: Driver) -> None:
    pool = {
        "displayName": "API Calls",
        "baseRemaining": 850,
        "addonRemaining": 500,
        "limit": 1000,
        "limitBehavior": "soft",
        "nextExpiry": "2025-02-01T00:00:00Z",
    }
    sandbox.tenant("workspace_123", credits={"api_calls": pool})
    query = {"tenantId": "workspace_123", "publicKey": "pk_test_1"}
    del sandbox.headers["authorization"]
    assert sandbox.get("/api/public/credits/balance", params=query).json() == {"success": True, "data": CREDITS}
