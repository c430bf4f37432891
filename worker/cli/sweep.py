"""`seats sweep`: have tenants reconciled now, and see it happen."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError
from worker.cli.saying import say

if TYPE_CHECKING:
    from worker.core.facts import HintFact
    from worker.store.interface import Loaded
    from worker.store.redis_store import RedisStore

PAGE = 1000
CHECKED_AT_ONCE = 200
POLL_SECONDS = 0.2
STILL_SECONDS = 30.0
"""When nothing has moved for so long, nobody seems to be at work."""


def sweep(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Ask for it and don't wait.")] = False,
) -> None:
    """Reconcile all tenants now, or one, and see it done.

    After a loss of the state a sweep of all tenants, run to its end, lets purchases go on.
    """
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    for line in with_store(settings, lambda store: _sweep(store, tenant, no_wait)):
        say(line)


async def _sweep(store: RedisStore, tenant: str | None, no_wait: bool) -> list[str]:
    from worker.cli.state import known
    from worker.core.facts import HintFact

    if tenant is not None:
        await known(store, tenant)
    lost_at = await store.lost_at() if tenant is None and not no_wait else None
    tenants = [tenant] if tenant is not None else await _all(store)
    if not tenants and lost_at is not None:
        raise CommandError(
            "the state was lost and no tenant is known yet, so a sweep would prove nothing: send the rosters "
            "(`seats import`), or the events since the last backup, again, and then sweep"
        )
    if not tenants:
        return ["no tenants yet: nothing to reconcile"]
    hint = HintFact("sweep", await store.now(), f"sweep_{uuid.uuid4().hex}")
    for start in range(0, len(tenants), PAGE):
        await store.append({name: [hint] for name in tenants[start : start + PAGE]})
    what = f"tenant {tenant}" if tenant is not None else _tenants(len(tenants))
    if no_wait:
        return [f"{what} will be reconciled now"]
    unsubscribed, unread = await _wait(store, tenants, hint)
    if unread:
        name, reason = unread[0]
        raise CommandError(
            f"{_tenants(len(unread))} could not be read in Crovver, such as {name} ({reason}): they are tried again by "
            "themselves" + ("; until all are read, purchases wait, because the state was lost" if lost_at else "")
        )
    done = f"{what} reconciled" + (f", {unsubscribed:,} of them without a subscription" if unsubscribed else "")
    return [done] if lost_at is None else [done, await _let_go_on(store, lost_at)]


async def _let_go_on(store: RedisStore, lost_at: int) -> str:
    """End the loss of the state that was known when the sweep began, and have those looked at who waited for that."""
    from worker.core.tenant import Rule
    from worker.core.times import format_instant

    if not await store.end_loss(lost_at) and await store.lost_at() is not None:
        raise CommandError("the state was lost once more meanwhile: sweep again")
    tenants = await _all(store)
    for start in range(0, len(tenants), PAGE):
        records = (await store.records(tenants[start : start + PAGE])).values()
        decisions = {record.tenant.id: record.tenant.decision for record in records}
        await store.mark_due(
            name for name, decision in decisions.items() if decision and decision.rule is Rule.WAITS_FOR_SWEEP
        )
    return (
        f"the state was lost at {format_instant(lost_at)}; purchases, which waited for this sweep, go on now. What was "
        "not sent again since (rosters with `seats import`, or events since the last backup) is still missing"
    )


def _tenants(count: int) -> str:
    return f"{count:,} {'tenant' if count == 1 else 'tenants'}"


async def _all(store: RedisStore) -> list[str]:
    found: list[str] = []
    while rows := await store.tenants(None, found[-1] if found else None, PAGE):
        found += [row.tenant for row in rows]
        if len(rows) < PAGE:
            break
    return found


async def _wait(store: RedisStore, tenants: list[str], hint: HintFact) -> tuple[int, list[tuple[str, str]]]:
    """Return when each has been looked at since the hint: how many have no subscription, and who could not be read.

    Raises:
        CommandError: nothing has moved for a while.
    """
    import asyncio

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from worker.cli.consoles import err
    from worker.cli.read import load_all

    left, moved_at = list(tenants), time.monotonic()
    unsubscribed, unread = 0, []
    columns = (TextColumn("reconciling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(tenants))
        while left:
            part, left = left[:CHECKED_AT_ONCE], left[CHECKED_AT_ONCE:]
            loaded = await load_all(store, part)
            done = [one for one in loaded if _done(one, hint)]
            for trouble in [one.tenant.trouble for one in done if one.tenant.trouble is not None]:
                unsubscribed += trouble.kind.value == "no_subscription"
            unread += [
                (one.tenant.id, one.tenant.trouble.message)
                for one in done
                if one.tenant.trouble is not None and one.tenant.trouble.kind.value != "no_subscription"
            ]
            # Those that are not done go to the end: whoever else is done is found meanwhile.
            left += [one.tenant.id for one in loaded if not _done(one, hint)]
            if done:
                moved_at = time.monotonic()
                progress.advance(task, len(done))
                continue
            if time.monotonic() - moved_at > STILL_SECONDS:
                raise CommandError(
                    f"{len(tenants) - len(left):,} of {_tenants(len(tenants))} reconciled, and nothing has moved for "
                    f"{STILL_SECONDS:g} s: are `seats scheduler` and `seats worker` running?"
                )
            await asyncio.sleep(POLL_SECONDS)
    return unsubscribed, unread


def _done(loaded: Loaded, hint: HintFact) -> bool:
    """Whether Crovver has been read for it since the hint, or at least tried to be."""
    if hint in loaded.facts or loaded.read < loaded.pending:
        return False
    return loaded.tenant.trouble is not None or (loaded.tenant.reconciled_at or 0) >= hint.at
