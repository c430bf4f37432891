"""Reconcile: bring one tenant up to date.

Load state and inbox, observe Crovver, fold the facts, decide, save in one write, and only then act. Whatever acting
brings becomes a fact of its own, so that the next pass, here or in another worker, starts from what is saved.
"""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from worker.alerts.lines import log_alerts
from worker.core.case import Case, Verdict
from worker.core.decide import ALLOCATE_AT_ONCE, decide
from worker.core.effects import Effect, StartCheckout
from worker.core.facts import (
    AllocateFact,
    CallOutcome,
    CheckoutFact,
    Fact,
    HintFact,
    Membership,
    OperatorFact,
    PaymentFact,
    RosterFact,
    RosterUser,
    UserFact,
)
from worker.core.fold import fold
from worker.core.journal import Json, Note, NoteKind
from worker.core.retention import hear, tidy
from worker.core.roster import Counts, Roster, RosterMoved, Standing
from worker.core.tenant import Rule, Tenant, TroubleKind, paid_for_nothing, status, utilization
from worker.core.times import MINUTE, SECOND
from worker.core.upgrade import State
from worker.engine.act import act
from worker.engine.credits import credits_are_due, read_credits
from worker.engine.look import Observed, know, know_all, observe
from worker.engine.ports import Ports
from worker.store.errors import StoreError, StoreUnavailable, TooFewReplicas
from worker.store.interface import Commit, Ending, Loaded, Wake
from worker.store.matching import is_of_no_other

log = structlog.get_logger(__name__)

Written = TypeVar("Written")

MOST_PASSES = 12
"""Passes of one wake-up; a tenant that still is not settled then is simply due again."""

FACTS_NAMED = 20
"""Facts that a line of the log names as what led to it."""

PASSES_THAT_WAIT_FOR_QUIET = 4
"""How many times a purchase is decided anew because a fact came meanwhile. Then the facts that are in must do."""

FOR_PEOPLE = frozenset(
    {
        Rule.ALERT_ONLY,
        Rule.WANTS_APPROVAL,
        Rule.WAITS_FOR_SWEEP,
        Rule.BEYOND_CAP,
        Rule.CAP_REACHED,
        Rule.ASKED_TOO_OFTEN,
        Rule.OUTCOME_LOST,
        Rule.ROSTER_REFUSED,
        Rule.OUTCOME_UNKNOWN,
        Rule.NO_SUBSCRIPTION,
        Rule.UNREACHABLE,
    }
)
"""Decisions that wait for someone to act, and are logged as warnings."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a wake-up ended: the last verdict, how many passes and saves it took. None: someone else was at it."""

    verdict: Verdict | None
    passes: int


