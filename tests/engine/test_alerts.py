"""What people are told as a tenant lives: by whole wake-ups in the model world, as the fleet's log has it."""

from dataclasses import replace

import pytest

from tests.engine.world import START, World
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.credits import CreditPool, LimitBehavior
from worker.core.facts import HintFact, Membership, OperatorAction, PaymentEvent, UserFact
from worker.core.policy import Mode, Policy, Powers
from worker.core.retention import Retention
from worker.core.times import DAY, HOUR, SECOND
from worker.core.upgrade import State
from worker.store.errors import StoreUnavailable

MINUTE = 60
RAISED, RESOLVED = Phase.RAISED, Phase.RESOLVED


def told(world: World, *kinds: AlertKind) -> list[Alert]:
    """What was told, oldest first, of some kinds or of all."""
    rows, _ = world.do(world.store.alerts(None, 1000))
    return [row.alert for row in reversed(rows) if not kinds or row.alert.kind in kinds]


def phases(world: World, kind: AlertKind) -> list[Phase]:
    return [alert.phase for alert in told(world, kind)]


def test_a_threshold_is_told_once_while_a_tenant_wobbles_around_it() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 10, 7)
    world.look("t")
    world.run()
    for _ in range(10):
        world.join("t", "user_8")
        world.wait(MINUTE)
        world.leave("t", "user_8")
        world.wait(20 * MINUTE)
    found = told(world, AlertKind.NEAR_CAPACITY)
    assert [(alert.phase, alert.severity, alert.data["threshold"]) for alert in found] == [
        (RAISED, Severity.WARNING, 80)
    ]


def test_each_threshold_is_told_as_it_is_crossed_and_the_end_once() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 20, 15)
    world.look("t")
    world.run()
    for user in range(16, 21):
        world.join("t", f"user_{user}")
        world.wait(MINUTE)
    assert [alert.data["threshold"] for alert in told(world, AlertKind.NEAR_CAPACITY)] == [80, 90, 100]
    world.crovver.subscriptions["t"].capacity = 100
    world.wait(20 * MINUTE)
    assert phases(world, AlertKind.NEAR_CAPACITY) == [RAISED, RAISED, RAISED, RESOLVED]


def test_a_whole_upgrade_as_people_hear_of_it() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a", "b")
    world.run()
    assert [alert.kind for alert in told(world)] == [AlertKind.CAPACITY_EXCEEDED, AlertKind.UPGRADE_STARTED]
    assert told(world)[1].data["size"] == 12
    world.wait(MINUTE)
    world.pay(world.crovver.payables[0])
    world.crovver.subscriptions["t"].seats.update(a=(True, world.at), b=(True, world.at))
    world.wait(MINUTE)
    # That the payment is confirmed ends both; nobody needs to hear it three times.
    assert [(alert.kind, alert.phase) for alert in told(world)[2:]] == [(AlertKind.PAYMENT_CONFIRMED, RAISED)]
    world.wait(5 * 3600)
    # At 12 of 12 it is as near as can be, but whoever has just bought exactly these seats knows.
    assert {alert.severity for alert in told(world)} == {Severity.INFO}
    assert len(told(world)) == 3
    assert [active for active in world.tenant().alerts if active.told] == []


def test_being_short_of_seats_becomes_a_warning_when_nobody_pays() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a", "b")
    world.wait(2 * 3600)
    found = [(alert.severity, alert.at - START) for alert in told(world, AlertKind.CAPACITY_EXCEEDED)]
    assert found == [(Severity.INFO, 0), (Severity.WARNING, 30 * MINUTE * SECOND)]


def test_paid_and_not_applied_is_critical_after_the_deadline_and_resolved_in_the_end() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.run()
    payable = world.crovver.payables[0]
    world.pay(payable, apply=False)
    world.wait(14 * MINUTE)
    assert phases(world, AlertKind.PAID_NOT_APPLIED) == []
    world.wait(2 * MINUTE)
    (alert,) = told(world, AlertKind.PAID_NOT_APPLIED)
    assert alert.severity is Severity.CRITICAL
    assert abs(alert.at - (START + 15 * MINUTE * SECOND)) < SECOND
    world.wait(2 * 3600)
    assert phases(world, AlertKind.PAID_NOT_APPLIED) == [RAISED]
    world.crovver.apply(payable)
    world.wait(2 * MINUTE)
    assert phases(world, AlertKind.PAID_NOT_APPLIED) == [RAISED, RESOLVED]
    assert told(world, AlertKind.PAID_NOT_APPLIED)[1].severity is Severity.CRITICAL


