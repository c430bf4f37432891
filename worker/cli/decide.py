"""`seats approve`, `cancel` and `retry`: an operator decides about one upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError
from worker.cli.saying import say

if TYPE_CHECKING:
    from worker.core.upgrade import Upgrade
    from worker.store.interface import Loaded
    from worker.store.redis_store import RedisStore

WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1

Which = Annotated[str, typer.Argument(metavar="UPGRADE", help="The upgrade's id, as `seats upgrades` lists it.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Don't wait until a worker has carried it out.")]


def approve(context: typer.Context, upgrade: Which, no_wait: NoWait = False) -> None:
    """Let an upgrade that awaits approval go ahead."""
    _decide(context, "approve", upgrade, no_wait)


def cancel(context: typer.Context, upgrade: Which, no_wait: NoWait = False) -> None:
    """Call an upgrade off.

    Nothing more is asked for until more seats are needed than now.
    """
    _decide(context, "cancel", upgrade, no_wait)


def retry(context: typer.Context, upgrade: Which, no_wait: NoWait = False) -> None:
    """Ask again for an upgrade that came to nothing.

    One of unknown outcome is given up first; make sure in Crovver that nobody can pay it any more.
    """
    _decide(context, "retry", upgrade, no_wait)


def _decide(context: typer.Context, action: str, upgrade: str, no_wait: bool) -> None:
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    line = with_store(settings, lambda store: _decided(store, action, upgrade, no_wait))
    say(line)


async def _decided(store: RedisStore, action: str, upgrade_id: str, no_wait: bool) -> str:
    """Put the decision in the tenant's inbox; the line that says what came of it."""
    import uuid

    from worker.core.facts import OperatorAction, OperatorFact
    from worker.core.fold import allowed

    tenant = await store.owner(upgrade_id)
    record = (await store.load(tenant)).tenant if tenant is not None else None
    upgrade = record.find(upgrade_id) if record is not None else None
    if tenant is None or record is None or upgrade is None:
        raise CommandError(f"no upgrade {upgrade_id!r} is known: `seats upgrades` lists them")
    wanted = OperatorAction(action)
    now = await store.now()
    if not allowed(record, upgrade, wanted, now):
        possible = [one.value for one in OperatorAction if allowed(record, upgrade, one, now)]
        can = f"possible now: {', '.join(possible)}" if possible else "there is nothing to decide about it now"
        raise CommandError(f"upgrade {upgrade_id} is {_state(upgrade)}, so it can't be {_PAST[action]}: {can}")
    fact = OperatorFact(wanted, upgrade_id, now, f"op_{uuid.uuid4().hex}")
    await store.append({tenant: [fact]})
    if no_wait:
        return f"upgrade {upgrade_id} of {tenant} is to be {_PAST[action]}; it is {_state(upgrade)} until then"
    loaded = await _carried_out(store, tenant, fact, upgrade_id)
    if loaded is None:
        raise CommandError(
            f"the decision is kept, but nothing has carried it out within {WAIT_SECONDS:g} s: are `seats worker` and "
            "`seats scheduler` running?"
        )
    return _outcome(action, upgrade_id, loaded)


_PAST = {"approve": "approved", "cancel": "cancelled", "retry": "retried"}


async def _carried_out(store: RedisStore, tenant: str, fact: object, upgrade_id: str) -> Loaded | None:
    """The tenant once the decision has been folded in and its call, if it made one, has ended; None: not in time."""
    import asyncio
    import time

    deadline = time.monotonic() + WAIT_SECONDS
    folded: Loaded | None = None
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        loaded = await store.load(tenant)
        if fact in loaded.facts or loaded.read < loaded.pending:
            continue
        folded = loaded
        current = loaded.tenant.upgrade
        if current is None or current.state.value != "requesting":
            return loaded
    return folded


def _outcome(action: str, upgrade_id: str, loaded: Loaded) -> str:
    """What came of a decision, as one line."""
    tenant = loaded.tenant
    decided, current = tenant.find(upgrade_id), tenant.upgrade
    about = f"upgrade {upgrade_id} of {tenant.id}: {_PAST[action]}"
    if decided is None or current is None:
        return about
    if current.id != upgrade_id and current.created_at > decided.created_at:
        return f"{about}; asked again as upgrade {current.id}, now {_state(current)}"
    if action == "cancel" and decided.open:
        return f"{about}; its link is being taken back at Stripe, now {_state(decided)}"
    if action == "retry":
        return f"{about}; `seats why {tenant.id}` says what comes next"
    return f"{about}, now {_state(decided)}"


def _state(upgrade: Upgrade) -> str:
    word = upgrade.state.value.replace("_", " ")
    if upgrade.state.value == "awaiting_approval" and upgrade.approved_at is not None:
        word += " (approved already)"
    return word
