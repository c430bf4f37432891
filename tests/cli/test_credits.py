"""`seats credits`: balances read on demand, by the worker."""

import json
from datetime import UTC, datetime

import pytest

from tests.cli.conftest import Deployment, Run
from tests.processes import eventually
from worker.cli.loopback import call

POOLS = {
    "api_calls": {"displayName": "API calls", "baseRemaining": 10, "addonRemaining": 500, "limit": 1000},
    "ai_tokens": {"baseRemaining": 40, "limit": 100, "limitBehavior": "soft", "nextExpiry": "2027-01-01T00:00:00Z"},
}


def known(deployment: Deployment, run: Run, tenant: str, **settings: object) -> None:
    deployment.tenant(tenant, capacity=5, taken=1, **settings)
    run("publish", "added", "--tenant", tenant, "--user", "ada")
    assert eventually(lambda: deployment.shown(tenant).get("capacityUnits") == 5)


def test_the_balances_of_now_are_told(run: Run, deployment: Deployment) -> None:
    known(deployment, run, "credits-1", credits=POOLS)
    deployment.tenant("credits-1", capacity=5, credits={**POOLS, "api_calls": {"baseRemaining": 7, "limit": 1000}})
    before = datetime.now(UTC)
    outcome = run("credits", "credits-1", "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert datetime.fromisoformat(told["readAt"]).timestamp() >= before.timestamp() - 1
    assert told["pools"]["api_calls"]["baseRemaining"] == 7
    assert told["pools"]["ai_tokens"]["limitBehavior"] == "soft"
    lines = run("credits", "credits-1", "--stored").out.splitlines()
    assert lines[0].startswith("pool")
    (row,) = [line for line in lines if "api_calls" in line]
    assert row.split()[3:] == ["7", "7", "0", "1,000", "99", "%", "is", "blocked", "none"]
    (row,) = [line for line in lines if "ai_tokens" in line]
    assert "may run over" in row
    assert "2027-01-01" in row


def test_the_operator_api_tells_the_same(run: Run, deployment: Deployment) -> None:
    known(deployment, run, "credits-2", credits=POOLS)
    told = json.loads(run("credits", "credits-2", "--json").out)
    stage = deployment.stage
    path = f"{stage.web}/v1/credits/credits-2"
    assert call("GET", path, token=stage.operator_token).body == told
    assert call("POST", f"{path}/read", token=stage.operator_token).status == 202

    def newer() -> bool:
        return bool(call("GET", path, token=stage.operator_token).body["readAt"] > told["readAt"])

    assert eventually(newer)
    shown = deployment.shown("credits-2")["credits"]
    assert shown["pools"] == told["pools"]


def test_a_tenant_without_pools_and_one_that_nobody_knows(run: Run, deployment: Deployment) -> None:
    known(deployment, run, "credits-3")
    outcome = run("credits", "credits-3")
    assert (outcome.code, "No credit pools" in outcome.out) == (0, True)
    outcome = run("credits", "nobody")
    assert (outcome.code, "no tenant 'nobody' is known" in outcome.err) == (1, True)


def test_a_service_key_is_told_none(run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    known(deployment, run, "credits-4")
    monkeypatch.setenv("SEATS_CROVVER_SERVICE_KEY", "svc_key")
    monkeypatch.setenv("SEATS_CROVVER_ORG_ID", "org_1")
    outcome = run("credits", "credits-4")
    assert outcome.code == 1
    assert "SEATS_CROVVER_SERVICE_KEY" in outcome.err
    assert "--stored" in outcome.err
