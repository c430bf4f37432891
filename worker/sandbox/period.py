"""The billing period: how many of its days are left to pay for."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """Periods of ``days`` days that follow one another, one of which ends at ``ends_at``."""

    days: int
    ends_at: datetime

    @classmethod
    def with_days_left(cls, days: int, left: int, now: datetime) -> "BillingPeriod":
        """A period of which ``left`` days remain at ``now``."""
        return cls(days, now + left * _DAY)

    def end_after(self, moment: datetime) -> datetime:
        """The end of the period that ``moment`` lies in."""
        length = self.days * _DAY
        passed = math.floor((moment - self.ends_at) / length) + 1
        return self.ends_at + max(passed, 0) * length if moment >= self.ends_at else self.ends_at

    def days_left(self, moment: datetime) -> int:
        """Days that remain, a begun day counted whole, from 1 to ``days``."""
        return min(self.days, max(1, math.ceil((self.end_after(moment) - moment) / _DAY)))