def test_an_outcome_nobody_knows_is_critical_until_it_is_known() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.crovver.checkout_faults = ["unknown_after"]
    world.join("t", "a")
    world.wait(59)
    assert phases(world, AlertKind.OUTCOME_UNKNOWN) == []
    world.wait(1)
    (alert,) = told(world, AlertKind.OUTCOME_UNKNOWN)
    assert (alert.severity, alert.data["upgrade"]) == (Severity.CRITICAL, world.upgrade().id)
    world.pay(world.crovver.payables[0])
    world.wait(MINUTE)
    assert phases(world, AlertKind.OUTCOME_UNKNOWN) == [RAISED, RESOLVED]
    assert world.upgrade().state is State.CONFIRMED


def test_an_approval_is_asked_for_once() -> None:
    world = World(Policy(mode=Mode.APPROVAL))
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.wait(3600)
    world.join("t", "b")
    world.wait(3600)
    assert phases(world, AlertKind.APPROVAL_WANTED) == [RAISED]
    world.operator("t", OperatorAction.APPROVE, world.upgrade().id)
    world.run()
    assert phases(world, AlertKind.APPROVAL_WANTED) == [RAISED, RESOLVED]


def test_checkouts_that_come_to_nothing_are_told_each_until_an_operator_is_asked() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    for _ in range(4):
        world.wait(MINUTE)
        payable = world.crovver.payables[-1]
        payable.state = "expired"
        world.webhook(world.stripe(payable, PaymentEvent.EXPIRED, "unpaid"))
        world.wait(20 * MINUTE)
    assert phases(world, AlertKind.CHECKOUT_EXPIRED) == [RAISED] * 4
    assert phases(world, AlertKind.DECISION_WANTED) == [RAISED]
    world.leave("t", "a")
    world.wait(20 * MINUTE)
    assert phases(world, AlertKind.CHECKOUT_EXPIRED)[-1] is RESOLVED
    assert phases(world, AlertKind.DECISION_WANTED)[-1] is RESOLVED
    assert phases(world, AlertKind.CAPACITY_EXCEEDED) == [RAISED, RAISED, RESOLVED]


@pytest.mark.parametrize(("event", "kind"), [(PaymentEvent.ASYNC_FAILED, AlertKind.PAYMENT_FAILED)])
def test_a_payment_that_failed(event: PaymentEvent, kind: AlertKind) -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.run()
    world.webhook(world.stripe(world.crovver.payables[0], event, "unpaid"))
    world.wait(10)
    assert phases(world, kind) == [RAISED]


def test_a_refused_call_tells_what_crovver_said() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.crovver.checkout_faults = ["refused"] * 4
    world.join("t", "a")
    world.run()
    (alert,) = told(world, AlertKind.UPGRADE_FAILED)
    assert "a fault of the model" in str(alert.data["reason"])


def test_beyond_the_cap() -> None:
    world = World(Policy(cap=10))
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.run()
    assert phases(world, AlertKind.BEYOND_CAP) == [RAISED]
    assert world.crovver.checkout_calls == []


def test_a_tenant_without_a_subscription_is_told_if_anyone_needs_a_seat() -> None:
    world = World()
    world.look("t")
    world.run()
    assert told(world) == []
    world.join("t", "a")
    world.wait(MINUTE)
    assert phases(world, AlertKind.NO_SUBSCRIPTION) == [RAISED]
    world.subscribe("t", 10, 1)
    world.look("t")
    world.wait(20 * MINUTE)
    assert phases(world, AlertKind.NO_SUBSCRIPTION) == [RAISED, RESOLVED]


def test_crovver_out_of_reach_is_told_when_it_lasts() -> None:
    world = World()
    world.subscribe("t", 10, 1)
    world.crovver.read_faults = ["transient"] * 7
    world.look("t")
    world.wait(59)
    assert told(world) == []
    world.wait(1)
    assert phases(world, AlertKind.CROVVER_UNREACHABLE) == [RAISED]
    world.wait(3600)
    assert phases(world, AlertKind.CROVVER_UNREACHABLE) == [RAISED, RESOLVED]


