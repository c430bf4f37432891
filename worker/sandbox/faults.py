"""Faults asked for over the control API, and which of them a call runs into."""

from dataclasses import dataclass, replace
from enum import StrEnum

MAX_FAULTS = 1_000


class Endpoint(StrEnum):
    """The calls that are counted and can be broken."""

    ALLOCATIONS = "allocations"
    PRORATION_CHECKOUT = "proration-checkout"
    BULK_ALLOCATE = "bulk-allocate"
    COUNT = "count"
    CREDITS = "credits"
    STRIPE = "stripe"


ANY_CROVVER_CALL = "*"


class FaultKind(StrEnum):
    """How a call goes wrong.

    latency: the answer comes ``seconds`` late. 429, 500: as Crovver words them. html: a gateway's page (502).
    302: a redirect to a sign-in page. garbage: 200 and broken JSON. empty: 200 and nothing.
    cut: half of the answer, then the connection closes. lost: the connection closes with no answer at all.
    hang: nothing comes for ``seconds``, then the connection closes.
    """

    LATENCY = "latency"
    TOO_MANY = "429"
    BROKEN = "500"
    HTML = "html"
    CUT = "cut"
    LOST = "lost"
    HANG = "hang"
    REDIRECT = "302"
    GARBAGE = "garbage"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``times`` is how many calls it still meets, None for all of them.

    ``after_commit`` says whether the call is carried out before it goes wrong: a checkout is made although its caller
    never learns of it. ``tenant`` of None means any; ``endpoint`` of ``*`` means every Crovver call, Stripe's not.
    ``status`` replaces the status of an answer that has one.
    """

    endpoint: str
    kind: FaultKind
    tenant: str | None = None
    seconds: float = 0
    retry_after: float | None = None
    status: int | None = None
    times: int | None = 1
    after_commit: bool = False

    def meets(self, endpoint: Endpoint, tenant: str | None) -> bool:
        where = self.endpoint == endpoint or (self.endpoint == ANY_CROVVER_CALL and endpoint is not Endpoint.STRIPE)
        return where and self.tenant in (None, tenant)


class Faults:
    """The faults in force; of those that meet a call, the one asked for first happens."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def listed(self) -> list[Fault]:
        return list(self._faults)

    def add(self, fault: Fault) -> None:
        """Put a fault in force.

        Raises:
            ValueError: too many at once.
        """
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"{MAX_FAULTS:,} faults at most; DELETE /sandbox/faults")
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def take(self, endpoint: Endpoint, tenant: str | None) -> Fault | None:
        """The fault that this call runs into, counted down; None if it runs into none."""
        for index, fault in enumerate(self._faults):
            if not fault.meets(endpoint, tenant):
                continue
            if fault.times is not None:
                left = fault.times - 1
                self._faults[index : index + 1] = [replace(fault, times=left)] if left else []
            return fault
        return None
