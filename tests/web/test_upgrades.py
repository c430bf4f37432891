"""The operator API's upgrades."""

import pytest

from tests.web.site import Site, an_upgrade
from tests.web.test_tenants import fits
from worker.core.facts import OperatorAction, OperatorFact
from worker.core.tenant import Tenant
from worker.core.upgrade import State
from worker.web import schemas


def put(site: Site, *states: State) -> None:
    """Upgrades upg_0, upg_1, ... each of a tenant t0, t1, ... of its own, each newer than the one before."""
    for at, state in enumerate(states):
        site.put_tenant(Tenant(f"t{at}", upgrades=(an_upgrade(f"upg_{at}", state, created_at=1_000_000 * (at + 1)),)))


def test_an_upgrade_is_shown_with_its_tenant(site: Site) -> None:
    put(site, State.AWAITING_PAYMENT)
    shown = site.operate("GET", "/v1/upgrades/upg_0").json()
    fits(schemas.Upgrade, shown)
    assert (shown["tenantId"], shown["state"], shown["checkoutUrl"][:8]) == ("t0", "awaiting_payment", "https://")


@pytest.mark.parametrize("state", [state for state in State if state is not State.AWAITING_PAYMENT])
def test_a_link_is_shown_only_while_it_waits_to_be_paid(site: Site, state: State) -> None:
    put(site, state)
    for path in ("/v1/upgrades/upg_0", "/v1/upgrades", "/v1/tenants/t0"):
        assert "pay.test" not in site.operate("GET", path).text


@pytest.mark.parametrize("path", ["upg_9", "%00", "%FF", "x" * 300])
@pytest.mark.parametrize("action", ["", "/approve", "/cancel", "/retry"])
def test_an_unknown_upgrade_is_not_found(site: Site, path: str, action: str) -> None:
    assert site.operate("POST" if action else "GET", f"/v1/upgrades/{path}{action}").status_code == 404


def test_upgrades_are_listed_newest_first_in_pages(site: Site) -> None:
    put(site, *[State.AWAITING_PAYMENT] * 5)
    found, cursor = [], ""
    while True:
        page = site.operate("GET", f"/v1/upgrades?limit=2{cursor}").json()
        fits(schemas.Upgrades, page)
        found += [row["id"] for row in page["upgrades"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == ["upg_4", "upg_3", "upg_2", "upg_1", "upg_0"]


def test_upgrades_are_listed_by_state(site: Site) -> None:
    put(site, State.CONFIRMED, State.UNKNOWN, State.CONFIRMED)
    assert [row["id"] for row in site.operate("GET", "/v1/upgrades?state=confirmed").json()["upgrades"]] == [
        "upg_2",
        "upg_0",
    ]


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        (State.AWAITING_APPROVAL, {"approve", "cancel"}),
        (State.REQUESTING, {"cancel", "retry"}),
        (State.UNKNOWN, {"cancel", "retry"}),
        (State.AWAITING_PAYMENT, {"cancel"}),
        (State.INVOICED, {"cancel"}),
        (State.PAID, set()),
        (State.CONFIRMED, set()),
        (State.EXPIRED, {"retry"}),
        (State.FAILED, {"retry"}),
        (State.CANCELLED, {"retry"}),
    ],
)
def test_a_decision_is_taken_where_it_fits_the_state_and_refused_where_not(
    site: Site, state: State, possible: set[str]
) -> None:
    put(site, state)
    for action in OperatorAction:
        answer = site.operate("POST", f"/v1/upgrades/upg_0/{action}")
        if action in possible:
            assert (answer.status_code, answer.json()["id"]) == (202, "upg_0")
            fits(schemas.Upgrade, answer.json())
        else:
            assert answer.status_code == 409
            assert (answer.json()["state"], set(answer.json()["possible"])) == (state, possible)
            assert state in answer.json()["detail"]
    taken = {fact.action.value for fact in site.inbox("t0") if isinstance(fact, OperatorFact)}
    assert taken == possible
    assert site.due() == (["t0"] if possible else [])
