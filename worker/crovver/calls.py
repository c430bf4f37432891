"""What the client tells of each HTTP attempt, for metrics, and the seams it is given."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol


class Endpoint(StrEnum):
    """The calls, by the last words of their paths; the value labels metrics and errors."""

    ALLOCATIONS = "allocations"
    PRORATION_CHECKOUT = "proration-checkout"
    CREDITS_BALANCE = "credits-balance"
    BULK_ALLOCATE = "bulk-allocate"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP attempt. ``outcome`` is ``ok``, ``cancelled`` or a ``CrovverError.outcome``; no tenant, no secret."""

    endpoint: Endpoint
    outcome: str
    status: int | None
    seconds: float


class Limiter(Protocol):
    """The rate the whole fleet keeps towards Crovver."""

    async def acquire(self) -> None:
        """Return when one more call may be made."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a read is tried. Seconds.

    A ``Retry-After`` up to ``patience`` is waited for, a longer one is the caller's business.
    """

    attempts: int = 3
    wait: float = 0.25
    wait_max: float = 2.0
    jitter: float = 0.25
    patience: float = 5.0
    total: float = 45.0


DEFAULT_RETRIES: Final = Retries()
