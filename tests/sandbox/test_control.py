"""Promises of the control API, and of the sandbox as a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from worker.sandbox.config import SandboxConfig

from .conftest import Driver, Receiver

ROOT = Path(__file__).parents[2]


def test_a_tenant_is_replaced_whole_by_put_and_changed_in_part_by_patch(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10, taken=8, pricePerSeat=700, periodDays=60, daysRemaining=40)
    changed = sandbox.patch("/sandbox/tenants/acme", json={"maxSeats": 50, "applyDelaySeconds": None}).json()
    assert (changed["capacity"], changed["taken"], changed["pricePerSeat"]) == (10, 8, 700)
    assert (changed["maxSeats"], changed["applyDelaySeconds"], changed["daysRemaining"]) == (50, None, 40)
    assert sandbox.patch("/sandbox/tenants/acme", json={"daysRemaining": 50}).json()["daysRemaining"] == 50
    replaced = sandbox.tenant(capacity=5)
    assert (replaced["taken"], replaced["maxSeats"], replaced["pricePerSeat"]) == (0, None, 100)
    assert sandbox.delete("/sandbox/tenants/acme").status_code == 204
    assert sandbox.get("/sandbox/tenants/acme").status_code == 404


def test_a_new_capacity_tells_crovvers_webhook(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10)
    assert sandbox.patch("/sandbox/tenants/acme", json={"capacity": 12}).json()["capacity"] == 12
    assert b'"capacity_units": 12' in receiver.wait_for(1, "/crovver")[0].body


def test_seats_can_be_taken_beyond_the_capacity_and_given_back(sandbox: Driver) -> None:
    sandbox.tenant(capacity=1)
    users = ["ann", {"externalUserId": "ben", "email": "ben@acme.com", "allocatedAt": "2026-05-01T10:00:00Z"}]
    taken = sandbox.post("/sandbox/tenants/acme/seats", json={"users": users}).json()
    assert (taken["allocated"], taken["exceeded"]) == (["ann", "ben"], True)
    left = sandbox.post("/sandbox/tenants/acme/seats/remove", json={"users": ["ann", "zoe"]}).json()
    assert (left["removed"], left["taken"]) == (["ann"], 1)


def test_tenant_ids_may_be_anything(sandbox: Driver) -> None:
    sandbox.put("/sandbox/tenants/a%2Fb%20%C3%A9", json={"taken": 2})
    assert [tenant["id"] for tenant in sandbox.get("/sandbox/tenants").json()["tenants"]] == ["a/b é"]
    assert sandbox.allocations("a/b é").json()["data"]["capacity"]["activeCount"] == 2
    assert sandbox.post("/sandbox/tenants/a%2Fb%20%C3%A9/seats", json={"users": ["x"]}).json()["taken"] == 3


@pytest.mark.parametrize(
    "body",
    [{"capacity": -1}, {"capcity": 3}, {"taken": 1, "users": ["a", "b"]}, {"users": ["a", "a"]}, {"provider": "cash"}],
)
def test_a_tenant_that_makes_no_sense_is_refused_with_the_reason(sandbox: Driver, body: dict[str, object]) -> None:
    answer = sandbox.put("/sandbox/tenants/acme", json=body)
    assert answer.status_code == 400
    assert answer.json()["fields"]
    assert sandbox.get("/sandbox/tenants").json() == {"tenants": []}


def test_a_checkout_is_found_by_session_and_by_proration(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10)
    started = sandbox.checkout(15).json()["data"]
    by_proration = sandbox.get(f"/sandbox/checkouts/{started['prorationId']}").json()
    by_session = sandbox.get(f"/sandbox/checkouts/{by_proration['session']}").json()
    assert by_session == by_proration
    assert (by_session["newCapacity"], by_session["state"], by_session["url"]) == (15, "open", started["checkoutUrl"])
    assert sandbox.get("/sandbox/checkouts", params={"tenant": "other"}).json()["checkouts"] == []
    assert sandbox.act("cs_test_unknown", "pay").status_code == 404
    assert sandbox.act(by_session["session"], "steal").status_code == 404


def test_a_webhook_url_needs_a_secret(sandbox: Driver) -> None:
    assert sandbox.put("/sandbox/webhooks", json={"stripeUrl": "http://127.0.0.1/"}).status_code == 400
    with pytest.raises(ValueError, match="secret"):
        SandboxConfig(webhook_url="http://127.0.0.1/")


def test_secrets_are_in_no_repr() -> None:
    config = SandboxConfig(
        webhook_url="http://h/", webhook_secret="whsec_1", crovver_webhook_url="http://h/", crovver_webhook_secret="c_1"
    )
    shown = repr(config) + repr(config.webhook_targets())
    assert "whsec_1" not in shown
    assert "c_1" not in shown


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A sandbox of its own on a free port; its first line of output is its URL."""
    code = "from worker.sandbox.server import run; run('127.0.0.1', 0, None, lambda url: print(url, flush=True))"
    started = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    yield started
    started.kill()
    started.communicate(timeout=10)


def test_it_runs_as_a_process_on_a_free_port_and_stops_on_a_signal(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    with httpx.Client(base_url=process.stdout.readline().strip(), trust_env=False) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        client.put("/sandbox/tenants/acme", json={})
        client.post("/sandbox/faults", json=[{"kind": "lost"}, {"kind": "cut"}])
        for _ in range(2):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                client.get(
                    "/api/public/capacity/allocations",
                    params={"requestingEntityId": "acme"},
                    headers={"authorization": "Bearer sk_test_1"},
                )
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert process.stderr.read() == ""
