"""What people are shown of a tenant."""

from dataclasses import replace

import pytest

from worker.core.alert_book import Active
from worker.core.alerts import AlertKind, Severity
from worker.core.allocation import Summary
from worker.core.checkout import Checkout
from worker.core.journal import Json
from worker.core.policy import Policy
from worker.core.roster import Counts
from worker.core.tenant import Decision, Look, Rule, Tenant, Trouble, TroubleKind
from worker.core.times import DAY
from worker.core.upgrade import Closing, State, Upgrade
from worker.core.view import note_view, tenant_summary, tenant_view, upgrade_view

AT = 1_777_629_600_123_456
SHOWN = "2026-05-01T10:00:00.123Z"
URL = "https://pay.test/c/pay/cs_test_1"


def upgrade(state: State, **changes: object) -> Upgrade:
    found = Upgrade("upg_1", state, new_capacity=15, from_capacity=10, needed=12, created_at=AT)
    return replace(found, checkout=Checkout("prr_1", URL, True, 17.5, {"a": "b"}), **changes)  # type: ignore[arg-type]


def shown(tenant: Tenant, counts: Counts | None = None, policy: Policy | None = None) -> dict[str, Json]:
    return tenant_view(tenant, counts or Counts(), policy or Policy(), [], [])


def test_a_tenant_has_the_members_of_the_contract_and_those_beside_them() -> None:
    assert set(shown(Tenant("acme"))) == {
        "tenantId", "seatsNeeded", "activeCount", "capacityUnits", "exceeded", "status", "drift", "lastReconciledAt",
        "upgrade", "decision", "alerts", "credits", "forecast",
    }  # fmt: skip


def test_before_the_first_look_crovvers_numbers_are_none() -> None:
    view = shown(Tenant("acme"), Counts(missing=3))
    assert (view["seatsNeeded"], view["activeCount"], view["capacityUnits"], view["exceeded"]) == (3, None, None, False)
    assert (view["upgrade"], view["decision"], view["lastReconciledAt"]) == (None, None, None)


def test_after_a_look_they_are_crovvers_summary() -> None:
    tenant = Tenant("acme", look=Look(AT, Summary(11, 10, True, 11)), reconciled_at=AT)
    view = shown(tenant, Counts(seated=9, orphaned=2))
    assert (view["seatsNeeded"], view["activeCount"], view["capacityUnits"], view["exceeded"]) == (9, 11, 10, True)
    assert (view["status"], view["lastReconciledAt"]) == ("exceeded", SHOWN)


def test_the_status_follows_the_policys_first_threshold() -> None:
    tenant = Tenant("acme", look=Look(AT, Summary(5, 10, False, 5)))
    assert shown(tenant, Counts(seated=5))["status"] == "ok"
    assert shown(tenant, Counts(seated=5), Policy(warn_at=(50,)))["status"] == "near_capacity"
    lost = replace(tenant, trouble=Trouble(TroubleKind.NO_SUBSCRIPTION, "none", AT, 1, AT))
    assert shown(lost)["status"] == "no_subscription"


def test_drift_is_sorted_and_names_at_most_a_thousand_of_each() -> None:
    names = [f"u{at:04}" for at in range(1_200)]
    view = tenant_view(Tenant("acme"), Counts(missing=5_000, orphaned=2), Policy(), names[::-1], ["b", "a"])
    assert view["drift"] == {
        "missing": names[:1_000],
        "orphaned": ["a", "b"],
        "missingCount": 5_000,
        "orphanedCount": 2,
    }


def test_the_open_upgrade_is_shown_before_a_later_closed_one_else_the_latest() -> None:
    older, newer = upgrade(State.AWAITING_PAYMENT), replace(upgrade(State.FAILED), id="upg_2")
    for first, wanted in ((older, "upg_1"), (replace(older, state=State.EXPIRED), "upg_2")):
        view = shown(Tenant("acme", upgrades=(first, newer)))["upgrade"]
        assert isinstance(view, dict)
        assert view["id"] == wanted
        assert "tenantId" not in view


@pytest.mark.parametrize("state", list(State))
def test_a_checkout_link_is_shown_only_while_it_waits_to_be_paid(state: State) -> None:
    url = upgrade_view(upgrade(state), "acme")["checkoutUrl"]
    assert url == (URL if state is State.AWAITING_PAYMENT else None)


def test_an_upgrade_is_shown_with_its_tenant_times_and_crovvers_own_amount() -> None:
    closed = upgrade(State.FAILED, requested_at=AT, paid_at=AT, confirmed_at=AT, closed_at=AT, reason="card declined")
    assert upgrade_view(replace(closed, closing=Closing.REFUSED), "acme") == {
        "tenantId": "acme",
        "id": "upg_1",
        "state": "failed",
        "newCapacity": 15,
        "fromCapacity": 10,
        "prorationId": "prr_1",
        "checkoutUrl": None,
        "prorationAmount": 17.5,
        "prorationDetails": {"a": "b"},
        "reason": "card declined",
        "createdAt": SHOWN,
        "requestedAt": SHOWN,
        "paidAt": SHOWN,
        "confirmedAt": SHOWN,
        "closedAt": SHOWN,
    }


def test_an_upgrade_without_a_checkout_has_none_of_its_members() -> None:
    view = upgrade_view(replace(upgrade(State.AWAITING_APPROVAL), checkout=None), "acme")
    assert all(view[name] is None for name in ("prorationId", "checkoutUrl", "prorationAmount", "prorationDetails"))


def test_a_decision_is_shown_with_its_rule_and_inputs_their_times_readable() -> None:
    decision = Decision(Rule.WAITS_TO_ASK_AGAIN, AT, {"needed": 3, "ready_at": AT, "reason": None})
    assert shown(Tenant("acme", decision=decision))["decision"] == {
        "rule": "waits_to_ask_again",
        "at": SHOWN,
        "inputs": {"needed": 3, "ready_at": SHOWN, "reason": None},
    }


def test_a_summary_is_the_view_without_its_lists() -> None:
    summary, view = tenant_summary(Tenant("acme"), Counts(), Policy()), shown(Tenant("acme"))
    assert summary == {name: view[name] for name in summary}


def test_journal_times_are_readable_and_user_events_are_objects() -> None:
    note: dict[str, Json] = {"id": "1-0", "at": AT, "kind": "facts", "events": [["-", "u1", AT, "evt_1", False], "odd"]}
    told = {"type": "user.removed", "userId": "u1", "time": SHOWN, "id": "evt_1", "applied": False}
    assert note_view(note) == {"id": "1-0", "at": SHOWN, "kind": "facts", "events": [told, "odd"]}


def test_active_alerts_are_shown_and_those_kept_quiet_are_not() -> None:
    told = Active(AlertKind.DRIFT, Severity.WARNING, AT, {"missing": 2, "from_at": AT})
    view = shown(Tenant("acme", alerts=(told, replace(told, key="b", told=False))))
    assert view["alerts"] == [
        {"kind": "drift", "severity": "warning", "key": "", "since": SHOWN, "data": {"missing": 2, "from_at": SHOWN}}
    ]


def test_the_forecast_is_shown_once_there_is_one() -> None:
    looked = Tenant("acme", look=Look(AT, Summary(14, 20, False, 14)), reconciled_at=AT)
    today = AT // DAY
    assert shown(replace(looked, growth=((today, 14),)))["forecast"] is None
    grown = replace(looked, growth=((today - 2, 10), (today - 1, 12), (today, 14)))
    assert shown(grown)["forecast"] == {"seatsPerDay": 2.0, "daysUntilFull": 3.0}
