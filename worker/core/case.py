"""What goes into a decision and what comes out of it."""

from dataclasses import dataclass, field

from worker.core.alerts import Alert
from worker.core.effects import Effect
from worker.core.facts import RosterUser
from worker.core.journal import Note
from worker.core.policy import Policy, Powers
from worker.core.roster import Counts
from worker.core.tenant import Inputs, Rule, Tenant
from worker.core.upgrade import Upgrade


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision may depend on.

    ``missing`` are users that need a seat and have none, longest waiting first, as many as one repair call may carry.
    ``happened`` is what this pass has noted so far. ``fresh`` says that Crovver was read completely in this pass.
    ``new_upgrade`` and ``claim`` are unused identifiers. ``lost_at`` is when the state was lost, while that bars
    purchases; it may be left out until one is about to be made.
    """

    tenant: Tenant
    counts: Counts
    now: int
    policy: Policy
    powers: Powers
    fresh: bool
    new_upgrade: str
    claim: str
    missing: tuple[RosterUser, ...] = ()
    happened: tuple[Note, ...] = ()
    lost_at: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The record to save, the one effect to act on after that, what to journal, and when to look again (at latest).

    ``alerts`` are told once the record is saved, which holds them, too.
    """

    tenant: Tenant
    effect: Effect | None
    look_at: int
    notes: tuple[Note, ...] = field(default=())
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A rule's answer: the upgrade as it becomes (None: none), the effect, and when to look again."""

    rule: Rule
    upgrade: Upgrade | None = None
    effect: Effect | None = None
    look_at: int | None = None
    inputs: Inputs = field(default_factory=dict)
