"""Which conditions hold for a tenant, and what has just happened to it that people should know of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from worker.core.alert_book import Active, Condition, Moment, Name
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
COOLDOWN = 15 * MINUTE
"""A tenant that goes to and fro around its capacity may need a new upgrade each time; people hear of one in so long."""

LONG_EXCEEDED = 30 * MINUTE
"""Short of seats for longer than this although an upgrade is under way: somebody should see to it."""

FULL_WITHIN_DAYS = 7
GROWTH_DAYS = 3
EXPIRY_WITHIN = 7 * DAY
RENEWAL_WITHIN = 2 * DAY
UNMATCHED_AFTER = 15 * MINUTE
UNMATCHED_FOR = 7 * DAY
UNKNOWN_AFTER = MINUTE
"""Most lost answers are made up for by the webhook or the capacity within seconds."""

UNREACHABLE_ATTEMPTS = 3
UNREACHABLE_AFTER = MINUTE
UNREACHABLE_CALM = 10 * MINUTE
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
    # By name, so that no two of a name can stand in the way of what the pass is there for.
    by_name = {condition.name: condition for condition in found}
    return list({**{held.name: held for held in _held(case)}, **by_name}.values())


def _held(case: Case) -> Iterator[Condition]:
    """Alerts that stay as they are because this pass has not seen enough to say that they are over."""
    unseen = _rule(case) in (Rule.LOOK_INCOMPLETE, Rule.UNREACHABLE, Rule.NOT_LOOKED)
    for active in case.tenant.alerts:
        by_rule = active.kind in (AlertKind.BEYOND_CAP, AlertKind.DECISION_WANTED, AlertKind.OUTCOME_UNKNOWN)
        unread = active.kind is AlertKind.NO_SUBSCRIPTION and case.tenant.trouble is not None
        if (unseen and by_rule) or unread:
            yield Condition(
                active.kind, active.severity, active.data, active.key, active.stamp, active.level, active.calm,
                quiet=not active.told,
            )  # fmt: skip


def surely_over(case: Case) -> set[Name]:
    """Active alerts that need no calm: another capacity has overtaken them, or their upgrade was confirmed."""
    capacity = capacity_of(case.tenant)
    about = (AlertKind.NEAR_CAPACITY, AlertKind.CAPACITY_EXCEEDED, AlertKind.FULL_SOON)
    asked = (AlertKind.UPGRADE_STARTED, AlertKind.APPROVAL_WANTED)
    return {
        active.name
        for active in case.tenant.alerts
        if (active.kind in about and active.data.get("capacity") != capacity)
        or (active.kind in asked and _went_on(case.tenant, active))
    }


def _went_on(tenant: Tenant, active: Active) -> bool:
    """Whether the upgrade of an alert has gone on: it was approved, or it was confirmed."""
    upgrade = tenant.find(str(active.data.get("upgrade")))
    if upgrade is None or upgrade.state is State.CONFIRMED:
        return True
    return active.kind is AlertKind.APPROVAL_WANTED and upgrade.approved_at is not None


def told_otherwise(case: Case, moments: Iterable[Moment]) -> set[Name]:
    """Active alerts whose end another alert tells of: that the payment was confirmed."""
    if not any(moment.kind is AlertKind.PAYMENT_CONFIRMED for moment in moments):
        return set()
    return {
        active.name
        for active in case.tenant.alerts
        if active.kind is AlertKind.UPGRADE_STARTED
        or (active.kind is AlertKind.CAPACITY_EXCEEDED and active.severity is INFO)
    }


def moments(tenant: Tenant, notes: Iterable[Note]) -> list[Moment]:
    """What a pass's notes tell of that is worth a message by itself."""
    found: list[Moment] = []
    too_old = 0
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
            case NoteKind.TOO_OLD:
                too_old += _whole(note.data.get("count"))
            case _:
                pass
    if too_old:
        found.append(Moment(AlertKind.TOO_OLD_FACTS, WARNING, {"count": too_old}))
    return found


