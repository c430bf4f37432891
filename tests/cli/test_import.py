"""`seats import`: a full list of users, taken as a whole or not at all."""

from pathlib import Path

import pytest

from tests.cli.conftest import Deployment, Run, with_state
from tests.processes import eventually
from worker.core.facts import RosterFact, RosterUser
from worker.core.times import parse_instant


def facts(url: str) -> list[RosterFact]:
    loaded = with_state(url, lambda store: store.load("acme"))
    return [fact for fact in loaded.facts if isinstance(fact, RosterFact)]


@pytest.mark.parametrize("header", ["userId,email,name", "user_id,EMAIL,Name", "ID,email,name", "User , email , name"])
def test_a_csv_file_names_its_columns(run: Run, redis: str, tmp_path: Path, header: str) -> None:
    file = tmp_path / "roster.csv"
    file.write_text(f'\ufeff{header}\nada,ada@example.com,"Lovelace, Ada"\n\ngrace,,\n', "utf-8")
    outcome = run("import", str(file), "--tenant", "acme", "--as-of", "2026-05-01T10:00:00Z")
    said = "2 users of acme as of 2026-05-01T10:00:00.000Z; 0 that are not among them count as removed\n"
    assert (outcome.code, outcome.out) == (0, said)
    (fact,) = facts(redis)
    assert fact.users == (RosterUser("ada", "ada@example.com", "Lovelace, Ada"), RosterUser("grace"))
    assert fact.at == parse_instant("2026-05-01T10:00:00Z")
    assert not fact.forced


def test_where_tombstones_have_a_lifetime_an_older_list_is_refused(
    run: Run, redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "roster.csv"
    file.write_text("userId\nada\n")
    arguments = ("import", str(file), "--tenant", "acme", "--as-of", "2001-05-01T10:00:00Z")
    monkeypatch.setenv("SEATS_TOMBSTONES_FOR", "90d")
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "--as-of is more than 90 days ago, which SEATS_TOMBSTONES_FOR is set to" in outcome.err
    assert facts(redis) == []
    monkeypatch.delenv("SEATS_TOMBSTONES_FOR")
    assert run(*arguments).code == 0


def test_a_jsonl_file_will_do_too(run: Run, redis: str, tmp_path: Path) -> None:
    file = tmp_path / "roster.jsonl"
    file.write_text('{"userId": "ada", "name": "Ada", "role": "owner"}\n{"id": "grace", "email": null}\n')
    assert run("import", str(file), "--tenant", "acme").code == 0
    assert facts(redis)[0].users == (RosterUser("ada", None, "Ada"), RosterUser("grace"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.csv", "userId\nada\ngrace\nada\n", "line 4: user 'ada' stands in line 2 already"),
        ("r.csv", "name\nada\n", "line 1: no column userId (or user_id, id, user): the first line names the columns"),
        ("r.csv", "userId,name\nada\n", "line 2: has 1 cells where the header has 2"),
        ("r.csv", "userId,name\n,Ada\n", "line 2: userId is missing"),
        ("r.jsonl", '{"userId": 7}\n', "line 1: userId must be text"),
        ("r.jsonl", "ada\n", "line 1: is not JSON"),
        ("r.jsonl", '{"userId": "a"}\n{"user": "a"}\n', "line 2: user 'a' stands in line 1 already"),
        ("r.csv", "", "line 1: no column userId"),
    ],
)
def test_what_is_wrong_with_a_file_names_its_line_and_nothing_is_taken(
    run: Run, redis: str, tmp_path: Path, name: str, text: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    outcome = run("import", str(file), "--tenant", "acme")
    assert outcome.code == 1
    first, last = outcome.err.splitlines()
    assert first.startswith(f"{file}: {said}")
    assert last == f"seats: nothing of {file} was taken: correct it, and import it again"
    assert facts(redis) == []


def test_a_time_in_the_future_is_refused(run: Run, redis: str, tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    file.write_text("userId\nada\n")
    outcome = run("import", str(file), "--tenant", "acme", "--as-of", "2999-01-01T00:00:00Z")
    assert outcome.code == 2
    assert outcome.err.startswith("seats: --as-of is more than 5 minutes in the future: ")


def test_a_list_that_would_remove_most_users_needs_force(run: Run, deployment: Deployment, tmp_path: Path) -> None:
    deployment.tenant("shrinking", capacity=50, taken=30)
    assert run("publish", "added", "--tenant", "shrinking", "--user", "ada").code == 0
    assert eventually(lambda: deployment.shown("shrinking").get("seatsNeeded") == 31)
    file = tmp_path / "roster.csv"
    file.write_text("userId\nada\n")
    refused = run("import", str(file), "--tenant", "shrinking")
    assert refused.code == 1
    assert refused.err == (
        "seats: this roster would remove 30 of the 31 users of shrinking, which is more likely a mistake than a wish: "
        "nothing was taken; if it is meant, import it again with --force\n"
    )
    forced = run("import", str(file), "--tenant", "shrinking", "--force")
    assert forced.code == 0
    assert forced.out.startswith("1 users of shrinking as of ")
    assert eventually(lambda: deployment.shown("shrinking").get("seatsNeeded") == 1)
