"""What is the case with the fleet as a whole, and people should know of."""

from collections.abc import Mapping, Sequence

from worker.core.alert_book import Condition
from worker.core.alert_rules import UNMATCHED_AFTER
from worker.core.alerts import AlertKind, Datum, Severity
from worker.core.times import DAY, MINUTE

CALM = MINUTE
UNMATCHED_AGAIN_AFTER = DAY
"""More payments that match nothing are told of this seldom: where a Stripe account is shared with other products, each
of their sales may be one."""


def fleet_conditions(
    unmatched_since: Sequence[int], dead_letters: Mapping[str, int], now: int, *, lost_at: int | None = None
) -> list[Condition]:
    """The conditions, from when each payment was kept that matches nothing, how many dead letters each queue has, and
    when the state was lost, while purchases wait because of that.

    One more dead letter is news at once, one more payment within a day.
    """
    found = []
    if lost_at is not None:
        data: Mapping[str, Datum] = {"from_at": lost_at}
        found.append(Condition(AlertKind.STATE_LOST, Severity.CRITICAL, data, stamp=str(lost_at)))
    old = [since for since in unmatched_since if since + UNMATCHED_AFTER <= now]
    if old:
        data = {"count": len(old), "from_at": min(old)}
        found.append(
            Condition(
                AlertKind.UNMATCHED_PAYMENT, Severity.WARNING, data, stamp=str(max(old)), calm=CALM,
                cooldown=UNMATCHED_AGAIN_AFTER,
            )
        )  # fmt: skip
    dead = {queue: count for queue, count in dead_letters.items() if count}
    if dead:
        total, queues = sum(dead.values()), ", ".join(f"{queue}: {count:,}" for queue, count in sorted(dead.items()))
        found.append(
            Condition(
                AlertKind.DEAD_LETTER, Severity.WARNING, {"count": total, "queues": queues}, level=total, calm=CALM
            )
        )
    return found
