"""`seats what-if` on the demo's journal, against numbers worked out here from the demo's scenario alone."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from rich.console import Console

from tests.cli.conftest import Run
from worker.cli.demo.narrator import Narrator
from worker.cli.demo.play import Play
from worker.cli.demo.scenario import read_scenario
from worker.cli.demo.stage import Stage
from worker.cli.stopping import StopRequests
from worker.embedded import EmbeddedServer
from worker.settings import shipped_config
from worker.store.redis_store import RedisStore


@pytest.fixture(scope="module")
def played_demo() -> Iterator[str]:
    """A server with all that a demo left behind, and nobody at work on it."""
    scenario = read_scenario(shipped_config("demo.toml"))
    with EmbeddedServer() as kept, redis.Redis.from_url(kept.url) as copy:
        with StopRequests() as requests, Stage(scenario.settle_seconds, requests) as stage:
            play = Play(stage, Narrator(Console(quiet=True)), scenario.patience)
            for actor in scenario.tenants:
                play.play(actor)
            with redis.Redis.from_url(stage.redis_url) as client:
                for key, value in dumped(client).items():
                    copy.restore(key, 0, value)
        yield kept.url


def dumped(client: Any) -> dict[bytes, bytes]:
    """Every key and its value."""
    pairs = ((key, client.dump(key)) for key in client.scan_iter("*"))
    return {key: value for key, value in pairs if value is not None}


@pytest.fixture
def demo(played_demo: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SEATS_REDIS_URL", played_demo)
    monkeypatch.setenv("SEATS_STRIPE_WEBHOOK_SECRETS", "whsec_example")
    return played_demo


def scenario_tenants() -> list[dict[str, Any]]:
    with shipped_config("demo.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["tenants"]
    return found


def expected(block: int, headroom: int, cap: int | None = None) -> dict[str, tuple[int, int, int]]:
    """Checkouts, seats bought and seats at the end of each tenant, worked out from who joins in the scenario.

    All of a tenant's people join before it buys, so it needs one purchase at most; where the scenario lets a checkout
    expire, the same seats are asked for once more.
    """
    numbers = {}
    for tenant in scenario_tenants():
        capacity = tenant["capacity"]
        needed = tenant["taken"] + sum(step["users"] for step in tenant["steps"] if step["do"] == "join")
        blocks = (needed + headroom + block - 1) // block
        size = min(blocks * block, cap or blocks * block)
        buys = needed + headroom > capacity and size > capacity and (cap is None or needed <= cap)
        expiries = sum(step["do"] == "expire" for step in tenant["steps"])
        bought = size - capacity if buys else 0
        numbers[tenant["id"]] = ((1 + expiries) if buys else 0, bought, capacity + bought)
    return numbers


def asked(run: Run, *arguments: str) -> dict[str, Any]:
    outcome = run("what-if", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def main_numbers(column: dict[str, Any]) -> tuple[int, int, int]:
    return column["checkouts"], column["seatsBought"], column["seatsAtTheEnd"]


@pytest.mark.parametrize(("block", "headroom", "cap"), [(1, 0, None), (5, 2, None), (50, 0, None), (1, 3, 100)])
def test_the_demos_journal_gives_what_arithmetic_gives(
    run: Run, demo: str, block: int, headroom: int, cap: int | None
) -> None:
    policy = f"block={block},headroom={headroom}" + (f",cap={cap}" if cap else "")
    found = asked(run, "--policy", policy)
    wanted = expected(block, headroom, cap)
    assert {row["tenantId"]: main_numbers(row["whatIf"]) for row in found["tenants"]} == wanted
    assert main_numbers(found["whatIf"]) == tuple(sum(column) for column in zip(*wanted.values(), strict=True))
    confirmed = sum(seats > 0 for _, seats, _ in wanted.values())
    assert found["whatIf"]["alerts"].get("payment_confirmed", 0) == confirmed
    assert found["whatIf"]["alerts"].get("beyond_cap", 0) == (1 if cap else 0)


def test_beside_it_stands_what_happened(run: Run, demo: str) -> None:
    """As the scenario says it ends, and as its replay has it, too."""
    found = asked(run, "--policy", "block=5")
    happened = {row["tenantId"]: main_numbers(row["happened"]) for row in found["tenants"]}
    ends = {
        tenant["id"]: (
            tenant["expect"]["checkout_calls"],
            tenant["expect"]["capacity"] - tenant["capacity"],
            tenant["expect"]["capacity"],
        )
        for tenant in scenario_tenants()
    }
    assert happened == ends
    assert found["replayDiffers"] == []
    assert found["replayed"] == found["happened"]
    assert found["policy"]["block"] == 1
    assert found["otherPolicy"]["block"] == 5


def test_only_alerting_would_have_bought_nothing(run: Run, demo: str) -> None:
    column = asked(run, "--policy", "mode=alert")["whatIf"]
    assert main_numbers(column) == (0, 0, sum(tenant["capacity"] for tenant in scenario_tenants()))


def test_the_table_shows_the_same_numbers(run: Run, demo: str) -> None:
    said = run("what-if", "--policy", "block=5,headroom=2").out
    rows = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    checkouts, seats, capacity = (sum(column) for column in zip(*expected(5, 2).values(), strict=True))
    assert rows["checkouts"][-1] == str(checkouts)
    assert rows["seats bought"][-1] == str(seats)
    assert rows["seats at the end"][-1] == str(capacity)
    assert said.startswith("6 tenants, ")
    assert "Replayed as it is, the past comes out as it was." in said
    assert "Assumed:" in said


def test_one_tenant_and_a_part_of_its_time(run: Run, demo: str) -> None:
    found = asked(run, "--policy", "headroom=2", "--tenant", "globex")
    assert [row["tenantId"] for row in found["tenants"]] == ["globex"]
    assert main_numbers(found["whatIf"]) == (1, 5, 15)
    lately = asked(run, "--policy", "headroom=2", "--tenant", "globex", "--since", "1s")
    assert main_numbers(lately["happened"]) == (0, 0, 13)
    assert lately["whatIf"]["checkouts"] == 1  # paid when a second is over, if the demo's payer was as slow


def test_it_changes_nothing(run: Run, demo: str) -> None:
    with redis.Redis.from_url(demo) as client:
        before = dumped(client)
        assert len(before) > 6
        run("what-if", "--policy", "block=7,mode=approval,warn_at=50/60")
        assert dumped(client) == before


def test_it_asks_the_store_for_nothing_but_reads(run: Run, demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = set()
    for name in [name for name in dir(RedisStore) if not name.startswith("_")]:
        known = getattr(RedisStore, name)
        if not callable(known) or name in ("from_url", "aclose"):
            continue

        def spied(*arguments: Any, _name: str = name, _known: Any = known, **named: Any) -> Any:
            called.add(_name)
            return _known(*arguments, **named)

        monkeypatch.setattr(RedisStore, name, spied)
    run("what-if", "--policy", "block=7")
    assert called == {"now", "tenants", "tenant_count", "load", "journal"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "blok=5"], "--policy 'blok' is no part of a policy: use block, headroom, cap"),
        (["--policy", "block"], "--policy 'block' is not name=value: write it like block=5,headroom=2"),
        (["--policy", "block=5,"], "--policy '' is not name=value"),
        (["--policy", "block=0"], "--policy block must be a whole number from 1 to 1,000,000, not '0'"),
        (["--policy", "headroom=-1"], "--policy headroom must be a whole number from 0"),
        (["--policy", "cap=lots"], "--policy cap must be a whole number"),
        (["--policy", "cap=5,max_capacity=6"], "--policy 'max_capacity' is given twice"),
        (["--policy", "mode=never"], "--policy mode must be one of auto, approval, alert"),
        (["--policy", "warn_at=90/80"], "--policy warn_at must rise"),
        (["--policy", "block=5", "--since", "soon"], "--since must be a duration, not 'soon'"),
        ([], "missing option '--policy'"),
    ],
)
def test_what_can_not_be_meant_is_told_in_a_line(run: Run, demo: str, arguments: list[str], said: str) -> None:
    outcome = run("what-if", *arguments)
    assert outcome.code == 2
    assert outcome.err.lower().startswith(f"seats: {said}".lower())
    assert outcome.err.count("\n") == 1


def test_a_tenant_that_nobody_knows_and_a_state_with_none(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", redis_url)
    unknown = run("what-if", "--policy", "block=5", "--tenant", "nobody")
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)
    assert "no tenant 'nobody' is known" in unknown.err
    empty = run("what-if", "--policy", "block=5")
    assert (empty.code, empty.err) == (1, "seats: there is nothing to replay: no tenant has been reconciled yet\n")


def test_a_cap_can_be_taken_away(run: Run, demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_MAX_CAPACITY", "20")
    found = asked(run, "--policy", "cap=none")
    assert (found["policy"]["cap"], found["otherPolicy"]["cap"]) == (20, None)
    assert main_numbers(found["whatIf"]) == main_numbers(found["happened"])
    # Under the policy of today some of it would not have been bought: the replay says so instead of hiding it.
    assert set(found["replayDiffers"]) >= {"everest", "hooli"}