class Reconciler:
    """Reconciles tenants, one call a wake-up. Safe to run at the same time for one tenant, anywhere, any number of
    times: what is saved decides, under the record's version."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    async def reconcile(self, wake: Wake) -> Done:
        """Bring the tenant of a wake-up up to date and give its lease back.

        Raises:
            StoreError: the store could not be used; the tenant stays due, and facts and claims are safe.
        """
        look = True
        now = 0
        moved: int | None = None
        last: tuple[Verdict, Prepared] | None = None
        extra: list[Fact] = []
        for number in range(1, MOST_PASSES + 1):
            started = self.ports.monotonic()
            found = await self._load(wake, first=number == 1)
            if found is None:
                return Done(None, 0)
            loaded = found
            if loaded.erased:
                # To look at it now would be to begin it anew.
                await self._end_erasing(wake, loaded)
                return Done(None, number)
            # Alerts of the pass before, whose sender may be gone: the store knows which of them it has.
            loaded = replace(loaded, tenant=await self._post(loaded.tenant))
            # While more facts wait than one pass takes, neither a look nor a purchase would rest on all of them.
            all_in = loaded.pending <= loaded.read
            try:
                prepared = await self._prepare(loaded, started, extra, look=look and all_in, trusting=number == 1)
                now = prepared.now
                saved = await self._decide_and_save(
                    wake, loaded, prepared, all_in=all_in, patient=number <= PASSES_THAT_WAIT_FOR_QUIET
                )
            except RosterMoved:
                if moved == loaded.version:
                    raise  # nobody has saved: the counts themselves are wrong
                moved, look = loaded.version, True
                continue
            if saved is None:
                look = True
                await self.ports.sleep(0.005 * number)
                continue
            verdict, ended = saved
            if ended:
                return Done(verdict, number)
            last, extra = (verdict, prepared), []
            if verdict.effect is not None:
                await self._act(verdict, now, prepared.decided_at)
                look = not isinstance(verdict.effect, StartCheckout)
            # After the call: a claim is not to grow old over housekeeping.
            if verdict.tenant.kept.at != loaded.tenant.kept.at:
                await self._trim(verdict.tenant, now)
            if verdict.effect is not None:
                continue
            if _is_settled(verdict, prepared, all_in=all_in):
                if credits_are_due(verdict.tenant, self.ports.policy, now):
                    # Not put in the inbox: they can be read again, and nobody need be woken for them.
                    extra, look = [await read_credits(self.ports, verdict.tenant, now)], False
                    continue
                await self._finish(wake, verdict, prepared)
                return Done(verdict, number)
            look = look or verdict.look_at <= now
        if last is not None:
            await self._finish(wake, replace(last[0], look_at=now), last[1])
        return Done(last[0] if last else None, MOST_PASSES)

    async def _end_erasing(self, wake: Wake, loaded: Loaded) -> None:
        """Take an erased tenant off all lists, with what calls of its old life have brought since.

        Only for as long as the lease is ours: by then others may have begun it anew. What came meanwhile is looked at
        by whoever is woken next.
        """
        store = self.ports.store
        if wake.token and not await store.renew(wake, self.ports.pace.lease):
            return
        if loaded.pending:
            ended = [fact.id for fact in loaded.facts[:FACTS_NAMED]]
            log.warning("calls made for a tenant that was erased meanwhile have ended", tenant=wake.tenant, facts=ended)
            await store.erase(wake.tenant, loaded.version, loaded.pending)
        ours = await store.unlist(wake, [name for fact in loaded.facts for name in _names(fact)])
        left = await store.load(wake.tenant)
        if not ours or left.pending or left.known:
            await store.mark_due([wake.tenant])

    async def _load(self, wake: Wake, *, first: bool) -> Loaded | None:
        """The tenant; None where the wake-up is not ours, which only the first time is asked."""
        store = self.ports.store
        return await (store.resume(wake, self.ports.pace.lease) if first else store.load(wake.tenant))

    async def _prepare(
        self, loaded: Loaded, started: float, extra: Sequence[Fact], *, look: bool, trusting: bool
    ) -> "Prepared":
        """Everything a decision rests on: the looked-at record, and a roster that has every entry it needs.

        ``extra`` are facts that are in no inbox. ``trusting`` lets the last look serve where it is young and leaves
        room.
        """
        ports, tenant = self.ports, loaded.tenant
        roster = Roster(loaded.counts, dict(loaded.entries), tenant.floor, tenant.kept.horizon)
        facts = [*loaded.facts, *await self._parked(tenant), *extra]
        # Of users that a fact of theirs is about, the entries came with it.
        await know(
            ports, loaded, roster, [user for fact in facts if isinstance(fact, AllocateFact) for user in fact.seated]
        )
        if tenant.waiting_roster is not None or any(isinstance(fact, RosterFact) for fact in facts):
            await know_all(ports, loaded, roster)
        trusted = look and trusting and self._serves(loaded, roster, facts)
        if trusted:
            observed, looked = Observed(tenant, fresh=False), True
        elif look and not _waits(loaded, facts):
            observed = await observe(ports, loaded, roster)
            looked = True
        else:
            observed, looked = Observed(tenant, fresh=False), look
        # Whatever waits in the inbox was young enough when it was taken in, and must not meet a horizon that has moved.
        if tidies := tenant.kept.due(loaded.now) and loaded.pending <= loaded.read:
            await know_all(ports, loaded, roster)
        # The look may have taken long; a claim must not be born old.
        decided_at = self.ports.monotonic()
        now = loaded.now + round((decided_at - started) * SECOND)
        folded = fold(observed.tenant, roster, facts, now, first_look=tenant.look is None)
        kept = hear(tenant.kept, facts, ports.policy.retention, now)
        if tidies:
            kept = tidy(roster, kept, ports.policy.retention, now, _read_at(folded.tenant))
        record = replace(folded.tenant, kept=kept)
        notes = [*observed.notes, *folded.notes]
        if loaded.unreadable:
            log.error(
                "facts that this release can't read were set aside", tenant=tenant.id, count=len(loaded.unreadable)
            )
            notes.append(Note(NoteKind.UNREADABLE, {"count": len(loaded.unreadable)}))
        look_by = loaded.tenant.look.at + ports.pace.trust_look if trusted and loaded.tenant.look else None
        return Prepared(
            record,
            roster,
            notes,
            now,
            decided_at,
            observed.fresh,
            looked,
            ports.new_id("pas"),
            roster.counts(),
            look_by,
        )

    def _serves(self, loaded: Loaded, roster: Roster, facts: Sequence[Fact]) -> bool:
        """Whether the last look will do: it is young, and what users did since leaves room. Nothing but that is decided
        on it; once it is old another follows, whether anything happens or not."""
        tenant, policy = loaded.tenant, self.ports.policy
        if tenant.look is None or not 0 <= loaded.now - tenant.look.at < self.ports.pace.trust_look:
            return False
        if tenant.trouble or tenant.open_upgrade or tenant.waiting_roster or tenant.refused_roster or policy.repair:
            return False
        if not facts or not all(isinstance(fact, UserFact) for fact in facts):
            return False
        joining = sum(isinstance(fact, UserFact) and fact.membership is Membership.ADDED for fact in facts)
        return not policy.lacks_room(roster.stored.needed + joining, tenant.look.summary.capacity_units)

    async def _parked(self, tenant: Tenant) -> Sequence[Fact]:
        """Payment events that came before the tenant or its checkout was known, as long as one may be missing."""
        upgrade = tenant.open_upgrade
        if upgrade is None or upgrade.state not in (State.REQUESTING, State.UNKNOWN):
            return []
        store = self.ports.store
        return [fact for fact in await store.parked_for([tenant.id]) if await is_of_no_other(store, fact, tenant.id)]

    async def _decide_and_save(
        self, wake: Wake, loaded: Loaded, prepared: "Prepared", *, all_in: bool, patient: bool
    ) -> tuple[Verdict, bool] | None:
        """The verdict, saved, and whether the wake-up has ended by that; None where it could not be saved because
        someone else has, or newer facts have come."""
        ports, roster = self.ports, prepared.roster
        case = Case(
            tenant=prepared.tenant,
            counts=prepared.counts,
            now=prepared.now,
            policy=ports.policy,
            powers=ports.powers,
            fresh=prepared.fresh,
            new_upgrade=ports.new_id("upg"),
            claim=ports.new_id("clm"),
            missing=await self._missing(loaded, prepared),
            happened=tuple(prepared.notes),
        )
        verdict = decide(case)
        if isinstance(verdict.effect, StartCheckout):
            # Asked after the tenant was loaded, and only for purchases: other passes do without the round trip.
            verdict = decide(replace(case, lost_at=await ports.guard.lost_at()))
        buys = isinstance(verdict.effect, StartCheckout)
        reconciled_at = prepared.now if prepared.fresh else verdict.tenant.reconciled_at
        look_at = verdict.look_at if prepared.look_by is None else min(verdict.look_at, prepared.look_by)
        record = replace(verdict.tenant, reconciled_at=reconciled_at or prepared.now)
        verdict = replace(verdict, tenant=record, look_at=look_at)
        notes = [*prepared.notes, *verdict.notes]
        if isinstance(verdict.effect, StartCheckout):
            call: dict[str, Json] = {"upgrade": verdict.effect.upgrade, "new_capacity": verdict.effect.new_capacity}
            notes.append(Note(NoteKind.CALL, {"call": "proration-checkout", **call}))
        commit = Commit(
            tenant=verdict.tenant,
            version=loaded.version,
            pass_id=prepared.pass_id,
            folded=loaded.read,
            changes=roster.changes,
            notes=notes,
            set_aside=loaded.unreadable,
            at=prepared.now,
            unless_newer=buys and patient,
            durable=buys,
            after=loaded.saved_by,
            digest=loaded.digest,
        )
        learned = _sessions(verdict.tenant) - _sessions(loaded.tenant)
        # Where nothing is left to do after the save, the wake-up ends with it: one round trip less.
        ends = (
            _is_settled(verdict, prepared, all_in=all_in)
            and not (learned or verdict.tenant.outbox or verdict.tenant.kept.at != loaded.tenant.kept.at)
            and not credits_are_due(verdict.tenant, ports.policy, prepared.now)
        )
        ending = self._ending(wake, verdict.tenant, verdict.look_at, prepared.counts) if ends else None
        if not await self._save(commit, ending, verdict.effect):
            return None
        saved_at = prepared.now + round((ports.monotonic() - prepared.decided_at) * SECOND)
        ports.observer.decided([saved_at - at for at in _taken_in(loaded) if at], loaded.traces)
        # A session that a webhook, not an answer, told of: what Stripe says next may name nothing else.
        if learned:
            try:
                await self._deliver(verdict.tenant, (), learned)
            except StoreError as error:  # a claim may have been saved, and is to be used
                log.warning("a session could not be linked", tenant=verdict.tenant.id, reason=str(error))
        with structlog.contextvars.bound_contextvars(facts=[fact.id for fact in loaded.facts[:FACTS_NAMED]]):
            self._tell(loaded.tenant, verdict)
        return verdict, ends

    async def _missing(self, loaded: Loaded, prepared: "Prepared") -> tuple[RosterUser, ...]:
        """Users that a repair would record in Crovver, longest waiting first where all of them are at hand."""
        if not self.ports.policy.repair or not prepared.fresh:
            return ()
        roster = prepared.roster
        if not loaded.whole:
            some = await self.ports.store.standing(loaded.tenant.id, Standing.MISSING, ALLOCATE_AT_ONCE)
            await know(self.ports, loaded, roster, some)
        entries = [(user, entry) for user in roster.users() if (entry := roster.get(user)) is not None]
        waiting = sorted((entry.key, user, entry) for user, entry in entries if entry.standing is Standing.MISSING)
        return tuple(RosterUser(user, entry.email, entry.name) for _, user, entry in waiting[:ALLOCATE_AT_ONCE])

    async def _save(self, commit: Commit, ending: Ending | None, effect: Effect | None) -> bool:
        """Save, through a short absence of the store. A claim that may have been saved, and is not used, is given back.

        It may have been saved although somebody else has saved since, who found it and left it alone.
        """
        troubles: list[str] = []

        async def attempt() -> bool:
            try:
                return await self.ports.store.commit(commit, ending)
            except StoreUnavailable as error:
                troubles.append(str(error))
                raise

        try:
            saved = await self._through_absence(attempt)
        except StoreUnavailable:
            if isinstance(effect, StartCheckout):
                await self._release(effect, commit, troubles[-1])
            raise
        if troubles and not saved and isinstance(effect, StartCheckout):
            await self._release(effect, commit, troubles[-1])
        return saved

    async def _through_absence(self, write: Callable[[], Awaitable[Written]]) -> Written:
        """Write, through a short absence of the store. To repeat the write must be harmless."""
        ports = self.ports
        started, wait = ports.monotonic(), 0.05
        while True:
            try:
                return await write()
            except StoreUnavailable:
                if ports.monotonic() - started + wait > ports.pace.save_seconds:
                    raise
            await ports.sleep(wait)
            wait = min(wait * 2, 1.0)

    async def _release(self, effect: StartCheckout, commit: Commit, reason: str) -> None:
        """Say of a claim that may be saved, but not safely enough to act on, that no call was made under it.

        Otherwise others would take the call for one of unknown outcome, and hold the upgrade for long. A claim that was
        not saved makes this no news of anybody.
        """
        store, tenant = self.ports.store, commit.tenant.id
        fact = CheckoutFact(
            effect.upgrade, effect.claim, CallOutcome.NOT_SENT, commit.at, self.ports.new_id("out"), reason=reason
        )

        async def append() -> None:
            with contextlib.suppress(TooFewReplicas):  # it is where the claim is, which is all it takes
                await store.append({tenant: [fact]}, bounded=False)

        try:
            await self._through_absence(append)
        except StoreError as error:
            log.warning("a claim that was not used stays until its hold is over", tenant=tenant, reason=str(error))
        else:
            log.warning("a claim was not used", tenant=tenant, upgrade=effect.upgrade, reason=reason)

    async def _act(self, verdict: Verdict, now: int, decided_at: float) -> None:
        """Carry the effect out, and have its outcome in the inbox before anything else happens here.

        However long the store is away: the outcome may be the only copy of a link that can be paid.
        """
        assert verdict.effect is not None
        ports, tenant = self.ports, verdict.tenant
        facts = await act(ports, tenant, verdict.effect, now, decided_at)
        wait = 0.05
        while True:
            try:
                return await self._deliver(tenant, facts, [name for fact in facts for name in _names(fact)])
            except StoreError as error:
                log.warning(
                    "an outcome waits for the store", tenant=tenant.id, facts=[fact.id for fact in facts],
                    reason=str(error),
                )  # fmt: skip
            await ports.sleep(wait)
            wait = min(wait * 2, 1.0)

    async def _deliver(self, tenant: Tenant, facts: Sequence[Fact], names: Collection[str]) -> None:
        """Put outcomes in the inbox, with what Stripe has said early about the checkouts of these names. Repeatable."""
        store = self.ports.store
        if names:
            await store.link_checkout(names, tenant.id)
        early = await store.parked_for(names) if names else []
        if facts or early:
            await store.append({tenant.id: [*facts, *early]}, bounded=False)
        await store.unpark(fact.id for fact in early)

    async def _trim(self, tenant: Tenant, now: int) -> None:
        """Drop the journal's oldest entries. Where that fails it is done the next time."""
        try:
            await self.ports.store.trim_journal(tenant.id, now - self.ports.policy.retention.journal)
        except StoreError as error:  # seats do not wait for it
            log.warning("a journal could not be trimmed", tenant=tenant.id, reason=str(error))

    async def _post(self, tenant: Tenant) -> Tenant:
        """Hand the alerts that were saved to those who deliver them; the record without those. Repeatable.

        It never raises: seats are looked after whether or not people can be told, and what could not be handed over
        stays in the record for the next pass.
        """
        if not tenant.outbox:
            return tenant
        try:
            new = await self.ports.store.post_alerts(tenant.id, tenant.outbox)
        except StoreError as error:
            log.warning("alerts wait for the store", tenant=tenant.id, reason=str(error))
            log_alerts(tenant.outbox)  # they may be in, and then nobody would log them later
            return tenant
        log_alerts(tenant.outbox[len(tenant.outbox) - new :])
        return replace(tenant, outbox=())

    async def _finish(self, wake: Wake, verdict: Verdict, prepared: "Prepared") -> None:
        tenant = await self._post(verdict.tenant)
        look_at = min(verdict.look_at, prepared.now + MINUTE) if tenant.outbox else verdict.look_at
        ending = self._ending(wake, tenant, look_at, prepared.counts)
        await self.ports.store.finish(
            wake, ending.look_at, ending.status, ending.upgrades, ending.fullness, saved_by=prepared.pass_id
        )

    def _ending(self, wake: Wake, tenant: Tenant, look_at: int, counts: Counts) -> Ending:
        word = status(tenant, counts, self.ports.policy)
        return Ending(wake, look_at, word, tenant.upgrades, utilization(tenant, counts))

    def _tell(self, before: Tenant, verdict: Verdict) -> None:
        """Log what changed: the decision, and every upgrade that moved."""
        tenant, decision = verdict.tenant, verdict.tenant.decision
        for upgrade in tenant.upgrades:
            known = before.find(upgrade.id)
            if known is None or known.state is not upgrade.state:
                self.ports.observer.moved(upgrade.state)
                log.info(
                    "upgrade", tenant=tenant.id, upgrade=upgrade.id, state=upgrade.state.value,
                    was=known.state.value if known else None, new_capacity=upgrade.new_capacity, reason=upgrade.reason,
                )  # fmt: skip
        for upgrade in paid_for_nothing(tenant):
            if (known := before.find(upgrade.id)) is None or known.paid_at is None:
                log.warning(
                    "paid although it was over", tenant=tenant.id, upgrade=upgrade.id, state=upgrade.state.value
                )
        if decision is not None and (before.decision is None or before.decision.rule is not decision.rule):
            tell = log.warning if decision.rule in FOR_PEOPLE else log.info
            tell("decision", tenant=tenant.id, rule=decision.rule.value, **_numbers(decision.inputs))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A tenant ready to be decided on at ``now``. ``looked`` says that looking (again) would tell nothing new;
    ``pass_id`` names the pass that decides. ``look_by`` is when the look that served is too old (None: any age)."""

    tenant: Tenant
    roster: Roster
    notes: list[Note]
    now: int
    decided_at: float
    fresh: bool
    looked: bool
    pass_id: str
    counts: Counts
    look_by: int | None


def _is_settled(verdict: Verdict, prepared: Prepared, *, all_in: bool) -> bool:
    """Whether another pass at once would find nothing to do."""
    return verdict.effect is None and all_in and (prepared.looked or verdict.look_at > prepared.now)


def _read_at(tenant: Tenant) -> int | None:
    """When all of Crovver's list was last read; None where it never was, or where its summary tells of more rows."""
    if tenant.look is None or tenant.look.unexplained != (0, 0):
        return None
    return tenant.look.walked_at


