"""`seats dead-letters`: seen, shown, handled once more, dropped."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Run
from tests.store.test_dead_letters import Graveyard
from worker.cli import dead_letters
from worker.store.dead_letters import QUEUES


@pytest.fixture
def graveyard(redis: str) -> Iterator[Graveyard]:
    yard = Graveyard(redis)
    yield yard
    yard.client.close()


def test_it_knows_the_queues_that_there_are() -> None:
    assert dead_letters.QUEUES == QUEUES


def test_without_any_it_says_so(run: Run, redis: str) -> None:
    assert run("dead-letters").out == "No dead letters.\n"
    assert json.loads(run("dead-letters", "list", "--json").out) == {"deadLetters": [], "next": None}


def test_they_are_listed_with_what_they_were_and_why_they_died(run: Run, graveyard: Graveyard) -> None:
    trace = "Traceback (most recent call last):\nTypeError: an unexpected keyword argument 'mail'"
    first = graveyard.bury("acme", "user_1", mail="ada@example.com", options={"traceback": trace})
    graveyard.bury_bytes("poison\x1b[2J", b"\x00[red]ada@example.com")
    outcome = run("dead-letters")
    assert outcome.code == 0
    assert first in outcome.out
    assert 'user_added("acme", "user_1", mail="***")' in outcome.out
    assert "TypeError: an unexpected keyword argument 'mail'" in outcome.out
    assert "it can't be decoded" in outcome.out
    assert "\x1b[2J" not in outcome.out
    assert "ada@" not in outcome.out
    shown = run("dead-letters", "show", first)
    assert "Traceback (most recent call last):" in shown.out
    (row,) = [row for row in json.loads(run("dead-letters", "--json").out)["deadLetters"] if row["id"] == first]
    assert (row["queue"], row["actor"], row["args"]) == ("seat-events", "user_added", ["acme", "user_1"])
    assert json.loads(run("dead-letters", "show", first, "--json").out)["traceback"] == trace


def test_a_list_goes_on_where_it_ended(run: Run, graveyard: Graveyard) -> None:
    buried = {graveyard.bury("t", f"u{number}", queue="alerts") for number in range(5)}
    first = json.loads(run("dead-letters", "list", "--queue", "alerts", "-n", "3", "--json").out)
    rest = json.loads(run("dead-letters", "list", "--queue", "alerts", "--json", "--cursor", first["next"]).out)
    assert {row["id"] for row in (*first["deadLetters"], *rest["deadLetters"])} == buried
    assert (len(first["deadLetters"]), rest["next"]) == (3, None)


def test_requeue_and_discard_by_id(run: Run, graveyard: Graveyard) -> None:
    one, two = graveyard.bury("t", "u1"), graveyard.bury("t", "u2")
    assert run("dead-letters", "requeue", one).out == "1 message requeued\n"
    assert [message["args"] for message in graveyard.fetched()] == [["t", "u1"]]
    assert run("dead-letters", "discard", two, "--yes").out == "1 message discarded\n"
    again = run("dead-letters", "discard", two, "--yes")
    assert (again.code, again.err) == (
        1, f"seats: no dead letter {two!r} is known: `seats dead-letters` lists them\n",
    )  # fmt: skip


def test_an_id_that_is_wrong_leaves_the_others_alone(run: Run, graveyard: Graveyard) -> None:
    one = graveyard.bury("t", "u1")
    assert run("dead-letters", "requeue", one, "nonsense").code == 1
    assert graveyard.fetched() == []


def test_all_of_a_queue_or_of_every_one(run: Run, graveyard: Graveyard) -> None:
    for number in range(3):
        graveyard.bury("t", f"u{number}", queue="alerts")
        graveyard.bury("t", f"u{number}")
    assert run("dead-letters", "requeue", "--all", "--queue", "alerts").out == "3 messages requeued\n"
    assert json.loads(run("dead-letters", "discard", "--all", "--yes", "--json").out) == {"discarded": 3}


def test_dropping_asks_first(run: Run, graveyard: Graveyard, answering: Callable[[str], None]) -> None:
    graveyard.bury("t", "u")
    nobody = run("dead-letters", "discard", "--all")
    assert (nobody.code, nobody.err) == (
        2, "seats: this asks before it goes on, and nobody is here to answer: add --yes if you mean it\n",
    )  # fmt: skip
    answering("n")
    refused = run("dead-letters", "discard", "--all")
    assert (refused.code, refused.err) == (1, "Drop 1 message for good? [y/N] seats: nothing was done\n")
    answering("y")
    assert run("dead-letters", "discard", "--all").out == "1 message discarded\n"


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"], ["list", "id"], ["--all"], ["show"], ["show", "--all"], ["requeue"], ["discard", "--yes"],
        ["requeue", "id", "--all"], ["requeue", "id", "--queue", "alerts"], ["--queue", "other"],
        ["--cursor", "nonsense"],
    ],
)  # fmt: skip
def test_what_can_not_be_meant_is_refused_in_a_line(run: Run, redis: str, words: list[str]) -> None:
    outcome = run("dead-letters", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("seats: ")


def test_they_lie_on_the_broker_not_with_the_state(run: Run, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graveyard = Graveyard(redis)
    graveyard.bury("t", "u")
    graveyard.client.close()
    monkeypatch.setenv("SEATS_STATE_URL", "redis://127.0.0.1:1/0")
    assert "user_added" in run("dead-letters").out


def test_a_broker_that_is_away_is_said_in_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", "redis://127.0.0.1:1/0")
    outcome = run("dead-letters")
    assert outcome.code == 1
    assert outcome.err.endswith(": check SEATS_REDIS_URL and that the server runs\n")
