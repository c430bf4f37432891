"""What a roster snapshot would do, asked before it is taken."""

from dataclasses import dataclass

from worker.core.facts import RosterFact
from worker.core.fold import fold
from worker.core.roster import Roster, count, is_drastic, removed_by
from worker.store.interface import Store


@dataclass(frozen=True, slots=True)
class SnapshotEffect:
    """How many users the snapshot would take the seat of, out of how many that need one."""

    removed: int
    needed: int

    @property
    def drastic(self) -> bool:
        """More likely a mistake than a wish."""
        return is_drastic(self.removed, self.needed)


async def effect_of(store: Store, tenant: str, fact: RosterFact) -> SnapshotEffect:
    """The effect on the state as it will be once the facts that wait are folded in.

    Raises:
        StoreError: the state could not be read.
    """
    loaded = await store.load(tenant)
    entries = loaded.entries if loaded.whole else await store.whole_roster(tenant)
    roster = Roster(count(entries), dict(entries), loaded.tenant.floor, loaded.tenant.kept.horizon)
    fold(loaded.tenant, roster, loaded.facts, loaded.now)
    newer = (fact.at, fact.id) > roster.floor
    return SnapshotEffect(len(removed_by(roster, fact)) if newer else 0, roster.counts().needed)
