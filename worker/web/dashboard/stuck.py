"""Stuck: an upgrade that has been in its state for longer than that state should last."""

from collections.abc import Mapping
from typing import Final

from worker.core.policy import Policy
from worker.core.times import DAY, MINUTE
from worker.core.upgrade import CHECKOUT_LIFETIME, State

MOST_SHOWN: Final = 20
"""Upgrades of each state that are shown; all are counted."""

WHY: Final = {
    State.UNKNOWN: "nobody knows whether the call reached Crovver",
    State.REQUESTING: "the call to Crovver has not come through",
    State.AWAITING_PAYMENT: "the checkout should be over by now",
    State.PAID: "it is paid, and Crovver does not show the seats",
    State.INVOICED: "the invoice has been unpaid for a week",
}
"""What is wrong with an upgrade that is stuck in a state."""


def waits(policy: Policy) -> Mapping[State, int]:
    """How long an upgrade may be in a state before it counts as stuck (microseconds)."""
    return {
        State.UNKNOWN: 0,
        State.REQUESTING: 5 * MINUTE,
        State.AWAITING_PAYMENT: CHECKOUT_LIFETIME,
        State.PAID: policy.paid_deadline,
        State.INVOICED: 7 * DAY,
    }
