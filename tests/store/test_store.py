"""What every store promises, on every store there is."""

import asyncio
import itertools
import re
from dataclasses import replace

import pytest

from tests.store.conftest import Play
from worker.core.checkout import Checkout
from worker.core.facts import (
    AllocateFact,
    CallOutcome,
    CheckoutFact,
    Fact,
    HintFact,
    Membership,
    OperatorAction,
    OperatorFact,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    RosterUser,
    SessionFact,
    UserFact,
)
from worker.core.journal import Note, NoteKind
from worker.core.roster import Counts, Entry, Seat, Standing
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State, Upgrade
from worker.store.codec import encode_fact
from worker.store.errors import InboxFull
from worker.store.interface import Commit, Store, Wake
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

SECOND = 1_000_000

FACTS: list[Fact] = [
    UserFact("user_1", Membership.ADDED, 1_700_000_000_000_123, "evt_1", "a@example.com", "Ада 🙂"),
    UserFact("user_2", Membership.REMOVED, 1_700_000_000_000_124, "evt_2"),
    RosterFact((RosterUser("user_1"), RosterUser("user_3", "c@example.com")), 5, "ros_1", forced=True),
    PaymentFact(PaymentEvent.COMPLETED, "cs_1", 7, "evt_s", "paid", True, "seat_proration", ("t", "p"), True),
    OperatorFact(OperatorAction.APPROVE, "upg_1", 8, "op_1"),
    HintFact("crovver", 9, "hint_1"),
    CheckoutFact("upg_1", "clm_1", CallOutcome.STARTED, 10, "out_1",
                 Checkout("p", "https://pay/cs_1", True, 17.5, {"a": "b"}, "m")),
    SessionFact("upg_1", 11, "out_2", open=True, session="cs_1", url="https://pay/cs_1"),
    AllocateFact(CallOutcome.UNKNOWN, 12, "out_3", ("a",), ("b",), "why"),
]  # fmt: skip


def entry(needs: bool, seat: Seat = Seat.NONE) -> Entry:
    return Entry(needs, 1, "evt", seat, 1, "a@example.com", None)


def upgrade(ident: str, state: State, created_at: int = 1) -> Upgrade:
    return Upgrade(ident, state, new_capacity=13, from_capacity=10, needed=13, created_at=created_at)


def test_a_tenant_never_heard_of_is_an_empty_record_of_version_zero(play: Play) -> None:
    async def scenario(store: Store) -> None:
        loaded = await store.load("nobody")
        assert (loaded.tenant, loaded.version, loaded.known) == (Tenant("nobody"), 0, False)
        assert (loaded.facts, loaded.counts, loaded.pending) == ((), Counts(), 0)

    play(scenario)


