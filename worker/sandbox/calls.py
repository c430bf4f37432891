"""What was called: exact counts, and a bounded history."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from .faults import Endpoint
from .times import now

MAX_HISTORY = 1_000
MAX_TENANTS_COUNTED = 50_000
OTHER_TENANTS = "(other tenants)"


@dataclass(slots=True)
class Call:
    """One call. ``outcome`` is the status it was answered with, or how it was broken, None while under way."""

    number: int
    at: datetime
    endpoint: Endpoint
    method: str
    tenant: str | None
    summary: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    endpoint: Endpoint
    tenant: str | None
    method: str
    count: int


class Calls:
    """Calls are counted as they arrive, before anything can go wrong with them. Counts stay exact for ever, the
    history keeps the latest ``MAX_HISTORY``."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Endpoint, str | None, str]] = Counter()
        self._history: deque[Call] = deque(maxlen=MAX_HISTORY)

    def record(self, endpoint: Endpoint, method: str, tenant: str | None, summary: str) -> Call:
        key = (endpoint, tenant, method)
        if key not in self._counts and len(self._counts) >= MAX_TENANTS_COUNTED:
            key = (endpoint, OTHER_TENANTS, method)
        self._counts[key] += 1
        call = Call(self._counts.total(), now(), endpoint, method, tenant, summary)
        self._history.append(call)
        return call

    def counts(self, endpoint: str | None = None, tenant: str | None = None) -> list[Count]:
        """Counts by endpoint, tenant and method; of one endpoint or tenant if so asked."""
        return [
            Count(*key, count)
            for key, count in self._counts.items()
            if endpoint in (None, key[0]) and tenant in (None, key[1])
        ]

    def history(self, endpoint: str | None = None, tenant: str | None = None) -> list[Call]:
        """The latest calls, oldest first."""
        return [c for c in self._history if endpoint in (None, c.endpoint) and tenant in (None, c.tenant)]

    def clear(self) -> None:
        self._counts.clear()
        self._history.clear()
