"""What the client answers with, beside the core's own ``Allocation``, ``Summary``, ``Checkout`` and ``CreditPool``."""

from dataclasses import dataclass

from worker.core.allocation import Allocation, Summary


@dataclass(frozen=True, slots=True)
class AllocationsPage:
    """One page of a tenant's allocations and the summary that came with it."""

    rows: tuple[Allocation, ...]
    summary: Summary
    page: int
    total_pages: int
    has_next: bool


@dataclass(frozen=True, slots=True)
class BulkAllocation:
    """How a bulk-allocate call ended for each user, and the room it left where Crovver says."""

    allocated: tuple[str, ...]
    skipped: tuple[str, ...]
    rejected: tuple[str, ...]
    active_count: int | None = None
    capacity_units: int | None = None
