"""Policy: what the people who run this worker want bought, and how eagerly."""

from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.retention import Retention
from worker.core.times import HOUR, MINUTE


class Mode(StrEnum):
    """What happens when seats are missing."""

    AUTO = "auto"
    APPROVAL = "approval"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules a decision follows. Durations are microseconds, seats are whole seats.

    ``credits_every`` None leaves credit balances unread.
    """

    mode: Mode = Mode.AUTO
    block: int = 1
    headroom: int = 0
    cap: int | None = None
    warn_at: tuple[int, ...] = (80, 90, 100)
    ambiguous_hold: int = 30 * MINUTE
    sweep_every: int = 15 * MINUTE
    repair: bool = False
    retention: Retention = field(default_factory=Retention)
    credits_warn_at: tuple[int, ...] = (80, 95, 100)
    paid_deadline: int = 15 * MINUTE
    drift_after: int = HOUR
    credits_every: int | None = None

    def __post_init__(self) -> None:
        assert self.block >= 1
        assert self.headroom >= 0
        assert self.cap is None or self.cap >= 1

    def size(self, needed: int) -> int:
        """The capacity to ask for: needed seats and headroom, rounded up to the block, at most the cap."""
        blocks = -(-(needed + self.headroom) // self.block)
        rounded = blocks * self.block
        return rounded if self.cap is None else min(rounded, self.cap)

    def lacks_room(self, needed: int, capacity: int) -> bool:
        """An upgrade is due when needed seats and headroom do not fit the capacity."""
        return needed + self.headroom > capacity

    def beyond_cap(self, needed: int) -> bool:
        """More seats are needed than may ever be bought."""
        return self.cap is not None and needed > self.cap


@dataclass(frozen=True, slots=True)
class Powers:
    """What this deployment is able to learn and do about payments."""

    stripe_webhooks: bool = False
    stripe_key: bool = False
