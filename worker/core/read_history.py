"""A tenant's history, read out of its journal and its record."""

from collections.abc import Iterable
from dataclasses import replace
from statistics import median_low

from worker.core.facts import OperatorAction, PaymentEvent
from worker.core.history import (
    Answer,
    Approval,
    Fate,
    Granted,
    Happening,
    History,
    Instant,
    Said,
    imaginary_checkout,
    imaginary_session,
)
from worker.core.journal_reader import JournalNote, JournalReader, Story
from worker.core.tenant import Tenant
from worker.core.times import DAY, SECOND
from worker.core.upgrade import Closing, State, Upgrade


def read_history(tenant: Tenant, notes: Iterable[JournalNote], until: int, since: int = 0) -> History | None:
    """What is known of a tenant's past; None where that is nothing.

    ``notes`` are oldest first. The history begins at ``since``, or with the first decision of the journal where that is
    later: a journal keeps so many notes and no more.
    """
    reader = JournalReader()
    for note in notes:
        reader.read(note)
    reader.finish()
    if not reader.instants or max(reader.instants[0].at, since) > until:
        return None
    start = max(reader.instants[0].at, since)
    record = _as_it_stood(tenant, start)
    usual, usual_wait = _usual(tenant), _usual_wait(tenant)
    called = {known.id: known.requested_at for known in record.upgrades if known.open and known.requested_at}
    stories = list(reader.stories.values())
    first_called = [story for story in stories if story.calls and story.id not in called]
    created = {upgrade.id: upgrade.created_at for upgrade in tenant.upgrades}
    asked = [(story, at) for story in stories if (at := _asked_at(story, created.get(story.id), start)) is not None]
    return History(
        tenant=record,
        start=start,
        until=until,
        instants=_window(reader.instants, start, until),
        fates=tuple(_fate(story, story.calls[0][0], usual) for story in first_called if story.calls[0][0] >= start),
        carried={upgrade: _fate(reader.story(upgrade), at, usual) for upgrade, at in called.items()},
        usual=usual,
        approvals=tuple(_approval(story, at, usual_wait) for story, at in asked),
        usual_approval=Approval(usual_wait, OperatorAction.APPROVE),
        raised=tuple(raised for raised in reader.raised if start <= raised.at <= until),
    )


def _window(instants: list[Instant], start: int, until: int) -> tuple[Instant, ...]:
    """The instants from ``start`` on. What was known before them is known at ``start``; what was bought, was bought."""
    inside = [instant for instant in instants if start <= instant.at <= until]
    before = [instant for instant in instants if instant.at < start]
    if before and (not inside or inside[0].at > start):
        inside.insert(0, before[-1])
    return (replace(inside[0], at=start, bought=0), *inside[1:])


def _fate(story: Story, called_at: int, usual: Fate) -> Fate:
    happenings = [Happening(max(0, at - called_at), what) for at, what in story.happenings]
    if story.dropped_at is not None:
        # Left alone it would have gone as usual, only not before it was taken back.
        least = story.dropped_at - called_at + SECOND
        happenings += [replace(known, after=max(known.after, least)) for known in usual.happenings]
    return Fate(tuple(answer for _, answer in story.calls), tuple(happenings))


def _usual(tenant: Tenant) -> Fate:
    """A checkout that is paid as fast as the tenant's own were on median, at once where it has paid none."""
    waits = [
        known.confirmed_at - known.requested_at
        for known in tenant.upgrades
        if known.confirmed_at is not None and known.requested_at is not None
    ]
    after = max(0, median_low(waits)) if waits else 0
    checkouts = [known for known in tenant.upgrades if known.checkout is not None]
    invoice = bool(checkouts) and all(known.invoiced for known in checkouts)
    paid = () if invoice else (Happening(after, Said(PaymentEvent.COMPLETED, "paid")),)
    return Fate((Answer(invoice=invoice),), (*paid, Happening(after, Granted())))


def _usual_wait(tenant: Tenant) -> int:
    """How long operators took to approve on median; no time where they never have."""
    waits = [known.approved_at - known.created_at for known in tenant.upgrades if known.approved_at is not None]
    return max(0, median_low(waits)) if waits else 0


def _asked_at(story: Story, created_at: int | None, start: int) -> int | None:
    """Since when an operator had been asked to approve it, where that was not answered before ``start``; else None."""
    asked_at = story.created_at if story.created_at is not None else created_at
    asked = story.asked or (story.created_at is None and bool(story.said))
    over_at = story.said[0][0] if story.said else story.dropped_at
    return None if not asked or (over_at is not None and over_at < start) else asked_at


def _approval(story: Story, asked_at: int, usual_wait: int) -> Approval:
    if story.said:
        (said_at, action), *rest = story.said
        later = tuple(Happening(max(0, at - asked_at), word) for at, word in rest)
        return Approval(max(0, said_at - asked_at), action, later)
    if story.dropped_at is not None:
        return Approval(max(usual_wait, story.dropped_at - asked_at + SECOND), OperatorAction.APPROVE)
    return Approval(0, None)


def _as_it_stood(tenant: Tenant, start: int) -> Tenant:
    """The record at ``start``, as far as the present one tells."""
    upgrades: list[Upgrade] = []
    for known in tenant.upgrades:
        if known.created_at >= start:
            continue
        over = known.closed_at is not None and known.closed_at < start
        if not over:
            upgrades = [other for other in upgrades if not other.open]
        upgrades.append(replace(known, retried_at=_before(known.retried_at, start)) if over else _open(known, start))
    return Tenant(
        tenant.id,
        upgrades=tuple(upgrades),
        growth=tuple(sample for sample in tenant.growth if sample[0] < start // DAY),
        drift_since=_before(tenant.drift_since, start),
    )


def _open(known: Upgrade, start: int) -> Upgrade:
    """An upgrade as it stood while it was still open."""
    called_at, approved_at = _before(known.requested_at, start), _before(known.approved_at, start)
    if called_at is None:
        unasked = known.state is State.AWAITING_APPROVAL or known.approved_at is not None
        state = State.AWAITING_APPROVAL if unasked else State.REQUESTING
    elif _before(known.paid_at, start) is not None:
        state = State.PAID
    else:
        state = State.INVOICED if known.invoiced else State.AWAITING_PAYMENT
    payable = called_at is not None and not known.invoiced
    return replace(
        known,
        state=state,
        claim=None,
        claimed_at=called_at,
        requested_at=called_at,
        approved_at=approved_at,
        checkout=imaginary_checkout(known.id, invoice=known.invoiced) if called_at is not None else None,
        session=imaginary_session(known.id) if payable else None,
        completed_at=_before(known.completed_at, start),
        paid_at=_before(known.paid_at, start),
        confirmed_at=None,
        closed_at=None,
        closing=Closing.NONE,
        reason=None,
        session_over=False,
        stripe_after=0,
        retried_at=None,
    )


def _before(at: int | None, start: int) -> int | None:
    return at if at is not None and at < start else None
