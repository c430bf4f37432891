"""Credits: what a tenant's pools hold, as Crovver told it last (seed 004)."""

from dataclasses import dataclass
from enum import StrEnum


class LimitBehavior(StrEnum):
    """What happens to a credit pool at zero."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class CreditPool:
    """What is left of one pool of credits.

    Remaining numbers are negative where a soft limit let usage run over. ``usage_percent`` may pass 100.
    ``next_expiry`` is an instant in microseconds, None where nothing expires or the date can't be read.
    """

    key: str
    name: str
    base_remaining: int | None
    addon_remaining: int | None
    total: int | None
    limit: int | None
    limit_behavior: LimitBehavior | None
    next_expiry: int | None
    usage_percent: int | float | None

    @property
    def hard(self) -> bool:
        """Whether the pool blocks consumption at zero. One that does not say is taken for one that does."""
        return self.limit_behavior is not LimitBehavior.SOFT

    @property
    def used(self) -> float | None:
        """Usage in percent of the period's credits: as Crovver says it, or else from what is left of the limit."""
        if self.usage_percent is not None:
            return float(self.usage_percent)
        if self.limit and self.base_remaining is not None:
            return 100.0 * (self.limit - self.base_remaining) / self.limit
        return None

    @property
    def strain(self) -> float | None:
        """Usage in percent with all that is left counted, add-ons included: how close the pool is to its end."""
        if self.used is None or not self.limit or self.total is None:
            return self.used
        return max(min(self.used, 100.0 - 100.0 * self.total / self.limit), 0.0)

    @property
    def exhausted(self) -> bool:
        """Nothing is left, add-ons included."""
        if self.total is not None:
            return self.total <= 0
        return self.used is not None and self.used >= 100


@dataclass(frozen=True, slots=True)
class Credits:
    """A tenant's pools as read at ``at`` (None: never); none at all where there is no active subscription.

    ``tried_at`` is the last try (0: read them now), and ``trouble`` says what became of it where it brought nothing.
    """

    pools: tuple[CreditPool, ...] = ()
    at: int | None = None
    tried_at: int = 0
    trouble: str | None = None

    def read_at(self, every: int) -> int:
        """When to read them again. Where there is no pool to watch, six times as seldom."""
        return self.tried_at + (every if self.pools or self.trouble else 6 * every)
