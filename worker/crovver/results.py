"""What the client answers with, beside the core's own ``Allocation``, ``Summary`` and ``Checkout``."""

from dataclasses import dataclass
from enum import StrEnum

from worker.core.allocation import Allocation, Summary


@dataclass(frozen=True, slots=True)
class AllocationsPage:
    """One page of a tenant's allocations and the summary that came with it."""

    rows: tuple[Allocation, ...]
    summary: Summary
    page: int
    total_pages: int
    has_next: bool


class LimitBehavior(StrEnum):
    """What happens to a credit pool at zero."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class CreditPool:
    """What is left of one pool of credits (seed 004).

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


@dataclass(frozen=True, slots=True)
class BulkAllocation:
    """How a bulk-allocate call ended for each user, and the room it left where Crovver says."""

    allocated: tuple[str, ...]
    skipped: tuple[str, ...]
    rejected: tuple[str, ...]
    active_count: int | None = None
    capacity_units: int | None = None
