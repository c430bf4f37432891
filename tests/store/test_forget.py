"""Forgetting: a tenant without a trace, and one user's personal data, on every store there is."""

import asyncio
from dataclasses import replace

import pytest
import redis

from tests.store.conftest import Play
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.checkout import Checkout
from worker.core.facts import (
    CallOutcome,
    CheckoutFact,
    Fact,
    HintFact,
    Membership,
    PaymentEvent,
    PaymentFact,
    RosterFact,
    RosterUser,
    UserFact,
)
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry, Seat
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State, Upgrade
from worker.store import memory, tenants
from worker.store.forget import MayBePaid, TenantBusy, forget, forget_user
from worker.store.interface import Commit, Order, Store, Wake
from worker.store.redis_store import RedisStore
from worker.store.scripts import command

SECOND = 1_000_000
CANARY = "canary-tenant"
USER = "canary-user"
UPGRADE = "upg_canary"


def upgrade(ident: str = UPGRADE, state: State = State.CONFIRMED, **changes: object) -> Upgrade:
    made = Upgrade(
        ident, state, new_capacity=13, from_capacity=10, needed=13, created_at=1, requested_at=1,
        checkout=Checkout(f"prr_{ident}", f"https://pay/cs_{ident}", True), session=f"cs_{ident}",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def alert(tenant: str, serial: int) -> Alert:
    return Alert(serial, tenant, AlertKind.DRIFT, Severity.CRITICAL, Phase.RAISED, 1)


def payment(ident: str, *references: str) -> PaymentFact:
    return PaymentFact(PaymentEvent.COMPLETED, f"cs_{ident}", 7, ident, "paid", references=references)


async def settle(store: Store, tenant: str, user: str, upgrades: tuple[Upgrade, ...] = ()) -> None:
    """A tenant that has been through a lot."""
    entry = Entry(True, 1, "evt", Seat.ACTIVE, 1, f"{user}@example.com", f"Name of {user}")
    changes: dict[str, Entry | None] = {
        user: entry,
        f"{user}-missing": entry._replace(seat=Seat.NONE),
        f"{user}-orphaned": entry._replace(said=False),
        f"{user}-gone": entry._replace(said=False, seat=Seat.REMOVED),
    }
    notes = [Note(NoteKind.HINT, {"source": user})]
    record = Tenant(tenant, upgrades=upgrades)
    assert await store.commit(Commit(record, 0, "pas_1", 0, changes, notes, set_aside=[f"x {user}".encode()]))
    await store.finish(Wake(tenant, ""), await store.now() + 3600 * SECOND, Status.UPGRADING, upgrades, 80.0)
    older = upgrade(f"{upgrades[0].id}_old", State.EXPIRED) if upgrades else None
    await store.finish(
        Wake(tenant, ""), await store.now() + 3600 * SECOND, Status.OK, [*upgrades, *([older] if older else [])], 90.0
    )
    await store.link_checkout([name for one in upgrades for name in (f"cs_{one.id}", f"prr_{one.id}")], tenant)
    await store.append({tenant: [UserFact(f"{user}-new", Membership.ADDED, 2, "evt_2")]}, settle=3600 * SECOND)
    await store.post_alerts(tenant, [alert(tenant, 1), alert(tenant, 2)])


async def everything(store: RedisStore) -> dict[str, bytes]:
    """Every key of a store's namespace, with its value as bytes."""
    found = {}
    assert isinstance(store.client, redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster)
    async for key in store.client.scan_iter(f"{store.keys.namespace}:*", count=1000):
        name = key.decode()
        kind = (await store.scripts.run(command("TYPE", name))).decode()
        read = {
            "string": ("GET", name), "hash": ("HGETALL", name), "list": ("LRANGE", name, 0, -1),
            "set": ("SMEMBERS", name), "zset": ("ZRANGE", name, 0, -1), "stream": ("XRANGE", name, "-", "+"),
        }[kind]  # fmt: skip
        found[name] = repr(await store.scripts.run(command(*read))).encode()
    return found


def test_of_a_forgotten_tenant_no_trace_is_left_and_of_another_everything(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER, (upgrade(),))
        await store.park(payment("evt_canary", CANARY))
        await store.park(payment("evt_shared", CANARY, "other"))
        await settle(store, "other", "other-user", (upgrade("upg_other"),))
        before = await everything(store) if isinstance(store, RedisStore) else {}
        assert await forget(store, CANARY)
        loaded = await store.load(CANARY)
        assert (loaded.known, loaded.pending, loaded.counts.needed, loaded.entries) == (False, 0, 0, {})
        assert (await store.journal(CANARY, before=None, limit=9))[0] == []
        assert [row.tenant for row in await store.tenants(None, None, 9)] == ["other"]
        for order in Order:
            page = await store.find_tenants(status=None, prefix="", order=order, offset=0, limit=9)
            assert [row.tenant for row in page.rows] == ["other"]
        assert await store.known_tenants([CANARY, "other"]) == ["other"]
        assert await store.linked_tenants([f"cs_{UPGRADE}", f"prr_{UPGRADE}", "cs_upg_other"]) == ["other"]
        assert (await store.owner(UPGRADE), await store.owner("upg_other")) == (None, "other")
        assert await store.owner(f"{UPGRADE}_old") is None
        assert {row.tenant for row in (await store.upgrades(None, None, 9))[0]} == {"other"}
        assert {row.alert.tenant for row in (await store.alerts(None, 9))[0]} == {"other"}
        assert [parked.fact.id for parked in await store.parked(9)] == ["evt_shared"]
        assert (await store.load("other")).known
        if isinstance(store, RedisStore):
            after = await everything(store)
            left = {
                key
                for key, value in after.items()
                if any(word in key or word.encode() in value for word in (CANARY, USER, UPGRADE))
            }
            # That it was erased is remembered for a day, and the event that names another tenant, too, is that one's.
            assert left == {store.keys.erased(CANARY), store.keys.parked("events")}
            assert 0 < int(await store.scripts.run(command("TTL", store.keys.erased(CANARY)))) <= 86_400
            mine = store.keys.tenant("other")
            assert {key: value for key, value in after.items() if key.startswith(mine)} == {
                key: value for key, value in before.items() if key.startswith(mine)
            }

    play(scenario)


def test_forgetting_what_is_not_known_or_is_forgotten_does_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert not await forget(store, "nobody")
        assert (await store.claim_due(10, SECOND)).wakes == ()
        await settle(store, CANARY, USER)
        assert await forget(store, CANARY)
        assert not await forget(store, CANARY)

    play(scenario)


def test_what_was_interrupted_can_be_ended(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER, (upgrade(),))
        assert await store.erase(CANARY, 1, 1)
        assert await forget(store, CANARY)
        assert await store.tenants(None, None, 9) == []
        assert await store.owner(UPGRADE) is None

    play(scenario)


@pytest.mark.parametrize("version", [0, 1])
def test_a_pass_that_was_under_way_saves_nothing(play: Play, version: int) -> None:
    async def scenario(store: Store) -> None:
        await store.append({CANARY: [UserFact(USER, Membership.ADDED, 2, "evt_2")]})
        if version:
            assert await store.commit(Commit(Tenant(CANARY), 0, "pas_0", 0))
        loaded = await store.load(CANARY)
        late = Commit(loaded.tenant, loaded.version, "pas_late", loaded.read, {USER: Entry(True, 1, "evt")})
        assert await store.erase(CANARY, loaded.version, loaded.pending)
        assert await store.unlist(Wake(CANARY, ""), ())
        assert not await store.commit(late)
        assert (await store.load(CANARY)).erased
        # Not even once the tenant has begun anew, and come as far as it was.
        await store.append({CANARY: [HintFact("x", 1, "hint_1")]})
        for number in range(3):
            anew = await store.load(CANARY)
            assert await store.commit(Commit(Tenant(CANARY), anew.version, f"pas_{number}", anew.read))
            assert not await store.commit(late)
        assert (await store.load(CANARY)).known
        assert (await store.load(CANARY)).entries == {}

    play(scenario)


def test_a_tenant_that_began_anew_is_kept(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        await forget(store, CANARY)
        anew = await store.load(CANARY)
        assert await store.commit(Commit(Tenant(CANARY), anew.version, "pas_1", 0))
        if isinstance(store, RedisStore):
            assert int(await store.scripts.run(command("TTL", store.keys.record(CANARY)))) == -1
            assert int(await store.scripts.run(command("EXISTS", store.keys.erased(CANARY)))) == 0
        await store.post_alerts(CANARY, [alert(CANARY, 1)])
        assert len((await store.alerts(None, 9))[0]) == 1, "its alerts count from the beginning"

    play(scenario)


def test_whoever_was_at_it_without_a_lease_does_not_list_it_again(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.append({CANARY: [HintFact("x", 1, "hint_1")]})
        (wake,) = (await store.claim_due(1, 60 * SECOND)).wakes
        await store.commit(Commit(Tenant(CANARY), 0, "pas_1", 1))
        assert await store.erase(CANARY, 1, 0)
        assert await store.unlist(wake, ())
        assert not await store.renew(wake, SECOND)
        await store.finish(wake, 0, Status.OK, [upgrade()], 1.0)
        assert await store.tenants(None, None, 9) == []
        assert await store.owner(UPGRADE) is None
        assert (await store.claim_due(1, SECOND)).wakes == ()

    play(scenario)


def test_a_tenant_that_is_being_reconciled_is_not_forgotten_under_its_hands(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        await store.mark_due([CANARY])
        (wake,) = (await store.claim_due(1, 60 * SECOND)).wakes
        with pytest.raises(TenantBusy, match="is being reconciled"):
            await forget(store, CANARY)
        assert (await store.load(CANARY)).known
        await store.finish(wake, await store.now() + SECOND, Status.OK, [])
        assert await forget(store, CANARY)

    play(scenario)


@pytest.mark.parametrize(
    "blocks",
    [
        upgrade(state=State.AWAITING_PAYMENT),
        upgrade(state=State.PAID, paid_at=5),
        upgrade(state=State.UNKNOWN),
        upgrade(state=State.CANCELLED, requested_at=1 << 60),
    ],
)
def test_while_a_checkout_may_be_paid_it_takes_force(play: Play, blocks: Upgrade) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER, (blocks,))
        with pytest.raises(MayBePaid, match=UPGRADE):
            await forget(store, CANARY)
        assert (await store.load(CANARY)).known
        assert await forget(store, CANARY, force=True)
        assert await store.known_tenants([CANARY]) == []

    play(scenario)


SETTLED = payment("settled", CANARY)
STARTED = CheckoutFact(UPGRADE, "clm_1", CallOutcome.STARTED, 5, "out_1", Checkout("p", "https://pay/cs_1", True))


@pytest.mark.parametrize("fact", [SETTLED, STARTED])
def test_while_news_of_money_waits_it_takes_force(play: Play, fact: Fact) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        await store.append({CANARY: [fact]})
        with pytest.raises(MayBePaid, match="waits to be folded in"):
            await forget(store, CANARY)
        assert (await store.load(CANARY)).known
        assert await forget(store, CANARY, force=True)

    play(scenario)


def test_money_that_no_upgrade_is_known_for_takes_force(play: Play) -> None:
    async def scenario(store: Store) -> None:
        unpaid = replace(SETTLED, payment_status="unpaid", id="evt_unpaid")
        assert await store.commit(Commit(Tenant(CANARY, early=(unpaid, SETTLED)), 0, "pas_1", 0))
        with pytest.raises(MayBePaid, match="settled tells of money"):
            await forget(store, CANARY)
        assert await store.commit(Commit(Tenant(CANARY, early=(unpaid,)), 1, "pas_2", 0))
        await store.append({CANARY: [replace(SETTLED, foreign=True)]})
        assert await forget(store, CANARY), "what is not paid, or of the other mode, is nobody's money"

    play(scenario)


def test_news_of_money_that_comes_while_it_is_forgotten_is_not_erased(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        erase = store.erase

        async def and_meanwhile(tenant: str, version: int, pending: int) -> bool:
            store.erase = erase  # type: ignore[method-assign]
            await store.append({CANARY: [SETTLED]})
            return await erase(tenant, version, pending)

        store.erase = and_meanwhile  # type: ignore[method-assign]
        with pytest.raises(MayBePaid, match="waits to be folded in"):
            await forget(store, CANARY)
        loaded = await store.load(CANARY)
        assert loaded.known
        assert SETTLED in loaded.facts
        assert [wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes] == [CANARY]

    play(scenario)


def test_more_facts_than_are_read_at_once_take_force(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "FACTS_AT_ONCE", 2)
    monkeypatch.setattr(tenants, "FACTS_AT_ONCE", 2)

    async def scenario(store: Store) -> None:
        await store.append({CANARY: [HintFact("x", 1, f"hint_{number}") for number in range(3)]})
        with pytest.raises(MayBePaid, match="more facts wait"):
            await forget(store, CANARY)
        assert await forget(store, CANARY, force=True)

    play(scenario)


def test_only_whoever_has_the_lease_takes_a_tenant_off_the_lists(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER, (upgrade(),))
        lost = await store.hold(CANARY, 1)
        await asyncio.sleep(0.002)
        found = await store.hold(CANARY, 60 * SECOND)
        assert lost is not None
        assert found is not None
        for wake in (lost, Wake(CANARY, "")):
            assert not await store.unlist(wake, [f"cs_{UPGRADE}"])
        assert await store.known_tenants([CANARY]) == [CANARY]
        assert await store.owner(UPGRADE) == CANARY
        assert await store.linked_tenants([f"cs_{UPGRADE}"]) == [CANARY]
        assert (await store.alerts(None, 9))[0] != []
        assert await store.renew(found, 60 * SECOND)
        assert await store.unlist(found, [])
        assert await store.owner(UPGRADE) is None

    play(scenario)


def test_what_begins_anew_while_forgetting_takes_too_long_stays_listed_and_due(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        erase, look_at = store.erase, await store.now() + 3600 * SECOND

        async def and_stand_still(tenant: str, version: int, pending: int) -> bool:
            assert await erase(tenant, version, pending)
            lease = await store.hold(CANARY, SECOND)
            assert lease is None, "it is held"
            store.erase = erase  # type: ignore[method-assign]
            await store.append({CANARY: [HintFact("x", 1, "hint_1")]})
            await end_of_lease(store)
            (wake,) = (await store.claim_due(9, 60 * SECOND)).wakes
            loaded = await store.load(CANARY)
            anew = Tenant(CANARY, upgrades=(upgrade("upg_anew"),))
            assert await store.commit(Commit(anew, loaded.version, "pas_anew", loaded.read))
            await store.finish(wake, look_at, Status.OK, anew.upgrades)
            return True

        store.erase = and_stand_still  # type: ignore[method-assign]
        assert await forget(store, CANARY)
        assert (await store.load(CANARY)).known
        assert await store.owner("upg_anew") == CANARY
        assert await store.known_tenants([CANARY]) == [CANARY]
        assert [wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes] == [CANARY]

    play(scenario)


async def end_of_lease(store: Store) -> None:
    """Let the lease of the tenant end at once, as if its time had passed."""
    if isinstance(store, RedisStore):
        await store.scripts.run(command("ZADD", store.keys.index_of(CANARY, "leases"), 1, CANARY))
    elif isinstance(store, memory.MemoryStore):
        store._leases[CANARY] = (1, store._leases[CANARY][1])


def test_how_calls_of_the_old_life_ended_is_no_news_of_a_new_one(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        assert await forget(store, CANARY)
        assert (await store.load(CANARY)).erased
        await store.append({CANARY: [STARTED]}, bounded=False)
        assert (await store.load(CANARY)).erased
        await store.append({CANARY: [SETTLED]}, bounded=False)
        assert not (await store.load(CANARY)).erased, "money is news"

    play(scenario)


@pytest.mark.parametrize("play", ["valkey", "redis", "cluster"], indirect=True)
def test_what_a_release_that_knows_of_no_erasing_saves_does_not_expire(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        assert await forget(store, CANARY)
        assert isinstance(store, RedisStore)
        # As the first release saves what it has read as version 0.
        record = store.keys.record(CANARY)
        assert await store.scripts.run(command("HGET", record, "version")) is None
        await store.scripts.run(
            command("HSET", record, "version", 1, "by", "pas_old", "document", '{"id":"canary-tenant"}')
        )
        assert int(await store.scripts.run(command("TTL", record))) == -1
        loaded = await store.load(CANARY)
        assert (loaded.version, loaded.erased) == (1, False)
        assert await store.commit(Commit(loaded.tenant, 1, "pas_new", 0))
        assert await store.erase(CANARY, 2, 0)
        assert (await store.load(CANARY)).version == -3

    play(scenario)


def test_a_user_of_a_tenant_that_is_being_reconciled_is_forgotten_later(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        before = await store.load(CANARY)
        await store.commit(Commit(before.tenant, before.version, "pas_2", before.read))
        wake = await store.hold(CANARY, 60 * SECOND)
        assert wake is not None
        with pytest.raises(TenantBusy, match="is being reconciled"):
            await forget_user(store, CANARY, USER)
        assert (await store.load(CANARY)).entries[USER].email is not None
        await store.finish(wake, await store.now() + 3600 * SECOND, Status.OK, [])
        assert (await forget_user(store, CANARY, USER)).contact
        assert [wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes] == [CANARY], "it is held no longer"

    play(scenario)


def test_facts_that_come_while_it_is_forgotten_are_the_first_of_its_new_life(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        unlist = store.unlist
        fact = UserFact("newcomer", Membership.ADDED, 9, "evt_9")

        async def and_meanwhile(wake: Wake, names: object) -> bool:
            await store.append({CANARY: [fact]})
            return await unlist(wake, ())

        store.unlist = and_meanwhile  # type: ignore[method-assign]
        assert await forget(store, CANARY)
        assert [wake.tenant for wake in (await store.claim_due(9, SECOND)).wakes] == [CANARY]
        assert (await store.load(CANARY)).facts == (fact,)

    play(scenario)


def test_of_a_user_the_contact_goes_and_what_the_host_app_said_stays(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        before = await store.load(CANARY)
        await store.commit(Commit(before.tenant, before.version, "pas_2", before.read))
        waiting = RosterFact((RosterUser(USER, "w@example.com", "W"), RosterUser("x", "x@example.com")), 5, "ros_1")
        record = replace(before.tenant, waiting_roster=waiting)
        assert await store.commit(Commit(record, before.version + 1, "pas_3", 0))
        counts = (await store.load(CANARY)).counts
        done = await forget_user(store, CANARY, f"{USER}-gone")
        assert done.entry == Entry(False, 1, "evt", Seat.REMOVED, 1)
        assert done.contact
        await forget_user(store, CANARY, USER)
        after = await store.load(CANARY)
        assert after.entries[USER] == Entry(True, 1, "evt", Seat.ACTIVE, 1)
        assert after.entries[f"{USER}-missing"].email is not None, "another user"
        assert after.tenant.waiting_roster is not None
        assert after.tenant.waiting_roster.users == (RosterUser(USER), RosterUser("x", "x@example.com"))
        assert after.counts == counts
        again = await forget_user(store, CANARY, USER)
        assert (again.contact, again.unreadable) == (False, 0)

    play(scenario)


def test_facts_about_a_user_that_wait_are_folded_in_before_it_is_forgotten(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await settle(store, CANARY, USER)
        loaded = await store.load(CANARY)
        await store.commit(Commit(loaded.tenant, 1, "pas_2", loaded.read))
        facts: list[Fact] = [
            UserFact(USER, Membership.ADDED, 5, "evt_5", "late@example.com"),
            RosterFact((RosterUser(USER, "late@example.com"),), 6, "ros_6"),
        ]
        for number, fact in enumerate(facts, 2):
            await store.append({CANARY: [fact]})
            with pytest.raises(TenantBusy, match="wait to be folded in"):
                await forget_user(store, CANARY, USER)
            await forget_user(store, CANARY, "somebody-else")
            assert await store.commit(Commit(loaded.tenant, number, f"pas_{number}x", 1))
        await forget_user(store, CANARY, USER)

    play(scenario)


def test_what_nobody_could_read_about_a_user_goes_with_it(single_servers: dict[str, str]) -> None:
    async def main() -> None:
        store = RedisStore.from_url(single_servers["valkey"], "forget-unreadable")
        items = [f'Tomorrows {{"user": "{USER}", "email": "a@example.com"}}'.encode(), b"about nobody"]
        assert await store.commit(Commit(Tenant(CANARY), 0, "pas_1", 0, set_aside=items))
        assert (await forget_user(store, CANARY, USER)).unreadable == 1
        kept = await store.scripts.run(command("LRANGE", store.keys.unreadable(CANARY), 0, -1))
        await store.aclose()
        assert kept == items[1:]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("user", "about", "others"),
    [
        ("7", b'X {"user":"7"}', b'X {"upgrade":"upg_7","at":7,"users":["17","7a"]}'),
        ("\u00e5sa", b'1780000000000000 u2[true,"\\u00e5sa",1]', b'u2[true,"asa",1]'),
        ("\u00e5sa", 'u2[true,"\u00e5sa",1]'.encode(), b'u2[true,"\\u00e5sa2",1]'),
        ('a"b', b'u2[true,"a\\"b",1]', b'u2[true,"a",1,"b"]'),
        ("user", b'X {"user":"user"}', b'X {"user" : "ada"}'),
    ],
)
def test_what_nobody_could_read_goes_with_the_user_it_names_and_no_other(
    single_servers: dict[str, str], user: str, about: bytes, others: bytes
) -> None:
    async def main() -> None:
        store = RedisStore.from_url(single_servers["valkey"], "forget-named")
        key = store.keys.unreadable(CANARY)
        await store.scripts.run(command("RPUSH", key, about, others))
        dropped = await store.drop_unreadable(CANARY, user)
        kept = await store.scripts.run(command("LRANGE", key, 0, -1))
        await store.scripts.run(command("DEL", key))
        await store.aclose()
        assert (dropped, kept) == (1, [others])

    asyncio.run(main())
