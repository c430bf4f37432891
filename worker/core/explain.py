"""Plain words: why a checkout was or was not started, for someone who has never seen the code."""

from collections.abc import Mapping

from worker.core.journal import Json
from worker.core.policy import Policy
from worker.core.roster import Counts
from worker.core.tenant import Decision, Rule, Tenant, capacity_of, paid_for_nothing
from worker.core.times import format_instant
from worker.core.upgrade import Closing, State, Upgrade

_RULES: Mapping[Rule, str] = {
    Rule.ENOUGH: "No checkout was started: there are enough seats for everyone who needs one.",
    Rule.NOT_LOOKED: "No checkout was started: Crovver has not been read yet.",
    Rule.NO_SUBSCRIPTION: "No checkout was started: Crovver knows no active subscription of this tenant, so there is "
    "nothing to upgrade. It needs to subscribe first.",
    Rule.UNREACHABLE: "No checkout was started: Crovver could not be read ({trouble}). It is asked again by itself.",
    Rule.LOOK_INCOMPLETE: "No checkout was started: seats kept changing in Crovver while they were read, and money is "
    "only asked for on a complete reading. It is read again by itself.",
    Rule.ALERT_ONLY: "No checkout was started: seats are short, but this worker is set to only alert "
    "(SEATS_UPGRADE_MODE=alert).",
    Rule.WANTS_APPROVAL: "No checkout was started yet: upgrade {upgrade} to {size} seats waits for an operator's "
    "approval. Approve it with `seats approve {upgrade}`.",
    Rule.WAITS_FOR_SWEEP: "No checkout was started: the one for {size} seats waits for a full sweep, because the state "
    "was lost at {lost_at}, and with it what is known of earlier checkouts. Send the rosters, or the events since the "
    "last backup, again; then run `seats sweep`.",
    Rule.STARTED: "A checkout for {size} seats was started (upgrade {upgrade}), because fewer seats were paid for than "
    "are needed.",
    Rule.BEYOND_CAP: "No checkout was started: more seats are needed than may ever be bought "
    "(SEATS_MAX_CAPACITY={cap}). Raise the limit, or remove users.",
    Rule.CAP_REACHED: "No checkout was started: the capacity is already at the most that may be bought "
    "(SEATS_MAX_CAPACITY={cap}); everyone has room, only the seats to keep free are missing.",
    Rule.WAITS_TO_ASK_AGAIN: "No checkout was started yet: the last one ({upgrade}) failed ({reason}). It is asked for "
    "again at {ready_at}.",
    Rule.ASKED_TOO_OFTEN: "No checkout was started: {asks} in a row came to nothing. An operator decides whether to go "
    "on, with `seats retry {upgrade}`.",
    Rule.OPERATOR_CANCELLED: "No checkout was started: an operator cancelled upgrade {upgrade}, and no more seats are "
    "needed than then. To ask again after all: `seats retry {upgrade}`.",
    Rule.OLD_LINK_PAYABLE: "No checkout was started: upgrade {upgrade} may still be paid, and there must not be two "
    "payable links at once. A checkout's link ends by itself a day after it was made, an invoice does not. To go on "
    "before: `seats retry {upgrade}`.",
    Rule.OUTCOME_LOST: "No checkout was started: nobody knows whether the last call ({upgrade}) made an invoice, and "
    "without Stripe's webhooks that can't be found out. Look in Crovver, then: `seats retry {upgrade}`.",
    Rule.ROSTER_REFUSED: "No checkout was started: the full list of users that came in would have removed {removed} of "
    "{of} users, and was refused. Until a list comes that can be believed, nothing is bought. If it is right, send it "
    "again, forced.",
    Rule.CALL_UNDER_WAY: "The checkout call for {size} seats (upgrade {upgrade}) is under way.",
    Rule.CALL_WAITS: "The checkout call of upgrade {upgrade} did not reach Crovver ({reason}), so nothing was bought. "
    "It is tried again by itself.",
    Rule.OUTCOME_UNKNOWN: "No further checkout was started: the call for {size} seats (upgrade {upgrade}) may "
    "or may not have reached Crovver ({reason}). A second call could charge twice, so the worker waits for the "
    "payment's webhook, for the capacity, or for the end of the hold.",
    Rule.AWAITING_PAYMENT: "No further checkout was started: the one for {size} seats (upgrade {upgrade}) waits to be "
    "paid.",
    Rule.PAYMENT_PROCESSING: "No further checkout was started: the one for {size} seats (upgrade {upgrade}) was "
    "completed, and the payment is on its way (a bank debit can take days).",
    Rule.INVOICED: "No further checkout was started: Crovver made an invoice for {size} seats (upgrade {upgrade}), and "
    "the capacity changes when it is paid.",
    Rule.PAID_NOT_APPLIED: "No further checkout was started: the one for {size} seats (upgrade {upgrade}) is paid, and "
    "Crovver does not show the seats yet. If that lasts for more than 15 minutes, ask Crovver's support.",
    Rule.SUPERSEDES: "The open checkout (upgrade {upgrade}, {size} seats) is taken back at Stripe, because more seats "
    "are needed by now. A new one for all of them follows.",
    Rule.WITHDRAWS: "The open checkout (upgrade {upgrade}, {size} seats) is taken back at Stripe: it is no longer "
    "wanted.",
}


