"""Effects: what the engine is to do in the outside world after a verdict has been saved."""

from dataclasses import dataclass

from worker.core.facts import RosterUser


@dataclass(frozen=True, slots=True)
class StartCheckout:
    """Make the checkout call that ``claim`` entitles to."""

    upgrade: str
    claim: str
    new_capacity: int


@dataclass(frozen=True, slots=True)
class ExpireSession:
    """Ask Stripe to expire an upgrade's open session."""

    upgrade: str
    session: str


@dataclass(frozen=True, slots=True)
class CheckSession:
    """Ask Stripe how an upgrade's completed session stands."""

    upgrade: str
    session: str


@dataclass(frozen=True, slots=True)
class FindSession:
    """Search Stripe's sessions for the one whose checkout answer was lost."""

    upgrade: str
    since: int


@dataclass(frozen=True, slots=True)
class Allocate:
    """Record users in Crovver that need a seat and have none."""

    users: tuple[RosterUser, ...]


Effect = StartCheckout | ExpireSession | CheckSession | FindSession | Allocate