def test_facts_come_back_as_they_went_in_and_in_order(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": FACTS[:4], "other": [FACTS[0]]})
        await store.append({"t": FACTS[4:]})
        loaded = await store.load("t")
        assert list(loaded.facts) == FACTS
        assert (loaded.read, loaded.pending, loaded.unreadable) == (len(FACTS), len(FACTS), ())

    play(scenario)


@pytest.mark.parametrize("play", ["valkey", "redis", "cluster"], indirect=True)
def test_an_inbox_holds_facts_as_the_first_release_wrote_them(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert isinstance(store, RedisStore)
        await store.append({"t": FACTS}, trace="00-4bf9-00f0-01")
        written = await store.scripts.run(command("LRANGE", store.keys.inbox("t"), 0, -1))
        assert written == [encode_fact(fact) for fact in FACTS]
        assert all(re.match(rb"u\[|[A-Za-z]+Fact \{", item) for item in written)

    play(scenario)


def test_awkward_tenant_and_user_ids_stay_apart(play: Play) -> None:
    async def scenario(store: Store) -> None:
        ids = ["a{b}c", "a}b{c", "{}", "a:b", "a/b", "a b", "ü", "a%7Bb", "index", "🙂" * 60]
        for ident in ids:
            await store.append({ident: [UserFact(ident, Membership.ADDED, 1, ident)]})
        for ident in ids:
            loaded = await store.load(ident)
            assert [fact.id for fact in loaded.facts] == [ident]

    play(scenario)


def test_an_inbox_is_bounded_and_refuses_a_batch_as_a_whole(play: Play) -> None:
    async def scenario(store: Store) -> None:
        facts = [UserFact(f"u{number}", Membership.ADDED, number, f"e{number}") for number in range(998)]
        await store.append({"t": facts})
        with pytest.raises(InboxFull) as refused:
            await store.append({"t": facts[:3]})
        assert refused.value.tenant == "t"
        assert (await store.load("t")).pending == 998

    play(scenario)


def test_a_commit_saves_everything_at_once_and_is_read_back(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": FACTS[:3]})
        tenant = replace(Tenant("t"), reconciled_at=5).with_upgrade(upgrade("upg_1", State.REQUESTING))
        changes: dict[str, Entry | None] = {
            "seated": entry(True, Seat.ACTIVE),
            "missing": entry(True),
            "removed": entry(True, Seat.REMOVED),
            "orphaned": entry(False, Seat.ACTIVE),
            "gone": entry(False),
        }
        notes = [Note(NoteKind.HINT, {"source": "x"}), Note(NoteKind.LOOK, {"active": 1})]
        assert await store.commit(Commit(tenant, 0, "pas_1", 2, changes, notes, at=77, durable=True))
        loaded = await store.load("t")
        assert (loaded.tenant, loaded.version) == (tenant, 1)
        assert loaded.counts == Counts(seated=1, missing=2, orphaned=1, gone=1, removed=1)
        assert loaded.entries == changes
        assert list(loaded.facts) == FACTS[2:3]
        rows, more = await store.journal("t", before=None, limit=10)
        assert [(row["kind"], row["at"]) for row in rows] == [("look", 77), ("hint", 77)]
        assert more is None
        assert sorted(await store.standing("t", Standing.MISSING, 10)) == ["missing", "removed"]

    play(scenario)


def test_counts_follow_an_entry_from_class_to_class_and_out(play: Play) -> None:
    async def scenario(store: Store) -> None:
        steps: list[tuple[dict[str, Entry | None], Counts]] = [
            ({"u": entry(True)}, Counts(missing=1)),
            ({"u": entry(True, Seat.ACTIVE)}, Counts(seated=1)),
            ({"u": entry(False, Seat.ACTIVE)}, Counts(orphaned=1)),
            ({"u": entry(False, Seat.REMOVED)}, Counts(gone=1, removed=1)),
            ({"u": entry(False)}, Counts(gone=1)),
            ({"u": None}, Counts()),
        ]
        for version, (changes, expected) in enumerate(steps):
            assert await store.commit(Commit(Tenant("t"), version, f"pas_{version}", 0, changes))
            assert (await store.load("t")).counts == expected

    play(scenario)


def test_of_two_commits_on_one_version_only_the_first_is_saved(play: Play) -> None:
    async def scenario(store: Store) -> None:
        first, second = replace(Tenant("t"), reconciled_at=1), replace(Tenant("t"), reconciled_at=2)
        assert await store.commit(Commit(first, 0, "pas_1", 0))
        assert not await store.commit(Commit(second, 0, "pas_2", 0, {"u": entry(True)}))
        loaded = await store.load("t")
        assert (loaded.tenant, loaded.version, loaded.counts) == (first, 1, Counts())

    play(scenario)


def test_repeating_a_commit_whose_reply_was_lost_is_harmless(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": FACTS[:3]})
        commit = Commit(Tenant("t"), 0, "pas_1", 1, {"u": entry(True)}, [Note(NoteKind.HINT)])
        assert await store.commit(commit)
        assert await store.commit(commit)
        loaded = await store.load("t")
        assert (loaded.version, loaded.pending) == (1, 2)
        assert len((await store.journal("t", before=None, limit=9))[0]) == 1

    play(scenario)


def test_a_purchase_is_not_saved_over_facts_it_has_not_seen(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": FACTS[:1]})
        loaded = await store.load("t")
        await store.append({"t": FACTS[1:2]})
        commit = Commit(Tenant("t"), loaded.version, "pas_1", loaded.read, unless_newer=True)
        assert not await store.commit(commit)
        assert (await store.load("t")).pending == 2
        assert await store.commit(replace(commit, unless_newer=False))
        assert (await store.load("t")).pending == 1

    play(scenario)


def test_a_hundred_racing_commits_are_saved_one_after_another(play: Play) -> None:
    async def scenario(store: Store) -> None:
        async def one(number: int) -> bool:
            version = (await store.load("t")).version
            await asyncio.sleep(0)
            return await store.commit(Commit(Tenant("t"), version, f"pas_{number}", 0))

        saved = await asyncio.gather(*(one(number) for number in range(100)))
        assert (await store.load("t")).version == sum(saved) >= 1

    play(scenario)


def test_a_due_tenant_is_leased_to_one_scheduler(play: Play) -> None:
    async def scenario(store: Store) -> None:
        names = [f"t{number}" for number in range(20)]
        await store.mark_due(names)
        claims = await asyncio.gather(*(store.claim_due(3, 60 * SECOND) for _ in range(10)))
        wakes = [wake for claimed in claims for wake in claimed.wakes]
        assert sorted(wake.tenant for wake in wakes) == sorted(names)
        assert len({wake.token for wake in wakes}) == len(names)
        assert (await store.claim_due(10, SECOND)).wakes == ()

    play(scenario)


def test_an_append_makes_its_tenant_due_after_the_settle_time(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({"t": FACTS[:1]}, settle=3600 * SECOND)
        claimed = await store.claim_due(10, SECOND)
        assert claimed.wakes == ()
        assert claimed.next_in is not None
        assert 3590 * SECOND < claimed.next_in <= 3600 * SECOND
        await store.append({"t": FACTS[:1]}, settle=7200 * SECOND)
        again = await store.claim_due(10, SECOND)
        assert again.next_in is not None
        assert again.next_in <= claimed.next_in, "the burst counts from its first event"
        await store.append({"t": FACTS[:1]})
        assert [wake.tenant for wake in (await store.claim_due(10, SECOND)).wakes] == ["t"]

    play(scenario)


def test_a_lease_that_ends_makes_its_tenant_due_again_under_a_new_token(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.mark_due(["t"])
        (lost,) = (await store.claim_due(10, 1)).wakes
        await asyncio.sleep(0.01)
        (found,) = (await store.claim_due(10, 60 * SECOND)).wakes
        assert (found.tenant, found.token != lost.token) == ("t", True)
        assert not await store.renew(lost, SECOND)
        assert await store.renew(found, 60 * SECOND)

    play(scenario)


def test_facts_that_come_during_a_reconcile_make_the_tenant_due_after_it(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.mark_due(["t"])
        (wake,) = (await store.claim_due(10, 60 * SECOND)).wakes
        await store.append({"t": FACTS[:1]})
        assert (await store.claim_due(10, SECOND)).wakes == ()
        await store.finish(wake, await store.now() + 3600 * SECOND, Status.OK, [])
        assert [wake.tenant for wake in (await store.claim_due(10, SECOND)).wakes] == ["t"]

    play(scenario)


def test_a_worker_whose_lease_is_over_cannot_end_someone_elses(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.mark_due(["t"])
        (lost,) = (await store.claim_due(10, 1)).wakes
        await asyncio.sleep(0.01)
        (found,) = (await store.claim_due(10, 60 * SECOND)).wakes
        await store.finish(lost, await store.now(), Status.OK, [])
        assert (await store.claim_due(10, SECOND)).wakes == ()
        assert await store.renew(found, 60 * SECOND)
        await store.finish(found, await store.now() + 3600 * SECOND, Status.OK, [])
        assert [wake.tenant for wake in (await store.claim_due(10, SECOND)).wakes] == ["t"], "what it asked for is kept"

    play(scenario)


def test_finishing_without_a_lease_keeps_the_tenant_in_the_due_set(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.finish(Wake("t", ""), await store.now() - 1, Status.OK, [])
        assert [wake.tenant for wake in (await store.claim_due(10, SECOND)).wakes] == ["t"]

    play(scenario)


def test_the_backlog_tells_how_long_the_oldest_tenant_has_waited(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert (await store.backlog()).oldest == 0
        await store.mark_due(["t", "u"], delay=-50 * SECOND)
        backlog = await store.backlog()
        assert (backlog.due, backlog.leased) == (2, 0)
        assert 50 * SECOND <= backlog.oldest < 60 * SECOND
        (wake,) = (await store.claim_due(1, 60 * SECOND)).wakes
        assert (await store.backlog()).oldest >= 50 * SECOND, "being woken is not being served"
        await store.finish(wake, await store.now() + SECOND, Status.OK, [])

    play(scenario)


def test_the_bell_wakes_a_sleeping_scheduler_for_an_earlier_tenant(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.mark_due(["later"], delay=3600 * SECOND)
        await store.wait_bell(0.05)
        sleeping = asyncio.create_task(store.wait_bell(20))
        await asyncio.sleep(0.05)
        started = asyncio.get_running_loop().time()
        await store.append({"t": FACTS[:1]})
        await sleeping
        assert asyncio.get_running_loop().time() - started < 5

    play(scenario)


def test_tenants_are_listed_by_status_and_page_by_page(play: Play) -> None:
    async def scenario(store: Store) -> None:
        names = [f"t{number:02}" for number in range(25)]
        for number, name in enumerate(names):
            status = Status.OK if number % 2 else Status.EXCEEDED
            await store.finish(Wake(name, ""), 1, Status.UPGRADING, [])
            await store.finish(Wake(name, ""), 1, status, [])
        seen: list[str] = []
        while page := await store.tenants(None, seen[-1] if seen else None, 10):
            seen += [row.tenant for row in page]
        assert seen == names
        assert [row.tenant for row in await store.tenants(Status.OK, None, 100)] == names[1::2]
        assert await store.tenants(Status.UPGRADING, None, 100) == []
        assert await store.tenant_count() == 25
        assert await store.known_tenants(["t01", "nobody", "t03"]) == ["t01", "t03"]

    play(scenario)


def test_upgrades_are_listed_newest_first_by_state_and_know_their_tenant(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for number in range(25):
            known = [upgrade(f"upg_{number:02}", State.REQUESTING, number // 3)]
            await store.finish(Wake(f"t{number}", ""), 1, Status.OK, known)
            moved = replace(known[0], state=State.PAID if number % 2 else State.EXPIRED)
            await store.finish(Wake(f"t{number}", ""), 1, Status.OK, [moved])
        seen, cursor = [], None
        while True:
            rows, cursor = await store.upgrades(None, cursor, 4)
            seen += [row.upgrade for row in rows]
            if cursor is None:
                break
        assert seen == [f"upg_{number:02}" for number in reversed(range(25))]
        paid, _ = await store.upgrades(State.PAID, None, 100)
        assert [(row.upgrade, row.tenant) for row in paid][:2] == [("upg_23", "t23"), ("upg_21", "t21")]
        assert (await store.upgrades(State.REQUESTING, None, 100))[0] == []
        assert await store.owner("upg_07") == "t7"
        assert await store.owner("nothing") is None

    play(scenario)


def test_checkouts_lead_to_their_tenant(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.link_checkout(["cs_1", "p-1"], "t")
        assert await store.linked_tenants(["cs_2", "p-1", "cs_1"]) == ["t"]
        assert await store.linked_tenants(["cs_2"]) == []

    play(scenario)


def test_a_parked_payment_is_found_by_any_of_its_names_once_and_forgotten_when_matched(play: Play) -> None:
    async def scenario(store: Store) -> None:
        payment = PaymentFact(PaymentEvent.COMPLETED, "cs_1", 7, "evt_s", "paid", references=("t", "p"))
        assert await store.park(payment)
        assert not await store.park(payment)
        assert await store.parked_for(["p", "cs_1"]) == [payment]
        assert await store.parked_for(["x"]) == []
        assert [parked.fact for parked in await store.parked(10)] == [payment]
        await store.unpark(["evt_s"])
        assert await store.parked_for(["cs_1"]) == []
        assert await store.parked(10) == []

    play(scenario)


def test_the_journal_is_capped_and_read_newest_first_page_by_page(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for number in range(10):
            notes = [Note(NoteKind.HINT, {"source": f"{number}-{index}"}) for index in range(100)]
            assert await store.commit(Commit(Tenant("t"), number, f"pas_{number}", 0, notes=notes))
        seen: list[object] = []
        cursor = None
        while True:
            rows, cursor = await store.journal("t", before=cursor, limit=50)
            seen += [row["source"] for row in rows]
            if cursor is None:
                break
        assert seen[:3] == ["9-99", "9-98", "9-97"]
        assert 300 <= len(seen) <= 500
        assert len(set(seen)) == len(seen)

    play(scenario)


def test_the_fleet_rate_spaces_calls_evenly_after_a_burst(play: Play) -> None:
    async def scenario(store: Store) -> None:
        waits = [await store.take_rate(SECOND, 4 * SECOND) for _ in range(8)]
        assert waits[:4] == [0, 0, 0, 0]
        assert all(0.4 * SECOND < late - early <= 1.01 * SECOND for early, late in itertools.pairwise(waits[5:]))

    play(scenario)


def test_a_roster_too_large_to_read_whole_is_read_by_user(play: Play) -> None:
    async def scenario(store: Store) -> None:
        changes: dict[str, Entry | None] = {f"u{number}": entry(True, Seat.ACTIVE) for number in range(1500)}
        assert await store.commit(Commit(Tenant("t"), 0, "pas_1", 0, changes))
        loaded = await store.load("t")
        assert (loaded.whole, loaded.entries, loaded.counts.seated) == (False, {}, 1500)
        assert await store.entries("t", ["u7", "nobody"]) == {"u7": changes["u7"]}
        assert await store.whole_roster("t") == changes

    play(scenario)


def test_facts_that_cannot_be_read_leave_the_inbox_and_are_kept_apart(single_servers: dict[str, str]) -> None:
    async def scenario(store: RedisStore) -> None:
        written = [b"u[1]", b"TomorrowsFact {}", b"", b"\xff"]
        inbox, apart = store.keys.inbox("t"), store.keys.unreadable("t")
        await store.append({"t": FACTS[:1]})
        for item in written:
            await store.scripts.run(command("RPUSH", inbox, item))
        await store.append({"t": FACTS[1:2]})
        loaded = await store.load("t")
        assert (list(loaded.facts), list(loaded.unreadable), loaded.read) == (FACTS[:2], written, 6)
        notes = [Note(NoteKind.HINT, {"source": "x"})]
        commit = Commit(Tenant("t"), 0, "pas_1", 6, {"u": entry(True)}, notes, set_aside=loaded.unreadable)
        assert await store.commit(commit)
        assert await store.scripts.run(command("LRANGE", apart, 0, -1)) == written
        after = await store.load("t")
        assert (after.pending, after.counts, len((await store.journal("t", before=None, limit=9))[0])) == (
            0,
            Counts(missing=1),
            1,
        )

    async def main() -> None:
        store = RedisStore.from_url(single_servers["valkey"], "unreadable")
        await scenario(store)
        await store.aclose()

    asyncio.run(main())
