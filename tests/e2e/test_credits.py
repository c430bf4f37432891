"""The credits watch with real processes, on the API of seed 004."""

import json
import re
from typing import Any

import httpx

from tests.alerts.receiver import Receiver
from tests.e2e.crovver import Crovver
from tests.e2e.deployment import OPERATOR, Deployment, eventually


def pool(used: int, left: int, behavior: str) -> dict[str, Any]:
    return {
        "poolKey": "api_calls",
        "displayName": "API Calls",
        "baseRemaining": left,
        "addonRemaining": 0,
        "total": left,
        "limit": 1000,
        "limitBehavior": behavior,
        "nextExpiry": None,
        "usagePercent": used,
    }


def test_a_hard_pool_at_99_percent_is_critical_once_and_its_balance_is_told_everywhere(
    deployment: Deployment, crovver: Crovver
) -> None:
    for tenant, behavior in (("hard", "hard"), ("soft", "soft")):
        crovver.add(tenant, 10, 2)
        crovver.pools[tenant] = {"api_calls": pool(99, 10, behavior)}
    with Receiver() as receiver:
        deployment.settings |= {
            "SEATS_ALERT_URLS": f"critical={receiver.url}",
            "SEATS_ALERT_GATHER": "0.5",
            "SEATS_CREDITS_EVERY": "1s",
        }
        running = deployment.start_all()
        running.join("hard", "ada")
        running.join("soft", "ada")
        eventually(lambda: receiver.messages, what="the critical alert")
        path = "/api/public/credits/balance"
        reads = sum(asked == path for _, asked, _ in crovver.calls)
        # It is read on and on, and people have heard of it.
        eventually(lambda: sum(asked == path for _, asked, _ in crovver.calls) >= reads + 4, what="more reads")
        (alert,) = receiver.messages
        assert alert.type == "failure"
        assert "hard" in alert.title
        assert "API Calls" in alert.message
        assert "99" in alert.message
    crovver.pools["hard"] = {"api_calls": pool(97, 30, "hard")}
    told = running.seats("credits", "hard", "--json")
    assert told.returncode == 0, told.stderr
    balance = json.loads(told.stdout)
    assert balance["pools"]["api_calls"]["total"] == 30
    assert running.get("/v1/credits/hard")["pools"] == balance["pools"]
    assert " 30 " in running.seats("credits", "hard", "--stored").stdout
    assert "API Calls 30" in dashboard(running, "/tenants/hard")
    crovver.pools["hard"] = {}
    told = running.seats("credits", "hard")
    assert "No credit pools" in told.stdout


def dashboard(running: Deployment, path: str) -> str:
    """What a page of the dashboard says to somebody who has signed in."""
    url = str(running.http.base_url).rstrip("/")
    ours = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=url, headers=ours) as browser:
        assert browser.post("/sign-in", data={"token": OPERATOR}).status_code == 303
        page = browser.get(path)
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())
