"""`seats status`, `upgrades` and `why`: tables for people, the operator API's JSON for programs, links kept back."""

import json
import re

from tests.cli.conftest import Deployment, Run
from tests.processes import eventually
from worker.cli.loopback import call


def waiting_for_payment(deployment: Deployment, run: Run, tenant: str) -> str:
    """A tenant whose upgrade waits to be paid; the link."""
    deployment.tenant(tenant, capacity=2, taken=2)
    run("publish", "added", "--tenant", tenant, "--user", "ada")

    def state() -> object:
        return (deployment.shown(tenant).get("upgrade") or {}).get("state")

    assert eventually(lambda: state() == "awaiting_payment")
    return str(deployment.shown(tenant)["upgrade"]["checkoutUrl"])


def test_status_shows_every_tenant(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "reading-1")
    lines = run("status").out.splitlines()
    assert lines[0].split() == ["tenant", "status", "needed", "taken", "paid", "for", "upgrade", "last", "looked", "at"]
    (row,) = [line for line in lines if line.startswith("reading-1 ")]
    assert row.split()[1:5] == ["upgrading", "3", "2", "2"]
    assert "awaiting_payment, to 3" in row


def test_their_json_is_the_operator_apis(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "reading-2")
    assert settled(json.loads(run("status", "reading-2", "--json", "--show-links").out)) == settled(
        deployment.shown("reading-2")
    )
    stage = deployment.stage
    for command, path in (("status", "tenants"), ("upgrades", "upgrades")):
        there = call("GET", f"{stage.web}/v1/{path}?limit=100", token=stage.operator_token).body
        here = json.loads(run(command, "--json", *(["--show-links"] if command == "upgrades" else [])).out)
        assert here.keys() == there.keys()
        (ours,), (theirs,) = (
            [settled(row) for row in body[path] if row["tenantId"] == "reading-2"] for body in (here, there)
        )
        assert ours == theirs


def settled(row: dict[str, object]) -> dict[str, object]:
    """A row without what every look changes."""
    return {name: value for name, value in row.items() if name != "lastReconciledAt"}


def test_links_are_shown_only_on_request(run: Run, deployment: Deployment) -> None:
    link = waiting_for_payment(deployment, run, "reading-3")
    for command in (["status", "reading-3"], ["upgrades"], ["why", "reading-3"]):
        assert link not in run(*command).out
    assert link in run("status", "reading-3", "--show-links").out
    assert link in run("upgrades", "--state", "awaiting_payment", "--show-links").out


def test_lists_go_on_where_they_ended(run: Run, deployment: Deployment) -> None:
    for number in range(4, 7):
        waiting_for_payment(deployment, run, f"reading-{number}")
    first = json.loads(run("status", "--json", "-n", "1", "--after", "reading-3").out)
    assert ([row["tenantId"] for row in first["tenants"]], first["next"]) == (["reading-4"], "reading-4")
    newest = json.loads(run("upgrades", "--json", "-n", "1").out)
    following = json.loads(run("upgrades", "--json", "-n", "1", "--cursor", newest["next"]).out)
    assert newest["upgrades"][0]["tenantId"] == "reading-6"
    assert following["upgrades"][0]["tenantId"] == "reading-5"
    assert run("upgrades", "--cursor", "nonsense").code == 2


def test_json_holds_payable_links_back_unless_they_are_asked_for(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "reading-8")
    for command in (("status", "reading-8", "--json"), ("upgrades", "--json")):
        assert "/pay/" not in run(*command).out
        assert "/pay/" in run(*command, "--show-links").out


def test_why_says_it_in_words_with_the_journal_before_it(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "reading-7")
    outcome = run("why", "reading-7")
    assert "3 users need a seat" in outcome.out
    assert "waits to be paid" in outcome.out
    assert "user events: 1 added" in outcome.out
    told = json.loads(run("why", "reading-7", "--json", "-n", "3").out)
    assert told["tenantId"] == "reading-7"
    # Between the two the tenant may have been looked at again.
    assert re.sub(r"last read, [^ ]+", "", told["why"]) in re.sub(
        r"last read, [^ ]+", "", outcome.out.replace("\n", " ")
    )
    assert len(told["journal"]) == 3
    assert all(entry["text"] for entry in told["journal"])
    assert "Before that" not in run("why", "reading-7", "-n", "0").out


def test_what_tenants_are_called_never_reaches_the_terminal_as_markup(run: Run, deployment: Deployment) -> None:
    tenant = "[red]x[/red]"
    run("publish", "added", "--tenant", tenant, "--user", "ada")
    assert eventually(lambda: tenant in run("status").out)


def test_a_tenant_is_shown_with_what_people_were_told_and_what_is_left(run: Run, deployment: Deployment) -> None:
    deployment.tenant("reading-9", capacity=2, taken=2, credits={"api": {"baseRemaining": 1200, "limit": 2000}})
    run("publish", "added", "--tenant", "reading-9", "--user", "ada")

    def known() -> bool:
        shown = deployment.shown("reading-9")
        return bool(shown.get("credits", {}).get("pools")) and len(shown["alerts"]) == 2

    assert eventually(known)
    lines = [line.split(maxsplit=1) for line in run("status", "reading-9").out.splitlines()]
    assert sum(line[0] == "alert" for line in lines) == 2
    assert any(line[0] == "alert" and line[1].startswith("capacity exceeded (info), ") for line in lines)
    assert ["credits", "Api 1,200 left"] in [[word.strip() for word in line] for line in lines]
