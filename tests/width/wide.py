"""What rows of width have in common: which processes run, under which load, and what must hold at the end."""

from collections.abc import Callable, Sequence
from typing import Final

from tests.storm.harness import Storm
from tests.storm.row import Reckoning, Row
from tests.width.cluster import Cluster, slots_of
from worker.embedded import EmbeddedServer
from worker.store.keys import CLUSTER_SHARDS, Keys

PROCESSES: Final = ("web", "worker", "worker2", "scheduler", "scheduler2")
KEYS: Final = Keys("seats", CLUSTER_SHARDS)
ROOMY: Final = 10_000
OPEN: Final = ("awaiting_approval", "requesting", "unknown", "awaiting_payment", "invoiced", "paid")
"""States of an upgrade that is under way."""


def load(storm: Storm, make_row: Callable[..., Row], *, tenants: int = 40, publishers: int = 4) -> Row:
    """A row of many tenants, every second of which has room for all who join; the others need upgrades."""
    row = make_row(storm, tenants=tenants, publishers=publishers, pause=0.05)
    for tenant in row.tenants[::2]:
        storm.crovver.workspaces[tenant].capacity = ROOMY
    return row


def slots_in_use(tenants: Sequence[str]) -> set[int]:
    """The slots of these tenants, of all shards of the index, and of what there is one of."""
    ones = [KEYS.mark, KEYS.rate, KEYS.ping, KEYS.parked("by"), KEYS.alerts("posted"), KEYS.meters("counts")]
    return slots_of([*map(KEYS.record, tenants), *KEYS.indexes("due"), *ones])


def busiest(state: Cluster, tenants: Sequence[str]) -> list[EmbeddedServer]:
    """The primaries by how many of the slots in use they have, most first."""
    used = slots_in_use(tenants)
    return sorted(state.primaries(), key=lambda one: len(used & state.slots_had_by(one)), reverse=True)


def weathered(row: Row, seconds: float = 90) -> Reckoning:
    """The end of a row: nothing lost, nothing doubled, as everywhere; and the index agrees with the records, nobody was
    started anew, and nobody took the state for a lost one."""
    found = row.weathered(seconds)
    deployment = row.storm.deployment
    listed: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = deployment.get("/v1/tenants?limit=200" + (cursor and f"&cursor={cursor}"))
        listed += [one["tenantId"] for one in page["tenants"]]
        cursor = page["next"]
    published = {tenant for tenant in row.tenants if deployment.tenant(tenant)}
    assert published <= set(listed), f"not listed: {published.difference(listed)}"
    assert len(listed) == len(set(listed)), "listed twice"
    under_way = {state: deployment.get(f"/v1/upgrades?state={state}")["upgrades"] for state in OPEN}
    assert not any(under_way.values()), f"listed as under way: {under_way}"
    lost = [name for name in deployment.processes if "the state was lost" in row.storm.log(name)]
    assert not lost, f"taken for a loss of state by {lost}"
    return found
