"""`seats forget`: erase a tenant, or what is personal of one of its users."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError, UsageProblem
from worker.cli.saying import say

if TYPE_CHECKING:
    from worker.store.forget import MayBePaid
    from worker.store.interface import Loaded
    from worker.store.redis_store import RedisStore

Result = TypeVar("Result")

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.2


def forget(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    user: Annotated[
        str | None, typer.Option(help="Only the e-mail address and the name of this user of the tenant.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also while money for the tenant may come, or has come and is not seen to.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Erase without being asked.")] = False,
) -> None:
    """Erase a tenant, or one user's personal data, from the state.

    A tenant goes with its record, roster, journal, upgrades and alerts; if events for it come later, it starts anew.
    Of a user the e-mail address and the name go. The user's id, which is the host app's own key, stays in the roster
    and the journal until SEATS_TOMBSTONES_FOR and SEATS_JOURNAL_FOR have passed: late events must not bring the user
    back. Neither Crovver nor Stripe is touched, nor what waits in the queue.
    """
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    if user is not None and force:
        raise UsageProblem("--force is about checkouts of a tenant: leave it out with --user")
    if user is None:
        say(with_store(settings, lambda store: _forget_tenant(store, tenant, force, yes)))
    else:
        say(with_store(settings, lambda store: _forget_user(store, tenant, user, yes)))


async def _forget_tenant(store: RedisStore, tenant: str, force: bool, yes: bool) -> str:
    from worker.cli.asking import confirm
    from worker.cli.state import no_such_tenant
    from worker.store.forget import MayBePaid, forget, may_be_paid

    loaded = await store.load(tenant)
    if not loaded.known and not loaded.pending and not await store.known_tenants([tenant]):
        raise no_such_tenant(tenant)
    if not force and (money := may_be_paid(loaded)):
        raise _refused(tenant, money)
    confirm(f"Erase tenant {tenant!r} ({_told(loaded)}) for good?", yes)

    async def work() -> bool:
        return await forget(store, tenant, force=force)

    try:
        found = await _when_free(work)
    except MayBePaid as money:
        raise _refused(tenant, money) from None
    if not found:
        raise no_such_tenant(tenant)
    return f"tenant {tenant} forgotten ({_told(loaded)}); if events for it come later, it starts anew"


def _refused(tenant: str, money: MayBePaid) -> CommandError:
    upgrade = money.upgrade
    remedy = f"`seats cancel {upgrade.id}` first, or wait for its end" if upgrade is not None else "see to it first"
    return CommandError(f"tenant {tenant}: {money}, and nobody would know whose money it is: {remedy}, or add --force")


async def _forget_user(store: RedisStore, tenant: str, user: str, yes: bool) -> str:
    from worker.cli.asking import confirm
    from worker.cli.state import known
    from worker.store.forget import ForgottenUser, forget_user

    await known(store, tenant)
    confirm(f"Erase the e-mail address and the name of user {user!r} of tenant {tenant!r} for good?", yes)

    async def work() -> ForgottenUser:
        return await forget_user(store, tenant, user)

    done = await _when_free(work)
    if done.entry is None and not done.contact and not done.unreadable:
        raise CommandError(f"tenant {tenant!r} knows no user {user!r}: look at how its id is written")
    said = "personal data erased" if done.contact or done.unreadable else "no personal data was kept"
    if done.entry is not None and done.entry.needs:
        return f"user {user} of {tenant}: {said}; a seat is still needed, so an event or a look may bring it anew"
    return f"user {user} of {tenant}: {said}"


async def _when_free(work: Callable[[], Awaitable[Result]]) -> Result:
    """The outcome of some work, done as soon as nobody else is at work on the tenant.

    Raises:
        CommandError: that does not come to pass in time.
    """
    import asyncio
    import time

    from worker.store.forget import TenantBusy

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return await work()
        except TenantBusy as error:
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{error}, for {WAIT_SECONDS:g} s by now: try again, and if it stays so, see whether "
                    "`seats worker` and `seats scheduler` are running"
                ) from None
        await asyncio.sleep(POLL_SECONDS)


def _told(loaded: Loaded) -> str:
    """What there is of a tenant, in a few words."""
    counts, upgrades = loaded.counts, len(loaded.tenant.upgrades)
    users = counts.needed + counts.orphaned + counts.gone
    return (
        f"{users:,} {'user' if users == 1 else 'users'}, {upgrades} {'upgrade' if upgrades == 1 else 'upgrades'}, "
        f"{loaded.pending:,} waiting {'fact' if loaded.pending == 1 else 'facts'}, its journal"
    )
