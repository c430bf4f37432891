"""The events that everybody is given, and what the rosters must come to, whoever folds them."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.core.facts import Membership, UserFact
from worker.core.times import SECOND, format_instant

BEGAN = 1_780_000_000 * SECOND


@dataclass(frozen=True, slots=True)
class Workload:
    """``events`` of each of ``tenants``: about half as many users join and leave, and some news comes late."""

    tenants: int
    events: int

    @property
    def total(self) -> int:
        return self.tenants * self.events

    def __str__(self) -> str:
        tenants = "1 tenant" if self.tenants == 1 else f"{self.tenants:,} tenants"
        return f"{tenants} of {self.events:,} events"

    def names(self) -> list[str]:
        return [f"workspace_{number:06}" for number in range(self.tenants)]

    def facts(self, tenant: str) -> list[UserFact]:
        """A tenant's events, in the order in which they come. The same each time."""
        chance = random.Random(tenant)
        users = max(self.events // 2, 1)
        found = []
        for number in range(self.events):
            late = chance.randrange(50 * SECOND) if chance.random() < 0.1 else 0
            user = f"user_{chance.randrange(users):08}"
            kind = Membership.ADDED if chance.random() < 0.7 else Membership.REMOVED
            at = BEGAN + number * SECOND - late
            ident = f"evt_{chance.getrandbits(64):016x}"
            found.append(UserFact(user, kind, at, ident, f"{user}@acme.io", "Ada Byron"))
        return found

    def messages(self) -> Iterator[tuple[str, UserFact]]:
        """All events, tenants by turns, as a host app with many tenants would send them."""
        each = [(name, self.facts(name)) for name in self.names()]
        for number in range(self.events):
            for name, facts in each:
                yield name, facts[number]

    def expected(self, tenant: str) -> dict[str, tuple[bool, str]]:
        """User -> whether it needs a seat, and the id of the event that says so: the newest by time and id."""
        newest: dict[str, UserFact] = {}
        for fact in self.facts(tenant):
            known = newest.get(fact.user)
            if known is None or (fact.at, fact.id) > (known.at, known.id):
                newest[fact.user] = fact
        return {user: (fact.membership is Membership.ADDED, fact.id) for user, fact in newest.items()}


def cloud_event(tenant: str, fact: UserFact) -> dict[str, Any]:
    """An event as a host app sends it over HTTP: 235 bytes of JSON."""
    return {
        "specversion": "1.0",
        "id": fact.id,
        "source": "app",
        "type": f"user.{fact.membership}",
        "time": format_instant(fact.at),
        "data": {"tenantId": tenant, "userId": fact.user, "email": fact.email, "name": fact.name},
    }


def event_size() -> int:
    """Bytes of one event as JSON without spaces."""
    load = Workload(1, 1)
    name = load.names()[0]
    return len(json.dumps(cloud_event(name, load.facts(name)[0]), separators=(",", ":")))