def test_drift_is_told_when_it_persists_and_waiting_for_seats_is_none() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 10, 5)
    world.subscribe("full", 5, 5)
    world.join("t", "new")
    world.join("full", "new")
    world.wait(50 * MINUTE)
    assert phases(world, AlertKind.DRIFT) == []
    world.wait(11 * MINUTE)
    assert [(alert.tenant, alert.phase) for alert in told(world, AlertKind.DRIFT)] == [("t", RAISED)]
    world.crovver.subscriptions["t"].seats["new"] = (True, world.at)
    world.wait(20 * MINUTE)
    assert phases(world, AlertKind.DRIFT) == [RAISED, RESOLVED]


def test_a_payment_of_the_other_mode_is_told() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.run()
    fact = world.stripe(world.crovver.payables[0], PaymentEvent.COMPLETED, references=("t",))
    world.webhook(replace(fact, foreign=True))
    world.wait(10)
    assert phases(world, AlertKind.FOREIGN_PAYMENT) == [RAISED]
    assert world.upgrade().state is State.AWAITING_PAYMENT


def test_growth_that_will_fill_the_seats_is_told_days_before() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 100, 10)
    for day in range(1, 12):
        world.join("t", *(f"day{day}_{number}" for number in range(4)))
        world.wait(DAY / SECOND)
    assert phases(world, AlertKind.FULL_SOON) == []
    for day in range(12, 17):
        world.join("t", *(f"day{day}_{number}" for number in range(4)))
        world.wait(DAY / SECOND)
    (alert,) = told(world, AlertKind.FULL_SOON)
    assert alert.data["per_day"] == pytest.approx(4, abs=0.5)
    assert float(alert.data["days_left"] or 99) <= 7
    assert phases(world, AlertKind.NEAR_CAPACITY) == []


def pool(used: float, total: int, *, hard: bool = True, addon: int = 0, expires: int | None = None) -> CreditPool:
    behavior = LimitBehavior.HARD if hard else LimitBehavior.SOFT
    return CreditPool("api", "API calls", total - addon, addon, total, 1000, behavior, expires, used)


CREDITS = Policy(credits_every=HOUR)


def test_a_hard_pool_at_99_percent_is_critical_once() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.crovver.pools["t"] = {"api": pool(10, 900)}
    world.look("t")
    world.wait(2 * 3600)
    assert told(world) == []
    world.crovver.pools["t"] = {"api": pool(99, 10)}
    world.wait(8 * 3600)
    assert [(alert.kind, alert.severity, alert.key) for alert in told(world)] == [
        (AlertKind.CREDITS_LOW, Severity.CRITICAL, "api")
    ]
    world.crovver.pools["t"] = {"api": pool(5, 950)}
    world.wait(4 * 3600)
    assert phases(world, AlertKind.CREDITS_LOW) == [RAISED, RESOLVED]


@pytest.mark.parametrize(("hard", "severity"), [(True, Severity.CRITICAL), (False, Severity.WARNING)])
def test_an_empty_pool(hard: bool, severity: Severity) -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.crovver.pools["t"] = {"api": pool(100, 0, hard=hard)}
    world.look("t")
    world.wait(4 * 3600)
    assert [(alert.kind, alert.severity) for alert in told(world)] == [(AlertKind.CREDITS_EXHAUSTED, severity)]


def test_credits_about_to_expire_matter_more_if_they_were_bought() -> None:
    world = World(CREDITS)
    world.subscribe("plan", 10, 1)
    world.subscribe("bought", 10, 1)
    world.crovver.pools["plan"] = {"api": pool(10, 500, expires=START + 3 * DAY)}
    world.crovver.pools["bought"] = {"api": pool(10, 500, addon=200, expires=START + 3 * DAY)}
    for tenant in ("plan", "bought"):
        world.look(tenant)
    world.wait(3 * 3600)
    assert [alert.tenant for alert in told(world, AlertKind.CREDITS_EXPIRING)] == ["bought"]
    world.wait(DAY / SECOND)
    found = {alert.tenant: alert.severity for alert in told(world, AlertKind.CREDITS_EXPIRING)}
    assert found == {"plan": Severity.INFO, "bought": Severity.WARNING}
    assert len(told(world)) == 2


