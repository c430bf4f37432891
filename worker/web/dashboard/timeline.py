"""An upgrade as a timeline: what happened to it, and what comes next."""

from dataclasses import dataclass

from worker.core.upgrade import Closing, State, Upgrade


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``at`` is None while it has not been taken. ``tone`` is that of a status."""

    what: str
    at: int | None
    tone: str = "good"
    detail: str = ""


_NEXT = {
    State.AWAITING_APPROVAL: "Next: an operator approves it",
    State.REQUESTING: "Next: Crovver answers",
    State.UNKNOWN: "Next: a webhook, the capacity or the end of the hold tells how it ended",
    State.AWAITING_PAYMENT: "Next: the checkout is paid",
    State.INVOICED: "Next: the invoice is paid",
    State.PAID: "Next: Crovver shows the seats",
}
_CLOSED = {
    State.EXPIRED: ("Expired unpaid", "quiet"),
    State.FAILED: ("Failed", "bad"),
    State.CANCELLED: ("Cancelled", "quiet"),
}
_WHY = {
    Closing.SUPERSEDED: "More seats were needed by then.",
    Closing.NEED_GONE: "It was no longer needed.",
    Closing.REFUSED: "Crovver refused it.",
    Closing.NOT_SENT: "The call never reached Crovver.",
    Closing.PAYMENT_FAILED: "The payment failed.",
    Closing.HOLD_OVER: "Its outcome never became known.",
    Closing.OPERATOR: "By an operator.",
    Closing.SESSION_EXPIRED: "Stripe ended the checkout.",
    Closing.LIFETIME_OVER: "A checkout lives for a day.",
}


def timeline(upgrade: Upgrade) -> list[Step]:
    """The steps of an upgrade, in the order they were taken; then the one that is waited for."""
    made = f"{upgrade.needed:,} seats needed, {upgrade.from_capacity:,} paid for"
    steps = [Step(f"Wanted: {upgrade.new_capacity:,} seats", upgrade.created_at, "info", made)]
    if upgrade.approved_at is not None:
        steps.append(Step("Approved by an operator", upgrade.approved_at))
    if upgrade.requested_at is not None:
        calls = f"{upgrade.attempts} tries" if upgrade.attempts > 1 else ""
        steps.append(Step("Crovver was asked for a checkout", upgrade.requested_at, "info", calls))
    if upgrade.completed_at is not None and upgrade.completed_at != upgrade.paid_at:
        steps.append(Step("Checkout completed, the payment on its way", upgrade.completed_at, "info"))
    if upgrade.paid_at is not None:
        steps.append(Step("Paid", upgrade.paid_at))
    if upgrade.confirmed_at is not None:
        steps.append(Step("Confirmed: Crovver shows the seats", upgrade.confirmed_at))
    if upgrade.state in _CLOSED and upgrade.closed_at is not None:
        what, tone = _CLOSED[upgrade.state]
        steps.append(Step(what, upgrade.closed_at, tone, upgrade.reason or _WHY.get(upgrade.closing, "")))
    steps.sort(key=lambda step: step.at or 0)
    if upgrade.state in _NEXT:
        steps.append(Step(_NEXT[upgrade.state], None, "quiet", upgrade.reason or ""))
    return steps