def next_change(case: Case) -> int | None:
    """When time alone will make something the case (None: not that can be known)."""
    tenant, policy = case.tenant, case.policy
    times = [payment.at + UNMATCHED_AFTER for payment in _unmatched(tenant)]
    upgrade = tenant.open_upgrade
    if upgrade is not None and upgrade.state is State.PAID and upgrade.paid_at is not None:
        times.append(upgrade.paid_at + policy.paid_deadline)
    if upgrade is not None and upgrade.state is State.UNKNOWN and upgrade.claimed_at is not None:
        times.append(upgrade.claimed_at + UNKNOWN_AFTER)
    if tenant.trouble is not None:
        times.append(tenant.trouble.since + UNREACHABLE_AFTER)
    times += [active.since + LONG_EXCEEDED for active in tenant.alerts if active.kind is AlertKind.CAPACITY_EXCEEDED]
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
        yield Condition(AlertKind.CAPACITY_EXCEEDED, _how_bad(case), data, calm=CALM)
    known = next((active for active in tenant.alerts if active.kind is AlertKind.NEAR_CAPACITY), None)
    level = _level(used, capacity, policy.warn_at, known.level if known else 0)
    if level:
        # What is over is near, too; one message says both. The seats kept free are there to be filled.
        yield Condition(
            AlertKind.NEAR_CAPACITY, WARNING, {**numbers, "threshold": level}, level=level, calm=CALM, quiet=exceeded
        )
    ahead = forecast(tenant.growth, capacity, case.now)
    if ahead is None or ahead.days_left is None or ahead.days_of_growth < GROWTH_DAYS:
        return
    if ahead.days_left <= FULL_WITHIN_DAYS:
        rate: Data = {"per_day": round(ahead.per_day, 1), "days_left": round(ahead.days_left, 1)}
        quiet = bool(level) or exceeded
        yield Condition(
            AlertKind.FULL_SOON, WARNING, {**numbers, **rate}, level=0 if quiet else 1, calm=DAY, quiet=quiet
        )


def _how_bad(case: Case) -> Severity:
    """Being over capacity is no more than news while an upgrade that mends it is under way, unless that takes long."""
    upgrade = case.tenant.open_upgrade
    mends = (State.REQUESTING, State.AWAITING_APPROVAL, State.AWAITING_PAYMENT, State.INVOICED, State.PAID)
    since = [active.since for active in case.tenant.alerts if active.kind is AlertKind.CAPACITY_EXCEEDED]
    lasts = case.now >= min(since, default=case.now) + LONG_EXCEEDED
    return INFO if upgrade is not None and upgrade.state in mends and not lasts else WARNING


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
            yield Condition(AlertKind.APPROVAL_WANTED, WARNING, about, stamp=upgrade.id, calm=CALM, cooldown=COOLDOWN)
        case State.AWAITING_PAYMENT | State.INVOICED:
            yield Condition(AlertKind.UPGRADE_STARTED, INFO, about, stamp=upgrade.id, calm=CALM, cooldown=COOLDOWN)
        case State.UNKNOWN if upgrade.claimed_at is None or case.now >= upgrade.claimed_at + UNKNOWN_AFTER:
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
    elif trouble.attempts >= UNREACHABLE_ATTEMPTS and case.now >= trouble.since + UNREACHABLE_AFTER:
        severity = CRITICAL if trouble.kind is TroubleKind.CREDENTIALS else WARNING
        yield Condition(AlertKind.CROVVER_UNREACHABLE, severity, data, calm=UNREACHABLE_CALM)


def _payments(case: Case) -> Iterator[Condition]:
    """Money that nothing came of."""
    lost = [
        payment
        for payment in _unmatched(case.tenant)
        if payment.at + UNMATCHED_AFTER <= case.now < payment.at + UNMATCHED_FOR
    ]
    if lost:
        data: Data = {"count": len(lost), "from_at": min(payment.at for payment in lost)}
        newest = max(lost, key=lambda payment: (payment.at, payment.id))
        yield Condition(AlertKind.UNMATCHED_PAYMENT, WARNING, data, stamp=newest.id)
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
    calm = 2 * (policy.credits_every or 0)
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
            severity = CRITICAL if pool.hard else WARNING
            yield Condition(AlertKind.CREDITS_EXHAUSTED, severity, data, key=pool.key, calm=calm)
        if level:
            critical = pool.hard and pool.strain is not None and pool.strain >= HARD_CRITICAL
            yield Condition(
                AlertKind.CREDITS_LOW, CRITICAL if critical else WARNING, {**data, "threshold": level}, pool.key,
                level=level, calm=calm, quiet=pool.exhausted,
            )  # fmt: skip
        # What the plan includes comes back with the next period; credits that were bought do not.
        within = EXPIRY_WITHIN if pool.addon_remaining else RENEWAL_WITHIN
        if pool.next_expiry is not None and case.now <= pool.next_expiry <= case.now + within and pool.total:
            severity = WARNING if pool.addon_remaining else INFO
            yield Condition(
                AlertKind.CREDITS_EXPIRING, severity, {**data, "expires_at": pool.next_expiry}, pool.key,
                stamp=str(pool.next_expiry),
            )  # fmt: skip


def _usage_level(pool: CreditPool, thresholds: Sequence[int], known: int) -> int:
    """The highest usage threshold that is reached, or was and is not yet cleared by 5 points; 0 for none."""
    used = pool.strain
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
    AlertKind.TOO_OLD_FACTS: ("count",),
    AlertKind.DEAD_LETTER: ("count", "queues"),
    AlertKind.STATE_LOST: ("from_at",),
}
"""What the data of each kind holds, for whoever writes its text. Resolved notes add ``since_at``."""
