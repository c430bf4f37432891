"""Which conditions hold for a tenant, and what has just happened to it that people should know of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from worker.core.alert_book import Condition, Moment, Name
from worker.core.alerts import AlertKind, Datum, Severity
from worker.core.case import Case
from worker.core.credits import CreditPool
from worker.core.facts import PaymentFact
from worker.core.forecast import forecast
from worker.core.journal import Note, NoteKind
from worker.core.tenant import Rule, Tenant, TroubleKind, capacity_of, is_exceeded, paid_for_nothing
from worker.core.times import DAY, MINUTE
from worker.core.upgrade import Closing, State, Upgrade

CALM = 5 * MINUTE
FULL_WITHIN_DAYS = 7
EXPIRY_WITHIN = 7 * DAY
UNMATCHED_AFTER = 15 * MINUTE
UNMATCHED_FOR = 7 * DAY
UNREACHABLE_ATTEMPTS = 3
HARD_CRITICAL = 95
"""From this usage on, in percent, a pool that blocks at zero is critical: its users are about to be stopped."""

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
Data = dict[str, Datum]


def conditions(case: Case) -> list[Condition]:
    """Everything that is the case with a decided-on tenant and that people should know of."""
    found = [
        *_capacity(case),
        *_upgrades(case),
        *_setbacks(case),
        *_reading(case),
        *_payments(case),
        *_roster(case),
        *_credits(case),
    ]
    assert len({condition.name for condition in found}) == len(found)
    return found


def surely_over(case: Case) -> set[Name]:
    """Active alerts about capacity that another capacity has overtaken: no calm is needed to see that."""
    capacity = capacity_of(case.tenant)
    about = (AlertKind.NEAR_CAPACITY, AlertKind.CAPACITY_EXCEEDED, AlertKind.FULL_SOON)
    return {
        active.name for active in case.tenant.alerts if active.kind in about and active.data.get("capacity") != capacity
    }


def moments(tenant: Tenant, notes: Iterable[Note]) -> list[Moment]:
    """What a pass's notes tell of that is worth a message by itself."""
    found = []
    for note in notes:
        match note.kind:
            case NoteKind.UPGRADE if note.data.get("after") == State.CONFIRMED.value:
                upgrade = tenant.find(str(note.data.get("id")))
                if upgrade is not None:
                    found.append(Moment(AlertKind.PAYMENT_CONFIRMED, INFO, _about(upgrade), upgrade.id))
            case NoteKind.PAYMENT if note.data.get("foreign") is True:
                found.append(Moment(AlertKind.FOREIGN_PAYMENT, WARNING, {"event": str(note.data.get("event"))}))
            case NoteKind.UNREADABLE:
                found.append(Moment(AlertKind.UNREADABLE_FACTS, CRITICAL, {"count": _whole(note.data.get("count"))}))
            case _:
                pass
    return found


def next_change(case: Case) -> int | None:
    """When time alone will make something the case (None: not that can be known)."""
    tenant, policy = case.tenant, case.policy
    times = [payment.at + UNMATCHED_AFTER for payment in _unmatched(tenant)]
    upgrade = tenant.open_upgrade
    if upgrade is not None and upgrade.state is State.PAID and upgrade.paid_at is not None:
        times.append(upgrade.paid_at + policy.paid_deadline)
    if tenant.drift_since is not None:
        times.append(tenant.drift_since + policy.drift_after)
    return min((at for at in times if at > case.now), default=None)


