"""The operator API's tenants."""

from typing import Any
from urllib.parse import quote

import pytest
from pydantic import TypeAdapter

from tests.web.site import Site, an_event, an_upgrade, looked, seat
from worker.core.facts import HintFact
from worker.core.journal import Note, NoteKind
from worker.core.tenant import Decision, Rule, Status, Tenant
from worker.core.upgrade import State
from worker.web import schemas

AT = "2026-09-21T14:13:20.000Z"


def fits(shape: type, content: Any) -> None:
    """The content has the described shape, and nothing beside it."""
    dumped = TypeAdapter(shape).dump_python(TypeAdapter(shape).validate_python(content), mode="json")
    assert dumped == content


def test_a_tenant_is_shown_with_the_members_of_the_contract(site: Site) -> None:
    users = {"u1": seat(), "u3": seat(active=False), "u2": seat(active=False), "u4": seat(needs=False)}
    decision = Decision(Rule.AWAITING_PAYMENT, 1_790_000_000_000_000, {"needed": 3, "upgrade": "upg_1"})
    upgrade = an_upgrade("upg_1", State.AWAITING_PAYMENT)
    site.put_tenant(Tenant("acme", look=looked(2, 2), upgrades=(upgrade,), decision=decision), users)
    answer = site.operate("GET", "/v1/tenants/acme")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "tenantId": "acme",
        "seatsNeeded": 3,
        "activeCount": 2,
        "capacityUnits": 2,
        "exceeded": True,
        "status": "upgrading",
        "lastReconciledAt": AT,
        "drift": {"missing": ["u2", "u3"], "orphaned": ["u4"], "missingCount": 2, "orphanedCount": 1},
        "upgrade": {
            "id": "upg_1",
            "state": "awaiting_payment",
            "newCapacity": 15,
            "fromCapacity": 10,
            "prorationId": "prr_1",
            "checkoutUrl": "https://pay.test/c/pay/cs_test_upg_1",
            "prorationAmount": 1750,
            "prorationDetails": {"newSeats": "5"},
            "reason": None,
            "createdAt": AT,
            "requestedAt": AT,
            "paidAt": None,
            "confirmedAt": None,
            "closedAt": None,
        },
        "decision": {"rule": "awaiting_payment", "at": AT, "inputs": {"needed": 3, "upgrade": "upg_1"}},
        "alerts": [],
        "credits": {"readAt": None, "trouble": None, "pools": {}},
        "forecast": None,
        "unreadableFacts": 0,
    }
    fits(schemas.Tenant, answer.json())