def explain(tenant: Tenant, counts: Counts, policy: Policy) -> str:
    """The facts and the rule behind the latest decision, as a short paragraph."""
    decision = tenant.decision
    if decision is None:
        return f"Tenant {tenant.id} has not been looked at yet."
    sentences = [_seats(tenant, counts, policy), _rule(decision)]
    capacity = capacity_of(tenant)
    if (
        decision.rule is Rule.AWAITING_PAYMENT
        and capacity is not None
        and not policy.lacks_room(counts.needed, capacity)
    ):
        sentences.append("It is no longer needed; left unpaid it ends by itself and costs nothing.")
    upgrade = tenant.upgrade
    if upgrade is not None and not upgrade.open:
        sentences.append(_last(upgrade))
    if counts.missing:
        sentences.append(f"{_users(counts.missing)} a seat and {_have(counts.missing)} none in Crovver yet.")
    if counts.orphaned:
        seats, users = ("seat", "is held by a user") if counts.orphaned == 1 else ("seats", "are held by users")
        sentences.append(
            f"{counts.orphaned} {seats} in Crovver {users} who no longer needs one."
            if counts.orphaned == 1
            else f"{counts.orphaned} {seats} in Crovver {users} who no longer need one."
        )
    for upgrade in paid_for_nothing(tenant):
        sentences.append(
            f"Upgrade {upgrade.id} was paid {_on(upgrade.paid_at)} although it was over or no longer needed: look in "
            "Stripe whether that money has to be given back."
        )
    return " ".join(sentences)


def _seats(tenant: Tenant, counts: Counts, policy: Policy) -> str:
    need = f"{_users(counts.needed)} a seat"
    if policy.headroom:
        need += f", {policy.headroom} more are to be kept free"
    if tenant.look is None:
        return f"{need}; what Crovver has is not known yet."
    summary = tenant.look.summary
    held = f"{summary.active_count} of {summary.capacity_units} paid seats"
    return f"{need}; {held} taken in Crovver when it was last read, {format_instant(tenant.look.at)}."


def _rule(decision: Decision) -> str:
    inputs = {name: _shown(name, value) for name, value in decision.inputs.items()}
    return _RULES[decision.rule].format_map(_Blank(inputs))


def _last(upgrade: Upgrade) -> str:
    about = f"The latest upgrade ({upgrade.id}, to {upgrade.new_capacity} seats)"
    match upgrade.state:
        case State.CONFIRMED:
            return f"{about} was confirmed: Crovver shows the seats."
        case State.CANCELLED:
            by = "by an operator" if upgrade.closing is Closing.OPERATOR else "because it was no longer needed"
            return f"{about} was cancelled {by}."
        case State.EXPIRED:
            return f"{about} expired unpaid."
        case _:
            reason = upgrade.reason or "its outcome never became known"
            return f"{about} failed: {reason}."