def _capacity(case: Case) -> Iterator[Condition]:
    tenant, policy, counts = case.tenant, case.policy, case.counts
    gone = tenant.trouble is not None and tenant.trouble.kind is TroubleKind.NO_SUBSCRIPTION
    if tenant.look is None or gone:
        return  # what was seen of a subscription that is over says nothing
    capacity = tenant.look.summary.capacity_units
    used = max(counts.needed, tenant.look.summary.active_count)
    numbers = _numbers(case)
    upgrade = tenant.open_upgrade
    exceeded = is_exceeded(tenant, counts)
    if exceeded:
        data: Data = {**numbers, "mode": policy.mode.value, "upgrade": upgrade.id if upgrade else None}
        yield Condition(AlertKind.CAPACITY_EXCEEDED, WARNING, data, calm=CALM)
    known = next((active for active in tenant.alerts if active.kind is AlertKind.NEAR_CAPACITY), None)
    level = _level(used, capacity, policy.warn_at, known.level if known else 0)
    if level:
        # What is over is near, too; one message says both. The seats kept free are there to be filled.
        yield Condition(
            AlertKind.NEAR_CAPACITY, WARNING, {**numbers, "threshold": level}, level=level, calm=CALM, quiet=exceeded
        )
    ahead = forecast(tenant.growth, capacity, case.now)
    if ahead is not None and ahead.days_left is not None and ahead.days_left <= FULL_WITHIN_DAYS:
        rate: Data = {"per_day": round(ahead.per_day, 1), "days_left": round(ahead.days_left, 1)}
        yield Condition(AlertKind.FULL_SOON, WARNING, {**numbers, **rate}, calm=DAY, quiet=bool(level) or exceeded)