def _sessions(tenant: Tenant) -> set[str]:
    """The checkout sessions that a tenant's record knows of."""
    return {upgrade.session for upgrade in tenant.upgrades if upgrade.session is not None}


def _taken_in(loaded: Loaded) -> list[int]:
    """When the facts that came from outside were accepted. What acting brought is our own doing, and no news."""
    pairs = zip(loaded.facts, loaded.accepted, strict=False)
    return [at for fact, at in pairs if isinstance(fact, UserFact | RosterFact | PaymentFact | OperatorFact | HintFact)]


def _waits(loaded: Loaded, facts: Sequence[Fact]) -> bool:
    """Whether a look is put off because the last ones failed. A hint, or news of a tenant that had no subscription, is
    reason to look all the same."""
    trouble = loaded.tenant.trouble
    if trouble is None or loaded.now >= trouble.retry_at or any(isinstance(fact, HintFact) for fact in facts):
        return False
    return trouble.kind is not TroubleKind.NO_SUBSCRIPTION or not facts


def _names(fact: Fact) -> list[str]:
    """The names a checkout may be asked for by, where a fact tells of one."""
    if not isinstance(fact, CheckoutFact) or fact.checkout is None:
        return []
    return [name for name in (fact.checkout.session, fact.checkout.proration_id) if name]


def _numbers(inputs: object) -> dict[str, object]:
    assert isinstance(inputs, dict)
    return {name: inputs.get(name) for name in ("needed", "capacity", "active", "size", "upgrade")}
