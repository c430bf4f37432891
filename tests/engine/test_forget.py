"""A tenant that is forgotten while somebody is at work on it stays forgotten, until something new is said of it."""

from collections.abc import Collection

import pytest

from tests.engine.world import Payable, World
from worker.core.facts import Membership, PaymentEvent, UserFact
from worker.core.policy import Policy
from worker.core.times import DAY, SECOND
from worker.crovver.results import AllocationsPage
from worker.engine.reconcile import Reconciler
from worker.store.errors import StoreUnavailable
from worker.store.forget import TenantBusy, forget, forget_user
from worker.store.interface import Commit, Ending, Wake


@pytest.fixture
def world() -> World:
    made = World()
    made.subscribe("t", 10, 3)
    return made


async def erase_and_unlist(world: World, tenant: str = "t") -> None:
    """Erase a tenant under the hands of whoever is at it."""
    loaded = await world.store.load(tenant)
    assert await world.store.erase(tenant, loaded.version, loaded.pending)
    _, token = world.store._leases.get(tenant, (0, ""))
    assert await world.store.unlist(Wake(tenant, token), ())


def forget_in_the_next_look(world: World) -> None:
    """Have the tenant erased under the hands of whoever reads Crovver next, its lease notwithstanding."""
    page = world.crovver.allocations_page

    async def forgetful(tenant: str, **rest: int | str) -> AllocationsPage:
        world.crovver.allocations_page = page  # type: ignore[method-assign]
        found = await page(tenant, **rest)  # type: ignore[arg-type]
        await erase_and_unlist(world, tenant)
        return found

    world.crovver.allocations_page = forgetful  # type: ignore[method-assign]


def is_gone(world: World) -> bool:
    loaded = world.loaded()
    listed = world.do(world.store.tenants(None, None, 9))
    return not loaded.known and not loaded.entries and not listed


@pytest.mark.parametrize("known", [False, True])
def test_a_pass_that_is_under_way_does_not_bring_it_back(world: World, known: bool) -> None:
    world.join("t", "ada")
    if known:
        world.run()
        world.look("t")
    forget_in_the_next_look(world)
    world.run()
    assert is_gone(world)
    world.wait(3600)
    assert is_gone(world)


def test_the_sweep_does_not_bring_it_back_and_news_of_it_does(world: World) -> None:
    world.join("t", "ada")
    world.run()
    assert world.do(forget(world.store, "t"))
    world.wait(24 * 3600)
    assert is_gone(world)
    world.join("t", "bob")
    world.run()
    assert world.loaded().counts.needed == 4, "three that Crovver lists, and bob; ada is forgotten"


def test_an_erasure_that_was_interrupted_is_ended_by_whoever_is_woken_next(world: World) -> None:
    world.join("t", "ada")
    world.run()
    world.do(world.store.hold("t", 1))
    world.do(world.store.erase("t", world.loaded().version, 0))
    world.wait(60)
    assert is_gone(world)
    assert world.do(world.store.claim_due(9, 1)).next_in is None


def interrupted(world: World) -> None:
    """Have the tenant erased by somebody who died before it was off the lists."""
    world.join("t", "ada")
    world.run()
    world.do(world.store.erase("t", world.loaded().version, 0))
    world.do(world.store.mark_due(["t"]))


def test_a_fact_that_comes_while_an_erasure_is_ended_is_folded_in(world: World) -> None:
    interrupted(world)
    unlist = world.store.unlist

    async def and_meanwhile(wake: Wake, names: Collection[str]) -> bool:
        world.store.unlist = unlist  # type: ignore[method-assign]
        await world.store.append({"t": [UserFact("bob", Membership.ADDED, world.at, "evt_bob")]})
        return await unlist(wake, names)

    world.store.unlist = and_meanwhile  # type: ignore[method-assign]
    world.run()
    assert world.loaded().pending == 0
    assert "bob" in world.loaded().entries


def test_whoever_ends_an_erasure_too_late_leaves_the_new_life_alone(world: World) -> None:
    world.crovver.subscriptions["t"].capacity = 4
    interrupted(world)
    unlist = world.store.unlist

    async def and_stand_still(wake: Wake, names: Collection[str]) -> bool:
        world.store.unlist = unlist  # type: ignore[method-assign]
        facts = [UserFact(user, Membership.ADDED, world.at, f"evt_{user}") for user in ("bob", "eve")]
        await world.store.append({"t": facts})
        world.at += 21 * SECOND
        (other,) = (await world.store.claim_due(9, 20 * SECOND)).wakes
        await Reconciler(world.ports).reconcile(other)
        return await unlist(wake, names)

    world.store.unlist = and_stand_still  # type: ignore[method-assign]
    world.run()
    upgrade = world.upgrade()
    assert world.do(world.store.owner(upgrade.id)) == "t"
    assert world.do(world.store.known_tenants(["t"])) == ["t"]
    world.wait(3 * 86_400)
    assert world.do(world.store.claim_due(0, 1)).next_in is not None, "it is looked at again"


def test_the_end_of_a_call_that_was_under_way_does_not_bring_it_back(world: World) -> None:
    world.crovver.subscriptions["t"].capacity = 3
    world.join("t", "ada")

    async def meanwhile(payable: Payable) -> None:
        world.crovver.before_checkout_answers = None
        await erase_and_unlist(world)

    world.crovver.before_checkout_answers = meanwhile
    world.run()
    (payable,) = world.crovver.payables
    assert is_gone(world)
    assert world.loaded().pending == 0
    assert world.do(world.store.linked_tenants([payable.session, payable.proration])) == []
    world.webhook(world.stripe(payable, PaymentEvent.EXPIRED, references=("t",)))
    world.wait(86_400)
    assert is_gone(world)
    assert [one.fact.session for one in world.do(world.store.parked(9))] == [payable.session]


def test_a_user_is_not_forgotten_between_a_claim_and_the_repetition_of_its_commit(world: World) -> None:
    world.crovver.subscriptions["t"].capacity = 3
    world.join("t", "ada")
    save = world.store.commit
    refused: list[str] = []

    async def and_lose_the_reply(commit: Commit, ending: Ending | None = None) -> bool:
        saved = await save(commit, ending)
        if commit.durable and not refused:
            with pytest.raises(TenantBusy) as busy:
                await forget_user(world.store, "t", "user_1")
            refused.append(str(busy.value))
            raise StoreUnavailable("the reply was lost")
        return saved

    world.store.commit = and_lose_the_reply  # type: ignore[method-assign]
    world.run()
    assert len(refused) == len(world.crovver.payables) == 1, "the claim is used"


def test_a_claim_does_not_wait_for_the_journal_to_be_trimmed() -> None:
    world = World(Policy())
    world.subscribe("t", 3, 3)
    trim, calls = world.store.trim_journal, []

    async def watched(tenant: str, before: int) -> None:
        calls.append(len(world.crovver.checkout_calls))
        await trim(tenant, before)

    world.store.trim_journal = watched  # type: ignore[method-assign]
    world.look("t")
    world.run()
    world.at += 30 * DAY
    calls.clear()
    world.join("t", "ada")
    world.run()
    assert calls == [1], "trimmed once, in the pass that claimed, after its call"
