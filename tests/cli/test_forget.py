"""`seats forget`: a tenant, or what is personal of one user."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import Deployment, Run, with_state
from tests.cli.test_reading import waiting_for_payment
from tests.processes import eventually
from worker.cli import forget
from worker.core.facts import Membership, UserFact
from worker.core.roster import Entry, Seat
from worker.core.tenant import Status, Tenant
from worker.store.interface import Commit, Wake
from worker.store.redis_store import RedisStore

ENTRY = Entry(False, 1, "evt", Seat.NONE, 0, "ada@example.com", "Ada")


@pytest.fixture
def idle(redis: str) -> str:
    """A tenant with a user who is gone, and nobody at work; the server's URL."""

    async def write(store: RedisStore) -> None:
        await store.commit(Commit(Tenant("idle"), 0, "pas_1", 0, {"ada": ENTRY}))
        await store.finish(Wake("idle", ""), 1 << 52, Status.OK, ())

    with_state(redis, write)
    return redis


def entry_of(url: str, user: str) -> Entry | None:
    async def read(store: RedisStore) -> Entry | None:
        return (await store.entries("idle", [user])).get(user)

    return with_state(url, read)


def test_a_tenant_is_forgotten_and_starts_anew_when_events_come(run: Run, deployment: Deployment) -> None:
    deployment.tenant("forgotten", capacity=9, taken=2)
    run("publish", "added", "--tenant", "forgotten", "--user", "ada")
    assert eventually(lambda: deployment.shown("forgotten").get("seatsNeeded") == 3)
    outcome = run("forget", "forgotten", "--yes")
    assert outcome.code == 0
    assert outcome.out == (
        "tenant forgotten forgotten (3 users, 0 upgrades, 0 waiting facts, its journal); if events for it come later, "
        "it starts anew\n"
    )
    assert deployment.shown("forgotten") == {}
    assert run("forget", "forgotten", "--yes").err == (
        "seats: no tenant 'forgotten' is known: `seats status` lists them\n"
    )
    run("publish", "added", "--tenant", "forgotten", "--user", "bob")
    assert eventually(lambda: deployment.shown("forgotten").get("seatsNeeded") == 3), "bob, and not ada"


def test_while_a_link_may_be_paid_it_takes_force(run: Run, deployment: Deployment) -> None:
    waiting_for_payment(deployment, run, "owing")
    upgrade = deployment.shown("owing")["upgrade"]["id"]
    refused = run("forget", "owing", "--yes")
    assert (refused.code, refused.err) == (
        1,
        f"seats: tenant owing: upgrade {upgrade} is awaiting_payment and may still be paid, and nobody would know "
        f"whose money it is: `seats cancel {upgrade}` first, or wait for its end, or add --force\n",
    )
    assert run("forget", "owing", "--yes", "--force").code == 0
    assert upgrade not in run("upgrades").out


def test_it_asks_first_and_says_what_it_is_about_to_erase(
    run: Run, idle: str, answering: Callable[[str], None]
) -> None:
    assert run("forget", "idle").code == 2
    answering("n")
    outcome = run("forget", "idle")
    assert (outcome.code, outcome.err) == (
        1,
        "Erase tenant 'idle' (1 user, 0 upgrades, 0 waiting facts, its journal) for good? [y/N] "
        "seats: nothing was done\n",
    )
    answering("yes")
    assert run("forget", "idle").code == 0


def test_of_a_user_the_personal_data_goes(run: Run, idle: str, answering: Callable[[str], None]) -> None:
    answering("n")
    assert run("forget", "idle", "--user", "ada").code == 1
    assert entry_of(idle, "ada") == ENTRY
    outcome = run("forget", "idle", "--user", "ada", "--yes")
    assert (outcome.code, outcome.out) == (0, "user ada of idle: personal data erased\n")
    assert entry_of(idle, "ada") == Entry(False, 1, "evt")
    assert run("forget", "idle", "--user", "ada", "--yes").out == "user ada of idle: no personal data was kept\n"
    nobody = run("forget", "idle", "--user", "bob", "--yes")
    assert (nobody.code, nobody.err) == (
        1, "seats: tenant 'idle' knows no user 'bob': look at how its id is written\n",
    )  # fmt: skip


def test_with_facts_that_nobody_folds_in_it_gives_up(run: Run, idle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append(store: RedisStore) -> None:
        await store.append({"idle": [UserFact("ada", Membership.ADDED, 5, "evt_5", "ada@example.com")]})

    with_state(idle, append)
    monkeypatch.setattr(forget, "WAIT_SECONDS", 0.3)
    outcome = run("forget", "idle", "--user", "ada", "--yes")
    assert (outcome.code, outcome.err) == (
        1,
        "seats: facts about user 'ada' wait to be folded in, for 0.3 s by now: try again, and if it stays so, see "
        "whether `seats worker` and `seats scheduler` are running\n",
    )


def test_force_is_not_for_users(run: Run, idle: str) -> None:
    assert run("forget", "idle", "--user", "ada", "--force").code == 2
