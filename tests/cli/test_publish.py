"""`seats publish`: events arrive as given, once, and a bad file sends nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, with_state
from worker.cli.events_file import BATCH
from worker.core.facts import Membership, UserFact
from worker.core.times import parse_instant
from worker.publisher import SeatEvents, StoreUnavailable


def facts(url: str, tenant: str = "acme") -> list[UserFact]:
    """What waits in a tenant's inbox."""
    loaded = with_state(url, lambda store: store.load(tenant))
    return [fact for fact in loaded.facts if isinstance(fact, UserFact)]


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def joins(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"type": "added", "tenant": "acme", "user": f"user_{number}"} for number in range(start, start + count)]


def test_one_event_arrives_as_given(run: Run, redis: str) -> None:
    outcome = run(
        "publish", "added", "--tenant", "acme", "--user", "ada", "--email", "ada@example.com", "--name", "Ada",
        "--id", "evt_1", "--time", "2026-05-01T10:00:00.123Z",
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "published: ada joined acme\n")
    at = parse_instant("2026-05-01T10:00:00.123Z")
    assert facts(redis) == [UserFact("ada", Membership.ADDED, at, "evt_1", "ada@example.com", "Ada")]


def test_a_removal_is_told_as_one(run: Run, redis: str) -> None:
    assert run("publish", "removed", "--tenant", "acme", "--user", "ada").out == "published: ada left acme\n"
    assert facts(redis)[0].membership is Membership.REMOVED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tenant", "acme", "--user", ""], "--user must not be empty"),
        (["--tenant", "a\x1b[31mb", "--user", "u"], "--tenant must not hold control characters, nor only spaces"),
        (["--tenant", "acme", "--user", "u", "--time", "yesterday"], "--time is no time: "),
        (["--tenant", "acme", "--user", "u", "--time", "2999-01-01T00:00:00Z"], "--time is more than 5 minutes in the"),
    ],
)
def test_an_event_that_breaks_a_rule_names_its_option(run: Run, redis: str, arguments: list[str], said: str) -> None:
    outcome = run("publish", "added", *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"seats: {said}")
    assert outcome.err.count("\n") == 1


def test_a_file_may_mix_cloudevents_and_the_short_form(run: Run, redis: str, tmp_path: Path) -> None:
    cloud = {
        "specversion": "1.0", "id": "evt_1", "source": "app", "type": "user.removed", "time": "2026-05-01T10:00:00Z",
        "data": {"tenantId": "acme", "userId": "ada"},
    }  # fmt: skip
    short = {"type": "added", "tenant": "acme", "user": "grace", "name": "Grace", "id": "evt_2", "email": None}
    file = lines(tmp_path / "events.jsonl", cloud, "", short)
    outcome = run("publish", "--file", str(file))
    assert (outcome.code, outcome.out) == (0, f"published 2 events of {file}\n")
    first, second = facts(redis)
    assert (first.user, first.membership, first.id) == ("ada", Membership.REMOVED, "evt_1")
    assert (second.user, second.membership, second.id, second.name) == ("grace", Membership.ADDED, "evt_2", "Grace")


