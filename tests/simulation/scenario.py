"""What a seed decides up front: the deployment, its tenants, and what people and machines will do, and when."""

from dataclasses import dataclass, field
from random import Random

from tests.simulation.kernel import START, stream
from worker.core.policy import Mode, Policy, Powers
from worker.core.retention import Retention
from worker.core.times import DAY, HOUR, MINUTE, SECOND

USERS = [f"user_{number}" for number in range(1, 9)]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens at an instant. ``number`` names it, whatever is left out of the others."""

    number: int
    at: int
    kind: str
    tenant: str

    def __str__(self) -> str:
        return f"{(self.at - START) / SECOND:12.3f} s  {self.kind} ({self.tenant}, #{self.number})"


KINDS = {
    "join": 30, "leave": 12, "again": 5, "old news": 5, "snapshot": 4, "hint": 3, "credits": 2, "approve": 8,
    "cancel": 3, "retry": 4, "stale webhook": 3, "foreign webhook": 1, "expire": 5, "seat in Crovver": 3,
    "unseat in Crovver": 2, "capacity up": 5, "capacity down": 1, "unsubscribe": 1, "unleased wake": 5, "crash": 8,
    "stop": 4, "store down": 3, "store freezes": 2, "store clock": 1, "store fails over": 2, "crovver down": 3,
    "stripe down": 1, "lost messages": 2,
}  # fmt: skip
"""What may happen, and how often beside the rest."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run before it begins."""

    seed: int
    policy: Policy
    powers: Powers
    workers: int
    slots: int
    schedulers: int
    settle: int
    page_size: int
    whole_rosters: int
    facts_at_once: int
    tenants: tuple[str, ...]
    trust_look: int
    clustered: bool
    calm_at: int
    actions: tuple[Action, ...] = field(repr=False)

    @classmethod
    def of(cls, seed: int) -> "Scenario":
        chance = stream(seed, "scenario")
        tenants = tuple(f"t{number}" for number in range(1, chance.choice([1, 1, 1, 2, 3]) + 1))
        length = chance.choices([20 * SECOND, 10 * MINUTE, 2 * HOUR, 28 * HOUR], [14, 14, 6, 1])[0]
        kinds = {kind: weight for kind, weight in KINDS.items() if weight >= 30 or chance.random() < 0.7}
        count = chance.choice([6, 12, 25, 40])
        actions = sorted(
            (_at(chance, length), number, chance.choices(list(kinds), list(kinds.values()))[0], chance.choice(tenants))
            for number in range(count)
        )
        return cls(
            seed=seed,
            policy=Policy(
                mode=chance.choices([Mode.AUTO, Mode.APPROVAL, Mode.ALERT], [7, 3, 1])[0],
                block=chance.choice([1, 1, 2, 3]),
                headroom=chance.choice([0, 0, 1, 2]),
                cap=chance.choice([None, None, 5, 8]),
                ambiguous_hold=chance.choice([30 * MINUTE, 30 * MINUTE, 12 * MINUTE]),
                sweep_every=chance.choice([15 * MINUTE, 6 * HOUR, DAY]),
                repair=chance.random() < 0.3,
                retention=Retention(journal=chance.choice([90 * DAY, HOUR])),
                credits_every=chance.choice([None, None, HOUR]),
            ),
            powers=Powers(stripe_webhooks=chance.random() < 0.8, stripe_key=chance.random() < 0.5),
            workers=chance.choice([1, 2, 2, 3]),
            slots=chance.choice([1, 2, 3]),
            schedulers=chance.choice([1, 1, 2]),
            settle=chance.choice([0, 200_000, 2 * SECOND]),
            page_size=chance.choice([2, 4, 100]),
            whole_rosters=chance.choice([0, 3, 512]),
            facts_at_once=chance.choice([2, 5_000]),
            tenants=tenants,
            trust_look=chance.choice([0, 5 * SECOND, 30 * SECOND, 5 * MINUTE]),
            clustered=chance.random() < 0.3,
            calm_at=START + length + MINUTE,
            actions=tuple(Action(number, at, kind, tenant) for at, number, kind, tenant in actions),
        )


def _at(chance: Random, length: int) -> int:
    """Some instant; often close to some others, because that is where things meet."""
    if chance.random() < 0.5:
        return START + SECOND + chance.randint(0, 3) * length // 4 + chance.randint(0, 3 * SECOND)
    return START + SECOND + chance.randint(0, length)