def _level(used: int, capacity: int, thresholds: Sequence[int], known: int) -> int:
    """The highest threshold that is reached, or was and is not yet cleared; 0 for none.

    It is cleared one seat, or 5 % of the capacity, below where it begins: a tenant that goes to and fro around it
    crosses it once.
    """
    margin = max(1, capacity * 5 // 100)
    reached = [threshold for threshold in thresholds if used and 100 * used >= threshold * capacity]
    held = [one for one in thresholds if one <= known and used and 100 * (used + margin) >= one * capacity]
    return max([*reached, *held], default=0)


def _upgrades(case: Case) -> Iterator[Condition]:
    """What the open upgrade waits for, and whom."""
    upgrade, rule = case.tenant.open_upgrade, _rule(case)
    if rule in (Rule.BEYOND_CAP, Rule.ASKED_TOO_OFTEN):
        kind = AlertKind.BEYOND_CAP if rule is Rule.BEYOND_CAP else AlertKind.DECISION_WANTED
        last = case.tenant.upgrades[-1].id if case.tenant.upgrades else None
        yield Condition(kind, WARNING, {**_numbers(case), "cap": case.policy.cap, "upgrade": last})
    if rule is Rule.OUTCOME_LOST:
        last_one = case.tenant.upgrades[-1]
        yield Condition(AlertKind.OUTCOME_UNKNOWN, CRITICAL, _about(last_one), stamp=last_one.id)
    if upgrade is None:
        return
    about = {**_about(upgrade), **_numbers(case)}
    match upgrade.state:
        case State.AWAITING_APPROVAL if upgrade.approved_at is None:
            yield Condition(AlertKind.APPROVAL_WANTED, WARNING, about, stamp=upgrade.id)
        case State.AWAITING_PAYMENT | State.INVOICED:
            yield Condition(AlertKind.UPGRADE_STARTED, INFO, about, stamp=upgrade.id)
        case State.UNKNOWN:
            yield Condition(AlertKind.OUTCOME_UNKNOWN, CRITICAL, about, stamp=upgrade.id)
        case State.PAID if upgrade.paid_at is not None and case.now >= upgrade.paid_at + case.policy.paid_deadline:
            paid: Data = {**about, "paid_at": upgrade.paid_at}
            yield Condition(AlertKind.PAID_NOT_APPLIED, CRITICAL, paid, stamp=upgrade.id)
        case _:
            pass


def _setbacks(case: Case) -> Iterator[Condition]:
    """Upgrades that came to nothing, the latest of each kind, for as long as the seats are still short."""
    tenant, capacity = case.tenant, capacity_of(case.tenant)
    if capacity is None or not case.policy.lacks_room(case.counts.needed, capacity):
        return
    told = set()
    for upgrade in reversed(tenant.upgrades):
        if upgrade.state is State.CONFIRMED:
            return
        kind = _setback(upgrade)
        if kind is not None and kind not in told:
            told.add(kind)
            data: Data = {**_about(upgrade), **_numbers(case), "reason": upgrade.reason}
            yield Condition(kind, WARNING, data, stamp=upgrade.id)


def _setback(upgrade: Upgrade) -> AlertKind | None:
    match upgrade.state, upgrade.closing:
        case State.EXPIRED, Closing.SESSION_EXPIRED | Closing.LIFETIME_OVER:
            return AlertKind.CHECKOUT_EXPIRED
        case State.FAILED, Closing.PAYMENT_FAILED:
            return AlertKind.PAYMENT_FAILED
        case State.FAILED, Closing.REFUSED | Closing.NOT_SENT | Closing.HOLD_OVER:
            return AlertKind.UPGRADE_FAILED
    return None


def _reading(case: Case) -> Iterator[Condition]:
    """What keeps Crovver from being read."""
    trouble = case.tenant.trouble
    if trouble is None:
        return
    data: Data = {"reason": trouble.message, "needed": case.counts.needed, "from_at": trouble.since}
    if trouble.kind is TroubleKind.NO_SUBSCRIPTION:
        if case.counts.needed:
            yield Condition(AlertKind.NO_SUBSCRIPTION, WARNING, data)
    elif trouble.kind is TroubleKind.CREDENTIALS:
        yield Condition(AlertKind.CROVVER_UNREACHABLE, CRITICAL, data, calm=MINUTE)
    elif trouble.attempts >= UNREACHABLE_ATTEMPTS:
        yield Condition(AlertKind.CROVVER_UNREACHABLE, WARNING, data, calm=MINUTE)


def _payments(case: Case) -> Iterator[Condition]:
    """Money that nothing came of."""
    lost = [
        payment
        for payment in _unmatched(case.tenant)
        if payment.at + UNMATCHED_AFTER <= case.now < payment.at + UNMATCHED_FOR
    ]
    if lost:
        data: Data = {"count": len(lost), "from_at": min(payment.at for payment in lost)}
        yield Condition(AlertKind.UNMATCHED_PAYMENT, WARNING, data, level=len(lost))
    for upgrade in paid_for_nothing(case.tenant):
        yield Condition(AlertKind.PAID_FOR_NOTHING, CRITICAL, _about(upgrade), key=upgrade.id)


def _unmatched(tenant: Tenant) -> list[PaymentFact]:
    """Payments that name this tenant and fit none of its upgrades."""
    return [payment for payment in tenant.early if payment.settles]


def _roster(case: Case) -> Iterator[Condition]:
    tenant, counts = case.tenant, case.counts
    if tenant.refused_roster is not None:
        removed, of = tenant.refused_roster
        yield Condition(AlertKind.ROSTER_REFUSED, WARNING, {"removed": removed, "of": of})
    since = tenant.drift_since
    if since is not None and case.now >= since + case.policy.drift_after:
        data: Data = {"missing": counts.missing, "orphaned": counts.orphaned, "from_at": since}
        yield Condition(AlertKind.DRIFT, WARNING, data)


def _credits(case: Case) -> Iterator[Condition]:
    tenant, policy = case.tenant, case.policy
    known = {active.name: active.level for active in tenant.alerts}
    for pool in tenant.credits.pools if tenant.credits is not None else ():
        data: Data = {
            "pool": pool.name,
            "remaining": pool.total,
            "limit": pool.limit,
            "used_percent": None if pool.used is None else round(pool.used),
            "hard": pool.hard,
        }
        level = _usage_level(pool, policy.credits_warn_at, known.get((AlertKind.CREDITS_LOW, pool.key), 0))
        if pool.exhausted:
            yield Condition(AlertKind.CREDITS_EXHAUSTED, CRITICAL if pool.hard else WARNING, data, key=pool.key)
        if level:
            critical = pool.hard and pool.used is not None and pool.used >= HARD_CRITICAL
            severity = CRITICAL if critical else WARNING
            yield Condition(
                AlertKind.CREDITS_LOW, severity, {**data, "threshold": level}, pool.key, level=level,
                quiet=pool.exhausted,
            )  # fmt: skip
        if pool.next_expiry is not None and case.now <= pool.next_expiry <= case.now + EXPIRY_WITHIN and pool.total:
            # What the plan includes comes back with the next period; credits that were bought do not.
            severity = WARNING if pool.addon_remaining else INFO
            yield Condition(
                AlertKind.CREDITS_EXPIRING, severity, {**data, "expires_at": pool.next_expiry}, pool.key,
                stamp=str(pool.next_expiry),
            )  # fmt: skip


def _usage_level(pool: CreditPool, thresholds: Sequence[int], known: int) -> int:
    """The highest usage threshold that is reached, or was and is not yet cleared by 5 points; 0 for none."""
    used = pool.used
    if used is None:
        return 0
    return max([one for one in thresholds if used >= one or (one <= known and used > one - 5)], default=0)


def _numbers(case: Case) -> Data:
    look = case.tenant.look
    used = case.counts.needed if look is None else max(case.counts.needed, look.summary.active_count)
    return {"needed": case.counts.needed, "used": used, "capacity": capacity_of(case.tenant)}


def _about(upgrade: Upgrade) -> Data:
    checkout = upgrade.checkout
    return {
        "upgrade": upgrade.id,
        "size": upgrade.new_capacity,
        "from_capacity": upgrade.from_capacity,
        "invoiced": upgrade.invoiced,
        "amount": checkout.amount if checkout is not None else None,
    }


def _rule(case: Case) -> Rule | None:
    return case.tenant.decision.rule if case.tenant.decision is not None else None


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


_ABOUT = ("upgrade", "size", "from_capacity", "invoiced", "amount")
_NUMBERS = ("needed", "used", "capacity")
_POOL = ("pool", "remaining", "limit", "used_percent", "hard")

DATA_FIELDS: Mapping[AlertKind, tuple[str, ...]] = {
    AlertKind.NEAR_CAPACITY: (*_NUMBERS, "threshold"),
    AlertKind.CAPACITY_EXCEEDED: (*_NUMBERS, "mode", "upgrade"),
    AlertKind.FULL_SOON: (*_NUMBERS, "per_day", "days_left"),
    AlertKind.UPGRADE_STARTED: (*_ABOUT, *_NUMBERS),
    AlertKind.APPROVAL_WANTED: (*_ABOUT, *_NUMBERS),
    AlertKind.PAYMENT_CONFIRMED: _ABOUT,
    AlertKind.PAYMENT_FAILED: (*_ABOUT, *_NUMBERS, "reason"),
    AlertKind.CHECKOUT_EXPIRED: (*_ABOUT, *_NUMBERS, "reason"),
    AlertKind.UPGRADE_FAILED: (*_ABOUT, *_NUMBERS, "reason"),
    AlertKind.PAID_NOT_APPLIED: (*_ABOUT, *_NUMBERS, "paid_at"),
    AlertKind.PAID_FOR_NOTHING: _ABOUT,
    AlertKind.OUTCOME_UNKNOWN: _ABOUT,
    AlertKind.DECISION_WANTED: (*_NUMBERS, "cap", "upgrade"),
    AlertKind.BEYOND_CAP: (*_NUMBERS, "cap", "upgrade"),
    AlertKind.NO_SUBSCRIPTION: ("reason", "needed", "from_at"),
    AlertKind.CROVVER_UNREACHABLE: ("reason", "needed", "from_at"),
    AlertKind.UNMATCHED_PAYMENT: ("count", "from_at"),
    AlertKind.FOREIGN_PAYMENT: ("event",),
    AlertKind.DRIFT: ("missing", "orphaned", "from_at"),
    AlertKind.ROSTER_REFUSED: ("removed", "of"),
    AlertKind.CREDITS_LOW: (*_POOL, "threshold"),
    AlertKind.CREDITS_EXHAUSTED: _POOL,
    AlertKind.CREDITS_EXPIRING: (*_POOL, "expires_at"),
    AlertKind.UNREADABLE_FACTS: ("count",),
    AlertKind.DEAD_LETTER: ("count", "queues"),
}
"""What the data of each kind holds, for whoever writes its text. Resolved notes add ``since_at``."""
