"""What if: a tenant's past beside itself under another policy. Pure; nothing is called."""

from dataclasses import dataclass

from worker.core.figures import Figures, Meter
from worker.core.history import History
from worker.core.policy import Policy, Powers
from worker.core.replay import Replay

ASSUMPTIONS = (
    "Who needs a seat and who holds one is as it was, and so is when Crovver could be read.",
    "The capacity changes by as much as it did wherever that was no upgrade's doing.",
    "A tenant's n-th checkout fares as its n-th did: answered, paid, expired after the same time. One beyond those is "
    "paid as fast as its own were on median, at once where it paid none.",
    "Approvals are given likewise: the n-th as the n-th was, others after the median time, at once where none was.",
)
"""What a replay takes over from the past as it was, and what it imagines. A checkout that is taken back at Stripe is
taken back at once."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What happened, the same replayed under the policy of today, and under the other one.

    Where the first two differ, the replay does not explain what happened (settings that have changed since, say), and
    the third is to be trusted no further.
    """

    happened: Figures
    replayed: Figures
    other: Figures


def what_if(history: History, present: Policy, other: Policy, powers: Powers) -> WhatIf:
    """A tenant's past beside itself under another policy."""
    return WhatIf(
        happened(history),
        Replay(history, present, present, powers).play(),
        Replay(history, other, present, powers).play(),
    )


def happened(history: History) -> Figures:
    """What the journal tells, counted."""
    meter = Meter(history.start)
    for instant in history.instants:
        meter.run(instant.at)
        meter.stand(instant.needed, instant.capacity)
    meter.run(history.until)
    seats = sum(instant.bought for instant in history.instants)
    return meter.figures(len(history.fates), seats, (raised.kind for raised in history.raised))
