"""What the web app is given: its store, its secrets, its clock."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from worker.core.policy import Policy
from worker.metrics import Meters
from worker.store.dead_letters import DeadLetters
from worker.store.interface import Store
from worker.telemetry import NoSpans, Spans
from worker.web.guesses import Guesses


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def warning(self, event: str, /, **fields: object) -> object: ...

    def error(self, event: str, /, **fields: object) -> object: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes work with.

    ``ping_broker`` raises where the broker cannot be used; it may be another server than the state's, and
    ``dead_letters`` are on it. A route whose secret is not set does not exist. ``livemode`` is the mode Stripe
    events must be of (None: any). ``settle`` is in microseconds. ``clock`` gives seconds since the epoch.
    """

    store: Store
    ping_broker: Callable[[], Awaitable[None]]
    dead_letters: DeadLetters
    policy: Policy
    clock: Callable[[], float]
    log: Log
    ingest_tokens: tuple[str, ...] = field(default=(), repr=False)
    operator_token: str | None = field(default=None, repr=False)
    stripe_secrets: tuple[str, ...] = field(default=(), repr=False)
    crovver_secret: str | None = field(default=None, repr=False)
    livemode: bool | None = None
    settle: int = 2_000_000
    meters: Meters = field(default_factory=Meters)
    guesses: Guesses = field(default_factory=Guesses)
    spans: Spans = field(default_factory=NoSpans)

    def now(self) -> int:
        """Microseconds since the epoch."""
        return int(self.clock() * 1_000_000)