def test_a_tenant_never_looked_at_has_no_numbers_of_crovvers(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    shown = site.operate("GET", "/v1/tenants/acme").json()
    assert (shown["activeCount"], shown["capacityUnits"], shown["upgrade"], shown["decision"]) == (
        None,
        None,
        None,
        None,
    )
    fits(schemas.Tenant, shown)


def test_a_tenant_never_reconciled_is_not_known(site: Site) -> None:
    site.publish(an_event())
    for method, path in (("GET", ""), ("GET", "/journal"), ("POST", "/reconcile")):
        answer = site.operate(method, f"/v1/tenants/acme{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_drift_names_a_thousand_users_and_counts_them_all(site: Site) -> None:
    site.put_tenant(Tenant("acme", look=looked(0, 2)), {f"u{at:04}": seat(active=False) for at in range(1500)})
    drift = site.operate("GET", "/v1/tenants/acme").json()["drift"]
    assert (len(drift["missing"]), drift["missingCount"]) == (1000, 1500)
    assert drift["missing"] == sorted(drift["missing"])


@pytest.mark.parametrize("ident", ["a/b", "a b", "100%", "ключ", "?q", "a/journal", "..", "{t}", "+"])
def test_any_tenant_id_works_in_a_path_percent_encoded(site: Site, ident: str) -> None:
    site.put_tenant(Tenant(ident))
    encoded = quote(ident, safe="").replace(".", "%2E")
    assert site.operate("GET", f"/v1/tenants/{encoded}").json()["tenantId"] == ident
    assert site.operate("GET", f"/v1/tenants/{encoded}/journal").status_code == 200


@pytest.mark.parametrize("path", ["%00", "%FF%FE", "x" * 256, "%ED%A0%80", "a/b", "%"])
def test_an_id_that_cannot_exist_is_not_known(site: Site, path: str) -> None:
    assert site.operate("GET", f"/v1/tenants/{path}").status_code == 404
    assert site.log.entries == []


def test_tenants_are_listed_in_pages_in_the_order_of_their_ids(site: Site) -> None:
    names = [f"t{at}" for at in range(7)]
    for name in reversed(names):
        site.put_tenant(Tenant(name, look=looked(1, 2)))
    found, cursor, sizes = [], "", []
    while True:
        page = site.operate("GET", f"/v1/tenants?limit=3{cursor}").json()
        fits(schemas.Tenants, page)
        found += [row["tenantId"] for row in page["tenants"]]
        sizes.append(len(page["tenants"]))
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert (found, sizes) == (names, [3, 3, 1])
    assert page["tenants"][0]["capacityUnits"] == 2


def test_the_last_page_has_no_next_even_if_it_is_full(site: Site) -> None:
    for name in ("a", "b"):
        site.put_tenant(Tenant(name))
    assert site.operate("GET", "/v1/tenants?limit=2").json()["next"] is None


def test_tenants_are_listed_by_status(site: Site) -> None:
    site.put_tenant(Tenant("a"), status=Status.OK)
    site.put_tenant(Tenant("b"), status=Status.EXCEEDED)
    listed = site.operate("GET", "/v1/tenants?state=exceeded").json()["tenants"]
    assert [(row["tenantId"], row["status"]) for row in listed] == [("b", "exceeded")]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/v1/tenants?state=fine", "state"),
        ("/v1/tenants?state=", "state"),
        ("/v1/tenants?limit=0", "limit"),
        ("/v1/tenants?limit=201", "limit"),
        ("/v1/tenants?limit=-1", "limit"),
        ("/v1/tenants?limit=1e2", "limit"),
        ("/v1/tenants?cursor=", "cursor"),
        ("/v1/tenants?cursor=%00", "cursor"),
        ("/v1/tenants/acme/journal?cursor=x", "cursor"),
        ("/v1/tenants/acme/journal?limit=99999999999999999999", "limit"),
        ("/v1/upgrades?state=open", "state"),
        ("/v1/upgrades?cursor=99999999999999999999-1", "cursor"),
        ("/v1/upgrades?cursor=-", "cursor"),
        ("/v1/upgrades?limit=many", "limit"),
    ],
)
def test_a_bad_parameter_is_named(site: Site, path: str, parameter: str) -> None:
    site.put_tenant(Tenant("acme"))
    answer = site.operate("GET", path)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    assert parameter in answer.json()["detail"]


def test_the_journal_is_shown_newest_first_in_pages_with_readable_times(site: Site) -> None:
    facts = Note(NoteKind.FACTS, {"events": [["+", "u1", 1_790_000_000_000_000, "evt_1", True]]})
    waits = Note(NoteKind.DECISION, {"rule": "waits_to_ask_again", "ready_at": 1_790_000_000_000_000})
    site.put_tenant(Tenant("acme"), notes=[facts, waits, Note(NoteKind.HINT, {"source": "operator"})])
    first = site.operate("GET", "/v1/tenants/acme/journal?limit=2").json()
    fits(schemas.Journal, first)
    assert [entry["kind"] for entry in first["entries"]] == ["hint", "decision"]
    assert (first["entries"][0]["at"], first["entries"][1]["ready_at"]) == (AT, AT)
    second = site.operate("GET", f"/v1/tenants/acme/journal?limit=2&cursor={first['next']}").json()
    told = {"type": "user.added", "userId": "u1", "time": AT, "id": "evt_1", "applied": True}
    assert (second["entries"][0]["events"], second["next"]) == ([told], None)


def test_a_reconcile_on_request_makes_the_tenant_due_now(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    answer = site.operate("POST", "/v1/tenants/acme/reconcile")
    assert (answer.status_code, answer.json()) == (202, {"tenantId": "acme", "accepted": 1})
    [fact] = site.inbox("acme")
    assert isinstance(fact, HintFact)
    assert (fact.source, site.due()) == ("operator", ["acme"])