def test_balances_are_read_on_their_schedule_and_when_asked_for() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.crovver.pools["t"] = {"api": pool(10, 900)}
    world.look("t")
    world.wait(10 * 3600 + 60)
    assert world.crovver.credits_reads == 11
    world.look("t")
    world.run()
    assert world.crovver.credits_reads == 11
    world.give("t", HintFact("operator", world.at, "hint", credits=True))
    world.run()
    assert world.crovver.credits_reads == 12
    credits = world.tenant().credits
    assert credits is not None
    assert (credits.at, credits.pools[0].total) == (world.at, 900)


def test_a_tenant_without_pools_is_asked_seldom_and_one_that_fails_keeps_what_is_known() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.look("t")
    world.wait(12 * 3600 - 60)
    assert world.crovver.credits_reads == 2
    world.crovver.pools["t"] = {"api": pool(10, 900)}
    world.wait(3600)
    world.crovver.credits_faults = ["transient"]
    world.wait(3600)
    credits = world.tenant().credits
    assert credits is not None
    assert credits.trouble is not None
    assert credits.pools[0].total == 900


def test_credits_cost_no_second_look_and_delay_no_purchase() -> None:
    reads = []
    for policy in (Policy(), CREDITS):
        world = World(policy, Powers(stripe_webhooks=True))
        world.subscribe("t", 10, 10)
        world.join("t", "a")
        world.run()
        assert len(world.crovver.checkout_calls) == 1
        reads.append((world.crovver.reads, world.crovver.credits_reads))
    assert reads == [(2, 0), (2, 1)]


def test_a_pass_that_dies_before_its_alerts_are_posted_posts_them_in_the_next_and_once() -> None:
    world = World()
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    world.die_in_the_next_call()  # saved with its claim, and nothing else
    assert told(world) == []
    assert [alert.kind for alert in world.tenant().outbox] == [AlertKind.CAPACITY_EXCEEDED]
    world.wait(20 * MINUTE)
    # And as nobody knows how the call ended, being short of seats is no longer mere news.
    found = [alert.severity for alert in told(world, AlertKind.CAPACITY_EXCEEDED)]
    assert found == [Severity.INFO, Severity.WARNING]


def test_alerts_that_cannot_be_handed_over_hold_no_seat_up_and_are_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.subscribe("t", 10, 10)
    post = world.store.post_alerts

    async def refuse(tenant: str, alerts: object) -> int:
        raise StoreUnavailable("the alerts' server is away")

    monkeypatch.setattr(world.store, "post_alerts", refuse)
    world.join("t", "a")
    world.run()
    assert len(world.crovver.checkout_calls) == 1
    assert told(world) == []
    monkeypatch.setattr(world.store, "post_alerts", post)
    world.wait(2 * MINUTE)
    assert [alert.kind for alert in told(world)] == [AlertKind.CAPACITY_EXCEEDED, AlertKind.UPGRADE_STARTED]
    assert world.tenant().outbox == ()


@pytest.mark.parametrize("credits_every", [None, HOUR])
def test_what_waits_for_an_operator_is_told_once_however_often_crovver_cannot_be_read(
    credits_every: int | None,
) -> None:
    world = World(Policy(cap=10, credits_every=credits_every))
    world.subscribe("t", 10, 10)
    world.join("t", "a")
    for _ in range(12):
        world.wait(3000)
        world.crovver.read_faults = ["transient"]
        world.look("t")
        world.run()
    assert phases(world, AlertKind.BEYOND_CAP) == [RAISED]
    world.crovver.subscriptions["t"].capacity = 11
    world.wait(3600)
    assert phases(world, AlertKind.BEYOND_CAP) == [RAISED, RESOLVED]


def test_a_tenant_without_a_subscription_stays_one_while_crovver_cannot_be_read() -> None:
    world = World()
    world.join("t", "a")
    for _ in range(5):
        world.wait(3600)
        world.crovver.read_faults = ["transient"] * 2
        world.look("t")
        world.wait(60)
    assert phases(world, AlertKind.NO_SUBSCRIPTION) == [RAISED]


