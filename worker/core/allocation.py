"""What Crovver shows of a tenant's seats: allocations and the capacity summary (seed 000)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allocation:
    """One row of Crovver's allocations list.

    ``at`` is the instant the row speaks of: ``allocatedAt`` of an active seat, ``removedAt`` of a removed one
    (microseconds; 0 where Crovver gives none).
    """

    user: str
    active: bool
    at: int
    email: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole subscription in a few numbers, as every page carries them.

    ``total`` counts the rows that match the asked status (``pagination.total``), on all pages.
    """

    active_count: int
    capacity_units: int
    exceeded: bool
    total: int