def test_publishing_a_file_again_repeats_its_events_and_makes_no_new_ones(run: Run, redis: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.jsonl", *joins(3))
    run("publish", "--file", str(file))
    run("publish", "--file", str(file))
    sent = facts(redis)
    assert len(sent) == 6
    assert sent[:3] == sent[3:]
    assert len({fact.id for fact in sent}) == 3
    assert sent[0].at < sent[1].at < sent[2].at <= file.stat().st_mtime_ns // 1000 + 3


def test_everything_that_is_wrong_with_a_file_is_said_at_once_and_nothing_is_sent(
    run: Run, redis: str, tmp_path: Path
) -> None:
    rows = joins(BATCH + 5)
    rows[1].pop("user")
    rows[3]["user"] = 7
    rows[4]["type"] = "joined"
    rows[BATCH + 1]["time"] = "soon"
    rows[BATCH + 2]["usr"] = "x"
    file = lines(tmp_path / "events.jsonl", *rows, "{not json", "[]")
    outcome = run("publish", "--file", str(file))
    assert outcome.code == 1
    said = outcome.err.splitlines()
    assert said[0] == f"{file}:2: user is missing"
    assert said[1] == f"{file}:4: user must be text"
    assert said[2] == f"{file}:5: type must be 'user.added' or 'user.removed'"
    assert said[3].startswith(f"{file}:{BATCH + 2}: time is no time: ")
    assert said[4].startswith(f"{file}:{BATCH + 3}: has the unknown member 'usr': known are ")
    assert said[5].startswith(f"{file}:{BATCH + 6}: is not JSON: ")
    assert said[6] == f"{file}:{BATCH + 7}: must be a JSON object"
    assert said[7] == f"seats: 7 lines are bad, so nothing of the file was sent: correct {file} and publish it again"
    assert facts(redis) == []


def test_a_run_that_failed_half_way_is_gone_on_with(
    run: Run, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lines(tmp_path / "events.jsonl", *joins(BATCH * 3))
    publish, calls = SeatEvents.publish, []

    def failing(self: SeatEvents, events: Any) -> int:
        batch = list(events)
        calls.append(len(batch))
        if len(calls) == 2:
            raise StoreUnavailable("it is away")
        return publish(self, batch)

    monkeypatch.setattr(SeatEvents, "publish", failing)
    outcome = run("publish", "--file", str(file))
    assert outcome.code == 1
    assert outcome.err == (
        f"seats: Redis can't be used just now: it is away; {BATCH} events of {file} are sent: run it again to go on\n"
    )
    kept = file.with_name("events.jsonl.progress")
    assert kept.exists()
    outcome = run("publish", "--file", str(file))
    assert outcome.out == f"published {3 * BATCH:,} events of {file}, {BATCH} of them in an earlier run\n"
    assert [fact.user for fact in facts(redis)] == [f"user_{number}" for number in range(3 * BATCH)]
    assert not kept.exists()


def test_progress_of_a_file_that_has_changed_since_does_not_count(run: Run, redis: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.jsonl", *joins(3))
    file.with_name("events.jsonl.progress").write_text(
        json.dumps({"lines": 2, "offset": 20, "events": 2, "digest": "of something else"})
    )
    assert run("publish", "--file", str(file)).out == f"published 3 events of {file}\n"
    assert len(facts(redis)) == 3


def test_in_a_folder_that_cannot_be_written_to_it_publishes_all_the_same(
    run: Run, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lines(tmp_path / "events.jsonl", *joins(3))

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "replace", refuse)
    assert run("publish", "--file", str(file)).code == 0


def test_where_tombstones_have_a_lifetime_an_older_time_is_refused(
    run: Run, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"type": "added", "tenant": "acme", "user": "ada", "time": "2001-05-01T10:00:00Z"}
    file = lines(tmp_path / "old.jsonl", event)
    one = ("publish", "added", "--tenant", "acme", "--user", "ada", "--time", "2001-05-01T10:00:00Z")
    ways = (one, ("publish", "--file", str(file)))
    monkeypatch.setenv("SEATS_TOMBSTONES_FOR", "90d")
    for arguments in ways:
        outcome = run(*arguments)
        assert outcome.code != 0
        assert "time is more than 90 days ago, which SEATS_TOMBSTONES_FOR is set to" in outcome.err
        assert facts(redis) == []
    monkeypatch.delenv("SEATS_TOMBSTONES_FOR")
    assert [run(*arguments).code for arguments in ways] == [0, 0]
    assert len(facts(redis)) == 2


def test_a_file_and_an_event_cannot_be_combined(run: Run, redis: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.jsonl", *joins(1))
    assert run("publish", "added", "--file", str(file)).code == 2


def test_an_empty_file_publishes_nothing(run: Run, redis: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "events.jsonl")
    assert run("publish", "--file", str(file)).out == f"published 0 events of {file}\n"
