"""What is kept of one tenant never reaches another, whatever the two are called; nor does one deployment another."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from tests.access.lookalikes import LOOKALIKES, in_path, others, sets_of_ids
from tests.store.conftest import Play
from tests.web.site import INGEST_AUTH, Site, an_event, an_upgrade
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.facts import Membership, PaymentEvent, PaymentFact, UserFact
from worker.core.journal import Note, NoteKind
from worker.core.roster import Entry, Seat, Standing
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State
from worker.logs.redaction import redacted
from worker.settings import ConfigError, Settings
from worker.store.dead_letters import DeadLetters
from worker.store.forget import forget
from worker.store.interface import Commit, Order, Store, Wake
from worker.store.matching import deliver
from worker.store.memory import MemoryStore
from worker.store.redis_store import RedisStore
from worker.web.paths import storable

HOUR = 3_600_000_000
_namespaces = (f"isolated{number}" for number in itertools.count())


def payment(ident: str, *references: str) -> PaymentFact:
    return PaymentFact(
        PaymentEvent.COMPLETED, f"session of {ident}", 7, f"event of {ident}", "paid", references=references
    )


async def put(store: Store, ident: str) -> None:
    """A tenant and all there can be of it, each part named after it, and its upgrade called just like it."""
    upgrade = replace(an_upgrade(ident, State.AWAITING_PAYMENT), session=f"session of {ident}")
    missing = Entry(True, 1, f"said of {ident}", Seat.NONE)
    notes = [Note(NoteKind.DECISION, {"needed": 1, "whose": ident})]
    commit = Commit(Tenant(ident, upgrades=(upgrade,)), 0, f"pass of {ident}", 0, {ident: missing}, notes)
    assert await store.commit(commit), f"{ident!r} is somebody else already"
    await store.finish(Wake(ident, ""), await store.now() + HOUR, Status.UPGRADING, [upgrade], 50)
    await store.link_checkout([ident], ident)
    await store.append({ident: [UserFact(ident, Membership.ADDED, 2, f"event of {ident}")]}, settle=HOUR)
    await store.post_alerts(ident, [Alert(1, ident, AlertKind.DRIFT, Severity.CRITICAL, Phase.RAISED, 1)])
    await store.park(payment(ident, f"reference of {ident}"))


async def check(store: Store, ident: str) -> None:
    """All of it is there, and nothing of anybody else."""
    loaded = await store.load(ident)
    assert (loaded.tenant.id, [one.id for one in loaded.tenant.upgrades], loaded.version) == (ident, [ident], 1)
    assert [(fact.user, fact.id) for fact in loaded.facts if isinstance(fact, UserFact)] == [
        (ident, f"event of {ident}")
    ]
    assert loaded.pending == 1
    roster = await store.whole_roster(ident)
    assert {user: entry.id for user, entry in roster.items()} == {ident: f"said of {ident}"}
    assert await store.standing(ident, Standing.MISSING, 10) == [ident]
    notes, _ = await store.journal(ident, before=None, limit=10)
    assert [note["whose"] for note in notes] == [ident]
    assert [note["whose"] for note in await store.decisions(ident, 10)] == [ident]
    assert await store.owner(ident) == ident
    assert await store.linked_tenants([ident]) == [ident]
    assert await store.known_tenants([ident]) == [ident]
    assert [fact.id for fact in await store.parked_for([f"reference of {ident}"])] == [f"event of {ident}"]
    record = (await store.records([ident]))[ident]
    assert (record.tenant.id, record.version, record.counts.missing) == (ident, 1, 1)


async def check_absent(store: Store, ident: str) -> None:
    loaded = await store.load(ident)
    assert (loaded.known, loaded.facts, loaded.entries, loaded.tenant.upgrades) == (False, (), {}, ())
    assert await store.whole_roster(ident) == {}
    assert await store.standing(ident, Standing.MISSING, 10) == []
    assert await store.journal(ident, before=None, limit=10) == ([], None)
    assert (await store.owner(ident), await store.linked_tenants([ident]), await store.known_tenants([ident])) == (
        None, [], [],
    )  # fmt: skip


async def live_side_by_side(store: Store, ids: Sequence[str]) -> None:
    """Each comes, lives, and every second one is forgotten; nobody notices anything of another."""
    for ident in ids:
        await check_absent(store, ident)
        await put(store, ident)
    for ident in ids:
        await check(store, ident)
        page = await store.find_tenants(status=None, prefix=ident, order=Order.ID, offset=0, limit=1000)
        assert {row.tenant for row in page.rows} == {one for one in ids if one.startswith(ident)}
    assert sorted(row.tenant for row in await store.tenants(None, None, 1000)) == sorted(ids)
    for ident in ids[::2]:
        assert await forget(store, ident, force=True)
    for number, ident in enumerate(ids):
        await (check(store, ident) if number % 2 else check_gone(store, ident))
    listed = {row.alert.tenant for row in (await store.alerts(None, 1000))[0]}
    assert listed == set(ids[1::2])


async def check_gone(store: Store, ident: str) -> None:
    loaded = await store.load(ident)
    assert (loaded.known, loaded.pending, loaded.entries) == (False, 0, {})
    assert await store.owner(ident) is None
    assert (await store.journal(ident, before=None, limit=10))[0] == []


def test_each_lookalike_could_be_an_id() -> None:
    assert all(storable(ident) for ident in LOOKALIKES)
    assert len(LOOKALIKES) >= 100


def test_tenants_that_look_alike_are_strangers(cluster: str) -> None:
    """On a cluster, where keys matter most; on one server the keys are the same."""
    asyncio.run(on_both(cluster, LOOKALIKES))


async def on_both(url: str, ids: Sequence[str]) -> None:
    clock = itertools.count(1_700_000_000_000_000)
    await live_side_by_side(MemoryStore(lambda: next(clock)), ids)
    store = RedisStore.from_url(url, next(_namespaces), min_replicas=0)
    try:
        await live_side_by_side(store, ids)
    finally:
        await store.aclose()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=sets_of_ids())
def test_any_ids_are_strangers(state_url: str, ids: list[str]) -> None:
    asyncio.run(on_both(state_url, ids))


def test_a_payment_goes_to_the_tenant_of_its_session_whomever_else_it_names(play: Play) -> None:
    async def scenario(store: Store) -> None:
        for ident in ("a", "a:b", "cs_a"):
            await put(store, ident)
        await store.link_checkout(["cs_a", "prr_a"], "a")
        of_a = PaymentFact(PaymentEvent.COMPLETED, "cs_a", 7, "evt_new", "paid", references=("a:b", "cs_a", "a%3Ab"))
        assert await deliver(store, of_a) == "matched"
        found = {ident: of_a in (await store.load(ident)).facts for ident in ("a", "a:b", "cs_a")}
        assert found == {"a": True, "a:b": False, "cs_a": False}

    play(scenario)


ADDRESSED = [ident for ident in LOOKALIKES if len(ident) < 200]


def test_a_path_leads_to_the_very_tenant_and_upgrade_it_names(site: Site) -> None:
    for ident in ADDRESSED:
        upgrade = an_upgrade(f"upg {ident}", State.AWAITING_APPROVAL)
        site.put_tenant(Tenant(ident, upgrades=(upgrade,)))
    for ident in ADDRESSED:
        assert site.operate("GET", f"/v1/tenants/{in_path(ident)}").json()["tenantId"] == ident
        shown = site.operate("GET", f"/v1/upgrades/{in_path(f'upg {ident}')}").json()
        assert (shown["id"], shown["tenantId"]) == (f"upg {ident}", ident)
        # The id of a tenant is none of an upgrade, and the other way round.
        assert site.operate("GET", f"/v1/tenants/{in_path(f'upg {ident}')}").status_code == 404
        assert site.operate("GET", f"/v1/upgrades/{in_path(ident)}").status_code == 404


def test_a_decision_reaches_the_owner_of_the_upgrade_and_nobody_else(site: Site) -> None:
    ids = ["a", "A", "a:b", "a/b", "a%2Fb", "a{b", "..", "a ", " a", "café", "cafe\u0301", "a:inbox", "{t:a}", "*"]
    for ident in ids:
        site.put_tenant(Tenant(ident, upgrades=(an_upgrade(f"upg {ident}", State.AWAITING_APPROVAL),)))
    for serial, (ident, action) in enumerate(itertools.product(ids, ("approve", "cancel"))):
        path = f"/v1/upgrades/{in_path(f'upg {ident}')}/{action}"
        assert site.operate("POST", path).status_code == 202
        counts = {one: len(site.inbox(one)) for one in ids}
        assert sum(counts.values()) == serial + 1
        assert counts[ident] == 1 + serial % 2


def test_what_is_published_of_one_tenant_reaches_that_one(site: Site) -> None:
    events = [an_event(id=f"evt {ident}", tenantId=ident, userId=ident) for ident in ADDRESSED]
    assert site.publish(events).status_code == 202
    for ident in ADDRESSED:
        body = {"users": [{"userId": ident}]}
        answer = site.request("PUT", f"/v1/tenants/{in_path(ident)}/roster", json=body, headers=INGEST_AUTH)
        assert answer.status_code == 202, ident
    for ident in ADDRESSED:
        said, roster = site.inbox(ident)
        assert said.id == f"evt {ident}"
        assert [user.user for user in roster.users] == [ident]  # type: ignore[union-attr]


NAMESPACES = ["seats", "Seats", "seats.x", "seats-x", "seats_x", "seats2", "s", "seats.seats", "index", "checkout"]


def test_deployments_on_one_server_are_strangers(redis_url: str) -> None:
    async def main() -> None:
        stores = [RedisStore.from_url(redis_url, name) for name in NAMESPACES]
        try:
            for number, store in enumerate(stores):
                await put(store, "a")
                await store.add_counts("source", 1, {"count": number})
                await store.end_session(f"session {number}", 60)
                await store.client.zadd(f"{store.keys.namespace}:alerts.XQ", {f"dead {number}": number})
            for number, store in enumerate(stores):
                await check(store, "a")
                assert await store.counts() == {"count": number}
                assert await store.tenant_count() == 1
                ended = [await store.session_ended(f"session {other}") for other in range(len(stores))]
                assert [at for at, one in enumerate(ended) if one] == [number]
                assert await DeadLetters(store.client, store.keys.namespace, redacted).count() == {
                    "seat-events": 0, "reconcile": 0, "alerts": 1,
                }  # fmt: skip
            assert await forget(stores[0], "a", force=True)
            await check_gone(stores[0], "a")
            for store in stores[1:]:
                await check(store, "a")
        finally:
            for store in stores:
                await store.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["seats:x", "seats:{index}", "a{b", "a b", "*", "é", "a/b", ":", "a" * 65, ".x", "-x"])
def test_a_namespace_cannot_reach_into_another(name: str) -> None:
    with pytest.raises(ConfigError, match="SEATS_NAMESPACE"):
        Settings.load(environ={"SEATS_NAMESPACE": name})


def test_sessions_that_have_been_ended_stay_so_for_their_time(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert not await store.session_ended("a")
        await store.end_session("a", 60)
        await store.end_session("a", 60)
        assert await store.session_ended("a")
        for other in others(LOOKALIKES, "a"):
            assert not await store.session_ended(other)
        if isinstance(store, RedisStore):
            assert 0 < await store.client.ttl(store.keys.ended_session("a")) <= 60

    play(scenario)


def test_memory_forgets_ended_sessions_in_time() -> None:
    async def main() -> None:
        now = [0]
        store = MemoryStore(lambda: now[0])
        await store.end_session("a", 60)
        now[0] = 60_000_000
        assert not await store.session_ended("a")
        await store.end_session("b", 60)
        assert list(store._ended_sessions) == ["b"]

    asyncio.run(main())