class _Blank(dict[str, str]):
    """Stands in for an input that a decision of an earlier release did not keep."""

    def __missing__(self, key: str) -> str:
        return "?"


def _shown(name: str, value: int | str | None) -> str:
    if name.endswith("_at") and isinstance(value, int):
        return format_instant(value)
    return "no reason given" if value is None else str(value)


def _users(number: int) -> str:
    return "1 user needs" if number == 1 else f"{number} users need"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _on(at: int | None) -> str:
    return f"at {format_instant(at)}" if at is not None else "at some time"


def describe_note(note: Mapping[str, Json]) -> str:
    """One journal entry as one line of plain words."""
    match note.get("kind"):
        case "facts":
            return _facts(note)
        case "roster":
            about = f"a full user list of {note.get('users')} users"
            if note.get("refused"):
                return f"{about} was refused: it would have removed {note.get('removed')} users"
            return f"{about} came in" + ("" if note.get("applied") else ", older than the one that is known")
        case "payment":
            whose = f"about upgrade {note.get('upgrade')}" if note.get("upgrade") else "about no upgrade known here"
            if note.get("foreign"):
                whose = "of the other mode (live against test); it changes nothing"
            return f"Stripe said: checkout {note.get('event')} ({note.get('status') or 'no status'}), {whose}"
        case "operator":
            done = "" if note.get("applied") else ", which did not fit its state any more"
            return f"an operator chose to {note.get('action')} upgrade {note.get('upgrade')}{done}"
        case "hint":
            return f"a reason to look: {note.get('source')}"
        case "look":
            return f"Crovver showed {note.get('active')} of {note.get('capacity')} seats taken"
        case "trouble":
            return f"Crovver could not be read: {note.get('message')}"
        case "decision":
            rule = str(note.get("rule")).replace("_", " ")
            capacity = "unknown" if note.get("capacity") is None else note.get("capacity")
            return f"decided: {rule} (needed {note.get('needed')}, capacity {capacity})"
        case "upgrade":
            before = f" (was {note.get('before')})" if note.get("before") else ""
            return f"upgrade {note.get('id')} is {note.get('after')}{before}: {note.get('why')}"
        case "call":
            return f"called Crovver for a checkout of {note.get('new_capacity')} seats (upgrade {note.get('upgrade')})"
        case "unreadable":
            return f"{note.get('count')} facts that this release can't read were set aside"
        case "too_old":
            return f"{note.get('count')} users were not believed to have changed: too old to tell from what was dropped"
        case "credits":
            return f"credits left: {_pools(note.get('pools'))}"
        case "alert":
            about = f" ({note.get('key')})" if note.get("key") else ""
            over = "is over" if note.get("phase") == "resolved" else str(note.get("severity"))
            return f"alert {str(note.get('alert')).replace('_', ' ')}{about}: {over}"
        case "outcome":
            reason = f": {note.get('reason')}" if note.get("reason") else ""
            ended = {"started": "brought a checkout", "not_sent": "did not reach Crovver", "refused": "was refused"}
            outcome = str(note.get("outcome"))
            return f"the call {ended.get(outcome, f'ended: {outcome}')}{reason}"
        case kind:
            return f"{kind}"


def _pools(pools: Json) -> str:
    if not isinstance(pools, dict) or not pools:
        return "no pools"
    return ", ".join(f"{key} {'?' if left is None else left}" for key, left in pools.items())


def _facts(note: Mapping[str, Json]) -> str:
    events = note.get("events")
    rows = [row for row in events if isinstance(row, list)] if isinstance(events, list) else []
    added = sum(row[0] == "+" and bool(row[4]) for row in rows)
    removed = sum(row[0] == "-" and bool(row[4]) for row in rows)
    stale = len(rows) - added - removed
    parts = [f"{added} added" if added else "", f"{removed} removed" if removed else ""]
    parts.append(f"{stale} that said nothing new" if stale else "")
    return f"user events: {', '.join(part for part in parts if part) or 'none'}"
