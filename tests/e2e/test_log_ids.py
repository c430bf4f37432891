"""The log of a running deployment can be followed from an event to the call it led to."""

import json
from typing import Any

from tests.e2e.crovver import Checkout, Crovver
from tests.e2e.deployment import Deployment, event, eventually, signature, stripe_event


def entries(deployment: Deployment, process: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in deployment.log(process).read_text().splitlines() if line.startswith("{")]


def test_lines_carry_the_tenant_the_wake_up_the_facts_and_the_call(deployment: Deployment, crovver: Crovver) -> None:
    crovver.add("acme", 2, 2)
    deployment.start_all()
    assert deployment.publish(event("acme", "ada", ident="evt_ada")).status_code == 202
    view = deployment.wait_for_state("acme", "awaiting_payment")
    written = entries(deployment, "worker")
    ours = [one for one in written if str(one["logger"]).startswith(("worker.engine", "worker.crovver"))]
    assert {one["tenant"] for one in ours} == {"acme"}
    woken = {one["wake"] for one in entries(deployment, "scheduler") if one["event"] == "a tenant is woken"}
    assert all(one["wake"] in woken for one in ours)

    calls = [one for one in ours if one["event"] == "Crovver was called"]
    assert len({one["call"] for one in calls}) == len(calls) >= 2
    assert {one["endpoint"] for one in calls} >= {"allocations", "proration-checkout"}
    (checkout,) = [one for one in calls if one["endpoint"] == "proration-checkout"]
    assert (checkout["upgrade"], checkout["outcome"], checkout["level"]) == (view["upgrade"]["id"], "ok", "info")
    assert checkout["claim"].startswith("clm_")
    assert any("evt_ada" in one["facts"] for one in ours if one["event"] in ("decision", "upgrade"))


def test_what_the_web_logs_is_found_by_the_id_of_the_request(deployment: Deployment) -> None:
    deployment.start("web")
    early = stripe_event(Checkout("nobody", 1, "cs_test_unknown", "pro_unknown", 0.0), ident="evt_unknown")
    answer = deployment.post_webhook(early, signature(early))
    told = "a Stripe event matches no upgrade yet"
    (line,) = eventually(lambda: [one for one in entries(deployment, "web") if one["event"] == told])
    assert (line["fact"], line["request"]) == ("evt_unknown", answer.headers["x-request-id"])
    assert deployment.http.get("/nowhere").headers["x-request-id"] != line["request"]
