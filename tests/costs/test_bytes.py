"""What the state holds, in bytes of the server's memory."""

import pytest

from tests.costs.reconciling import Bench, play
from worker.core.roster import Entry, Seat
from worker.core.tenant import Tenant
from worker.store.interface import Commit

USERS = 4_000
MOST_BYTES = 250
REDIS_7_GONE = 280
SHAPES = {
    "seated": Entry(True, 1_780_000_000_000_000, "evt_0123456789abcdef", Seat.ACTIVE, 1_780_000_000_000_001),
    "missing": Entry(True, 1_780_000_000_000_000, "evt_0123456789abcdef"),
    "gone": Entry(False, 1_780_000_000_000_000, "evt_0123456789abcdef", Seat.REMOVED, 1_780_000_000_000_001),
    "named": Entry(
        True, 1_780_000_000_000_000, "evt_0123456789abcdef", Seat.ACTIVE, 1_780_000_000_000_001,
        "ada.lovelace@example.com", "Ada Lovelace",
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_roster_entry_takes_no_more_than_250_bytes(redis_url: str, shape: str) -> None:
    async def scenario(bench: Bench) -> tuple[float, bool]:
        changes = {f"user_0123456789_{number:06}": SHAPES[shape] for number in range(USERS)}
        assert await bench.store.commit(Commit(Tenant("t"), 0, "pas", 0, changes))
        keys = [key async for key in bench.store.client.scan_iter(match=f"{bench.store.keys.tenant('t')}*")]
        sizes = [await bench.store.client.memory_usage(key, samples=0) for key in keys]
        is_valkey = "valkey_version" in await bench.store.client.info("server")
        return sum(size or 0 for size in sizes) / USERS, is_valkey

    taken, is_valkey = play(redis_url, scenario)
    print(f"{shape}: {taken:.0f} bytes")
    # Redis 7.0 keeps sets less tightly than Valkey, and somebody who has left is in two of them.
    assert taken <= (REDIS_7_GONE if shape == "gone" and not is_valkey else MOST_BYTES)
