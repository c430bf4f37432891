"""The doctor's rules about a server, where a real one of that kind is hard to come by; and how findings are shown."""

import asyncio
import io

import pytest
from rich.console import Console

from worker.cli.doctor import examination, render
from worker.cli.doctor.examination import Check, examine
from worker.cli.doctor.findings import Finding, Verdict, better, fix, good
from worker.cli.doctor.server_facts import ServerFacts
from worker.cli.doctor.server_rules import judged
from worker.cli.doctor.servers import merged

INFO = {"redis_version": "7.2.4", "role": "master", "aof_enabled": 1, "used_memory": 50, "maxmemory": 100}
CONFIG = {"appendfsync": "always", "maxmemory-policy": "noeviction"}


def verdicts(
    info: dict[str, object] | None = None,
    config: dict[str, str] | None = None,
    *,
    ahead: float = 0.0,
    round_trip: float = 0.001,
    replicas: int | None = None,
) -> dict[str, Verdict]:
    """How each subject stands that is not good."""
    facts = ServerFacts({**INFO, **(info or {})}, {**CONFIG, **(config or {})}, ahead, round_trip)
    return {one.subject.removeprefix("redis "): one.verdict for one in judged("redis", facts, replicas) if one.remedy}


def test_a_server_as_it_should_be_has_nothing_to_be_done_about() -> None:
    assert verdicts() == {}


@pytest.mark.parametrize(
    ("ahead", "stands"),
    [
        (0.9, None),
        (-0.9, None),
        (1.0, Verdict.BETTER),
        (-59.0, Verdict.BETTER),
        (60.0, Verdict.FIX),
        (-3600, Verdict.FIX),
    ],
)
def test_clocks_may_differ_by_less_than_a_second_and_must_not_by_a_minute(ahead: float, stands: Verdict | None) -> None:
    assert verdicts(ahead=ahead).get("clock") is stands


@pytest.mark.parametrize(
    ("version", "stands"), [("5.0.14", Verdict.FIX), ("6.0.16", Verdict.FIX), ("6.2.0", None), ("?", Verdict.BETTER)]
)
def test_a_server_needs_the_commands_of_redis_6_2(version: str, stands: Verdict | None) -> None:
    assert verdicts({"redis_version": version}, {"appendfsync": "always"}).get("version") is stands


@pytest.mark.parametrize(
    ("wanted", "there", "stands"),
    [
        (None, 1, None),
        (0, 0, None),
        (0, 1, Verdict.BETTER),
        (1, 1, None),
        (1, 2, Verdict.BETTER),
        (2, 2, None),
        (1, 0, Verdict.FIX),
        (2, 1, Verdict.FIX),
    ],
)
def test_as_many_replicas_as_a_write_waits_for_must_follow(
    wanted: int | None, there: int, stands: Verdict | None
) -> None:
    follow: dict[str, object] = {f"slave{number}": {"state": "online", "lag": 1} for number in range(there)}
    behind = {f"slave{there}": {"state": "wait_bgsave", "lag": 0}, f"slave{there + 1}": {"state": "online", "lag": 9}}
    info = {"connected_slaves": there + 2, **follow, **behind}
    assert verdicts(info, replicas=wanted).get("replicas") is stands


def test_replicas_that_can_not_be_seen_are_asked_for_only_where_writes_wait_for_them() -> None:
    assert verdicts(replicas=0) == {}
    assert verdicts(replicas=1) == {"replicas": Verdict.BETTER}


def test_only_always_is_good_enough_for_the_claim_of_a_purchase() -> None:
    assert verdicts(config={"appendfsync": "everysec"}) == {"durability": Verdict.BETTER}
    assert verdicts(config={"appendfsync": "no"}) == {"durability": Verdict.FIX}


@pytest.mark.parametrize(
    ("info", "config", "stands"),
    [
        ({"aof_last_write_status": "err"}, {}, Verdict.FIX),
        ({"aof_last_bgrewrite_status": "err"}, {}, Verdict.FIX),
        ({}, {"no-appendfsync-on-rewrite": "yes"}, Verdict.BETTER),
    ],
)
def test_an_append_only_file_in_trouble_is_noticed(
    info: dict[str, object], config: dict[str, str], stands: Verdict
) -> None:
    assert verdicts(info, config) == {"durability": stands}


@pytest.mark.parametrize(
    ("used", "stands"), [(74, None), (75, Verdict.BETTER), (89, Verdict.BETTER), (90, Verdict.FIX)]
)
def test_memory_that_runs_out_is_noticed_in_time(used: int, stands: Verdict | None) -> None:
    assert verdicts({"used_memory": used}).get("memory") is stands


def test_a_server_far_away_could_be_nearer() -> None:
    assert verdicts(round_trip=0.05) == {"latency": Verdict.BETTER}


def test_of_a_cluster_each_node_that_is_not_good_is_named_and_what_is_good_is_told_once() -> None:
    def node(policy: Finding) -> list[Finding]:
        return [good("state version", "Valkey 9.1"), policy]

    bad = fix("state eviction", "it evicts", "change it")
    found = merged([("a:1", node(good("state eviction", "fine"))), ("b:2", node(bad)), ("c:3", node(bad))])
    assert [one.seen for one in found] == ["Valkey 9.1", "b:2: it evicts", "c:3: it evicts"]


def test_a_check_that_hangs_or_breaks_is_a_finding_and_the_others_are_not_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.05)

    async def hangs() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks() -> list[Finding]:
        raise RuntimeError("redis://:hunter2@host said no")

    async def works() -> list[Finding]:
        return [good("third", "fine")]

    todo = [Check("first", "A", hangs), Check("second", "B", breaks), Check("third", "C", works)]
    first, second, third = asyncio.run(examine(todo))
    assert (first.verdict, second.verdict, third.verdict) == (Verdict.FIX, Verdict.FIX, Verdict.GOOD)
    assert "longer than 0.05 s" in first.seen
    assert "RuntimeError: redis://***@host said no" in second.seen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=80)
    monkeypatch.setattr(render, "out", lambda: console)
    return screen


def test_a_terminal_gets_a_table_that_fits_with_the_remedy_below(terminal: io.StringIO) -> None:
    render.show([good("redis", "fine"), better("alerts", "[bold]none\x1b[2J", "set one " * 20)])
    rows = terminal.getvalue().splitlines()
    assert rows[0].split() == ["good", "redis", "fine"]
    assert "[bold]none\\x1b[2J" in rows[1]
    assert rows[2].strip().startswith("→ set one set one")
    assert max(map(len, rows)) <= 80
    assert rows[-1] == "0 must be fixed, 1 could be better, 1 good"