@pytest.mark.parametrize(
    ("policy", "powers", "kind"),
    [
        (Policy(mode=Mode.APPROVAL), Powers(stripe_webhooks=True), AlertKind.APPROVAL_WANTED),
        (Policy(), Powers(stripe_webhooks=True, stripe_key=True), AlertKind.UPGRADE_STARTED),
    ],
)
def test_a_tenant_around_its_capacity_is_no_stream_of_messages(policy: Policy, powers: Powers, kind: AlertKind) -> None:
    world = World(policy, powers)
    world.subscribe("t", 10, 10)
    for _ in range(12):
        world.join("t", "a")
        world.wait(2 * MINUTE)
        world.leave("t", "a")
        world.wait(2 * MINUTE)
    assert len(told(world, kind)) <= 4
    assert len(world.crovver.checkout_calls) <= 4


def test_the_newest_of_several_upgrades_is_told_once_it_is_quiet() -> None:
    world = World(Policy(), Powers(stripe_webhooks=True, stripe_key=True))
    world.subscribe("t", 10, 10)
    for number in range(20):
        world.join("t", f"user_a{number}")
        world.wait(90)
    world.wait(30 * MINUTE)
    found = told(world, AlertKind.UPGRADE_STARTED)
    assert len(found) <= 4
    assert found[-1].data["upgrade"] == world.upgrade().id


def test_add_ons_count_before_a_pool_is_called_low() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.crovver.pools["t"] = {"api": pool(100, 5000, addon=5000)}
    world.look("t")
    world.wait(3 * 3600)
    assert told(world) == []


def test_a_pool_that_is_topped_up_each_time_is_told_once() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.look("t")
    for hour in range(24):
        world.crovver.pools["t"] = {"api": pool(100 - hour % 2, hour % 2 * 3)}
        world.wait(3600)
    assert phases(world, AlertKind.CREDITS_EXHAUSTED) == [RAISED]


def test_balances_read_under_a_clock_that_went_back_are_not_read_for_ever() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 1)
    world.look("t")
    world.run()
    world.at -= 60 * SECOND
    world.give("t", HintFact("operator", world.at, "hint", credits=True))
    world.run()
    assert world.crovver.credits_reads == 2


def test_two_pools_of_one_name_stop_nothing() -> None:
    world = World(CREDITS)
    world.subscribe("t", 10, 10)
    low = pool(99, 10)
    world.crovver.pools["t"] = {"api": low, "other": replace(low, name="the same key under another")}
    world.look("t")
    world.run()
    world.join("t", "a")
    world.wait(10)
    assert len(world.crovver.checkout_calls) == 1


def test_one_import_is_no_growth_to_warn_of() -> None:
    world = World(Policy(mode=Mode.ALERT))
    world.subscribe("t", 1000, 10)
    for day in range(5):
        world.join("t", *(f"day{day}_{number}" for number in range(500 if day == 2 else 0)))
        world.look("t")
        world.wait(DAY / SECOND)
    assert phases(world, AlertKind.FULL_SOON) == []


def test_reads_that_fail_in_turns_for_different_reasons_are_trouble_all_the_same() -> None:
    world = World()
    world.subscribe("t", 10, 1)
    world.crovver.read_faults = ["transient", "refused"] * 200
    world.look("t")
    world.wait(3600)
    assert phases(world, AlertKind.CROVVER_UNREACHABLE)[:1] == [RAISED]
    assert world.crovver.reads < 60


def test_facts_that_are_too_old_to_be_believed_are_told() -> None:
    world = World(Policy(retention=Retention(tombstones=40 * DAY)))
    world.subscribe("t", 10, 1)
    world.join("t", "gone")
    world.wait(10)
    world.leave("t", "gone")
    for _ in range(90):
        world.look("t")
        world.wait(DAY / SECOND)
    assert told(world, AlertKind.TOO_OLD_FACTS) == []
    world.give("t", UserFact("late", Membership.ADDED, START, "evt_late"))
    world.run()
    (alert,) = told(world, AlertKind.TOO_OLD_FACTS)
    assert (alert.severity, alert.data) == (Severity.WARNING, {"count": 1})
    assert world.loaded().counts.needed == 1
