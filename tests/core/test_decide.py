"""Fold and decide are total: whatever has happened, there is a lawful verdict."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.alert_rules import DATA_FIELDS
from worker.core.allocation import Summary
from worker.core.case import Case
from worker.core.checkout import Checkout
from worker.core.credits import CreditPool, LimitBehavior
from worker.core.decide import decide
from worker.core.effects import ExpireSession, StartCheckout
from worker.core.explain import _RULES, describe_note, explain
from worker.core.facts import (
    AllocateFact,
    CallOutcome,
    CheckoutFact,
    CreditsFact,
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
from worker.core.fold import fold
from worker.core.policy import Mode, Policy, Powers
from worker.core.roster import Counts, Roster
from worker.core.tenant import Look, Rule, Tenant, Trouble, TroubleKind
from worker.core.upgrade import MOVES, Closing, State, Upgrade

IDS = st.sampled_from(["a", "b", "c"])
AT = st.integers(0, 10**9)
CHECKOUTS = st.sampled_from(
    [
        Checkout("p", "https://pay.example/c/cs_a", requires_payment=True),
        Checkout("p", None, requires_payment=False),
        Checkout(None, "https://pay.example/other", requires_payment=True),
    ]
)
POOLS = st.builds(
    CreditPool, IDS, IDS, st.none() | st.integers(-5, 100), st.none() | st.integers(0, 5),
    st.none() | st.integers(-5, 100), st.none() | st.integers(0, 100), st.none() | st.sampled_from(LimitBehavior),
    st.none() | AT, st.none() | st.integers(0, 120) | st.floats(0, 120),
)  # fmt: skip
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(UserFact, IDS, st.sampled_from(Membership), AT, IDS),
    st.builds(RosterFact, st.just((RosterUser("a"),)), AT, IDS, st.booleans()),
    st.builds(
        PaymentFact, st.sampled_from(PaymentEvent), st.sampled_from(["cs_a", "cs_b"]), AT, st.uuids().map(str),
        st.sampled_from(["paid", "unpaid", None]), references=st.sampled_from([(), ("t",), ("p",)]),
        foreign=st.booleans(),
    ),
    st.builds(OperatorFact, st.sampled_from(OperatorAction), IDS, AT, IDS),
    st.builds(HintFact, st.just("x"), AT, IDS),
    st.builds(
        CheckoutFact, IDS, IDS, st.sampled_from([outcome for outcome in CallOutcome if outcome != "started"]), AT, IDS
    ),
    st.builds(CheckoutFact, IDS, IDS, st.just(CallOutcome.STARTED), AT, IDS, CHECKOUTS),
    st.builds(
        SessionFact, IDS, AT, IDS, st.sampled_from([None, True, False]), st.sampled_from([None, "cs_a"])
    ),
    st.builds(AllocateFact, st.sampled_from(CallOutcome), AT, IDS, st.just(("a",))),
    st.builds(CreditsFact, AT, IDS, st.none() | st.tuples(POOLS), st.just("no answer")),
)  # fmt: skip


def upgrade_in(state: State, ident: str, claim: str | None, called: bool, closing: Closing, retried: bool) -> Upgrade:
    upgrade = Upgrade(ident, state, 13, 10, 13, 0, closing=closing if state not in (State.PAID,) else Closing.NONE)
    if state in (State.UNKNOWN, State.PAID, State.AWAITING_PAYMENT, State.INVOICED) or (
        called and claim and state is not State.AWAITING_APPROVAL
    ):
        upgrade = replace(upgrade, claim=claim, claimed_at=5, requested_at=5, paid_at=6, attempts=1, closed_at=6)
    elif state not in (State.REQUESTING, State.AWAITING_APPROVAL):
        upgrade = replace(upgrade, closed_at=6)
    return replace(upgrade, retried_at=6 if retried else None)


UPGRADES = st.builds(
    upgrade_in,
    st.sampled_from(State),
    st.just("a"),
    st.sampled_from([None, "b"]),
    st.booleans(),
    st.sampled_from(Closing),
    st.booleans(),
)
TENANTS = st.builds(
    lambda upgrade, look, trouble: Tenant("t", look, trouble, upgrades=(upgrade,) if upgrade else ()),
    st.none() | UPGRADES,
    st.builds(
        lambda active, capacity: Look(5, Summary(active, capacity, active > capacity, active), 5),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    st.none() | st.builds(lambda kind: Trouble(kind, "x", 1, 1, 10), st.sampled_from(TroubleKind)),
)
POLICIES = st.builds(
    Policy,
    mode=st.sampled_from(Mode),
    block=st.integers(1, 5),
    headroom=st.integers(0, 4),
    cap=st.none() | st.integers(1, 25),
    repair=st.booleans(),
)


@settings(max_examples=600)
@given(
    TENANTS,
    st.lists(FACTS, max_size=12),
    POLICIES,
    st.builds(Powers, st.booleans(), st.booleans()),
    st.integers(0, 30),
    st.sampled_from([7, 10**8, 10**10, 10**12]),
    st.booleans(),
)
def test_any_facts_in_any_state_give_a_lawful_verdict(
    tenant: Tenant, facts: list[Fact], policy: Policy, powers: Powers, needed: int, now: int, fresh: bool
) -> None:
    fresh = fresh and tenant.trouble is None
    folded = fold(tenant, Roster(), facts, now)
    for upgrade in folded.tenant.upgrades:
        before = tenant.find(upgrade.id)
        reachable = {before.state} if before else set()
        while more := {to for state in reachable for to in MOVES[state]} - reachable:
            reachable |= more
        assert upgrade.state in reachable
    verdict = decide(Case(folded.tenant, Counts(missing=needed), now, policy, powers, fresh, "new", "claim"))
    assert sum(upgrade.open for upgrade in verdict.tenant.upgrades) <= 1
    assert verdict.look_at >= now
    assert verdict.look_at <= now + policy.sweep_every
    assert verdict.tenant.decision is not None
    if isinstance(verdict.effect, StartCheckout):
        claimed = verdict.tenant.find(verdict.effect.upgrade)
        assert claimed is not None
        assert (claimed.state, claimed.claim) == (State.REQUESTING, "claim")
        assert fresh, "money is only asked for on a fresh look"
        assert folded.tenant.look is not None
        assert verdict.effect.new_capacity > folded.tenant.look.summary.capacity_units
        assert policy.lacks_room(needed, folded.tenant.look.summary.capacity_units)
        if claimed.approved_at is None:
            assert policy.cap is None or verdict.effect.new_capacity <= policy.cap
            assert policy.mode is not Mode.ALERT or claimed.id != "new"
    if isinstance(verdict.effect, ExpireSession):
        assert powers.stripe_key
    assert verdict.tenant.outbox == verdict.alerts
    for alert in verdict.alerts:
        assert set(DATA_FIELDS[alert.kind]) <= set(alert.data), "what its text may name is given"
        assert "pay.example" not in str(alert), "no payable link"
    text = explain(verdict.tenant, Counts(missing=needed), policy)
    assert "?" not in text, "every input that the words name is given"
    assert all(describe_note({"kind": note.kind.value, **note.data}) for note in (*folded.notes, *verdict.notes))


@given(TENANTS, POLICIES, st.booleans(), st.integers(0, 30))
def test_deciding_twice_on_the_same_facts_is_deciding_once(
    tenant: Tenant, policy: Policy, fresh: bool, needed: int
) -> None:
    case = Case(tenant, Counts(missing=needed), 100, policy, Powers(), fresh and not tenant.trouble, "new", "claim")
    assert decide(case) == decide(case)


def test_every_rule_has_its_words() -> None:
    assert set(_RULES) == set(Rule)


def test_a_block_and_a_cap_bound_the_size() -> None:
    assert Policy(block=5).size(11) == 15
    assert Policy(block=5).size(15) == 15
    assert Policy(block=5, headroom=1).size(15) == 20
    assert Policy(block=5, cap=12).size(11) == 12
