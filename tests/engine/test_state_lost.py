"""A state that was lost may have known of checkouts that can still be paid: none is started before a full sweep."""

from dataclasses import replace

from tests.engine.world import World
from worker.core.explain import explain
from worker.core.facts import OperatorAction
from worker.core.policy import Mode, Policy
from worker.core.tenant import Rule
from worker.core.times import HOUR
from worker.core.upgrade import State
from worker.store.errors import StoreUnavailable
from worker.store.guard import StateGuard
from worker.store.memory import MemoryStore


class Losing(World):
    """A world whose state can be lost, and that is asked by a guard which remembers it."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy)
        self.ports = replace(self.ports, guard=StateGuard(self.store, sleep=self.ports.sleep))
        self.do(self.ports.guard.lost_at())
        self.at += HOUR
        self.subscribe("t", 3, 3)

    def lose(self) -> None:
        """The server comes back empty."""
        vars(self.store).update(vars(MemoryStore(lambda: self.at)))

    def swept(self) -> None:
        async def sweep() -> None:
            lost_at = await self.store.lost_at()
            assert lost_at is not None
            assert await self.store.end_loss(lost_at)

        self.do(sweep())

    def rule(self) -> Rule | None:
        decision = self.tenant().decision
        return decision.rule if decision is not None else None


def test_nothing_is_bought_after_a_loss_until_everything_was_swept() -> None:
    world = Losing()
    world.join("t", "new_1")
    world.run()
    assert len(world.crovver.checkout_calls) == 1
    world.lose()
    world.join("t", "new_1", "new_2")
    world.run()
    assert (world.rule(), world.states(), len(world.crovver.checkout_calls)) == (Rule.WAITS_FOR_SWEEP, [], 1)
    loaded = world.loaded()
    why = explain(loaded.tenant, loaded.counts, Policy())
    assert "waits for a full sweep, because the state was lost at 20" in why
    assert "`seats sweep`" in why
    world.wait(30 * 3600)
    assert len(world.crovver.checkout_calls) == 1, "time alone ends no loss"
    world.swept()
    world.look("t")
    world.run()
    assert (world.rule(), world.states()) == (Rule.AWAITING_PAYMENT, [State.AWAITING_PAYMENT])


def test_a_state_that_was_never_lost_is_asked_about_for_purchases_alone() -> None:
    world = Losing()
    asked = []

    async def step(operation: str) -> None:
        asked.append(operation)

    world.store.step = step
    world.leave("t", "user_1")
    world.run()
    assert "vouch" not in asked
    world.join("t", "new_1", "new_2")
    world.run()
    assert asked.count("vouch") == 2, "before the claim is saved, and before the call"


def test_upgrades_that_are_open_are_followed_after_a_loss() -> None:
    world = Losing()
    world.join("t", "new_1")
    world.run()
    world.do(world.store.vouch("a state of before", 0, "unused"))
    world.pay(world.crovver.payables[0])
    world.run()
    assert world.states() == [State.CONFIRMED]
    world.join("t", "new_2")
    world.run()
    assert (world.rule(), world.states()) == (Rule.WAITS_FOR_SWEEP, [State.CONFIRMED])


def test_an_approved_upgrade_waits_for_the_sweep_and_is_called_after_it() -> None:
    world = Losing(Policy(mode=Mode.APPROVAL))
    world.lose()
    world.join("t", "new_1")
    world.run()
    assert world.states() == [State.AWAITING_APPROVAL]
    world.operator("t", OperatorAction.APPROVE, world.upgrade().id)
    world.run()
    assert (world.rule(), world.states()) == (Rule.WAITS_FOR_SWEEP, [State.AWAITING_APPROVAL])
    assert world.crovver.checkout_calls == []
    world.swept()
    world.look("t")
    world.run()
    assert world.states() == [State.AWAITING_PAYMENT]


def test_a_new_tenant_whose_state_is_lost_right_before_its_claim_is_saved_is_not_bought_for() -> None:
    """The version of a tenant that nobody knows bars nothing in an empty state; that the facts are gone does."""
    world = Losing()
    before = [""]

    async def step(operation: str) -> None:
        if (before[-1], operation) == ("vouch", "commit"):
            world.lose()
        before.append(operation)

    world.store.step = step
    world.join("t", "new_1")
    world.wait(120)
    assert before[-1] == "commit", "it was lost there"
    assert world.crovver.checkout_calls == []
    assert (world.rule(), world.states()) == (Rule.ENOUGH, [])
    world.join("t", "new_1")
    world.run()
    assert (world.rule(), world.states()) == (Rule.WAITS_FOR_SWEEP, [])
    world.swept()
    world.look("t")
    world.run()
    assert (len(world.crovver.checkout_calls), world.states()) == (1, [State.AWAITING_PAYMENT])


def test_without_an_answer_about_the_state_nothing_is_bought() -> None:
    world = Losing()
    lookouts = 0

    async def step(operation: str) -> None:
        nonlocal lookouts
        lookouts += operation == "vouch"
        if operation == "vouch" and lookouts == 2:
            raise StoreUnavailable("a fault of the test")

    world.store.step = step
    world.join("t", "new_1")
    world.run()
    assert (lookouts, world.crovver.checkout_calls) == (2, [])
    assert (world.rule(), world.states()) == (Rule.CALL_WAITS, [State.REQUESTING])
    world.wait(120)
    assert (len(world.crovver.checkout_calls), world.states()) == (1, [State.AWAITING_PAYMENT])
