"""`seats credits`: a tenant's credit balances, read afresh."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError

if TYPE_CHECKING:
    from worker.core.credits import CreditPool, Credits
    from worker.settings import Settings
    from worker.store.interface import Loaded
    from worker.store.redis_store import RedisStore

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.1


def credits(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the operator API's JSON.")] = False,
    stored: Annotated[bool, typer.Option("--stored", help="As they were read last; don't read them now.")] = False,
) -> None:
    """Show a tenant's credit pools, read in Crovver now."""
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    with_store(settings, lambda store: _credits(store, settings, tenant, as_json, stored))


async def _credits(store: RedisStore, settings: Settings, tenant: str, as_json: bool, stored: bool) -> None:
    from worker.cli.consoles import print_json
    from worker.cli.state import known
    from worker.core.view import credits_view
    from worker.settings.derive import policy_of

    loaded = await known(store, tenant)
    if not stored:
        if policy_of(settings).credits_every is None:
            raise CommandError(
                "credit balances are not read here: SEATS_CREDITS_EVERY is 0, or SEATS_CROVVER_SERVICE_KEY is used, to "
                "which Crovver tells none. What was read before: --stored"
            )
        loaded = await _read(store, loaded)
    if as_json:
        print_json(credits_view(loaded.tenant))
    else:
        _show(loaded)


async def _read(store: RedisStore, loaded: Loaded) -> Loaded:
    """Have the worker read them, so that it is done under the fleet's rate and remembered.

    Raises:
        CommandError: they could not be read, or nobody did.
    """
    import asyncio
    import time

    from worker.core.facts import HintFact

    tenant = loaded.tenant.id
    since = await store.now()
    await store.append({tenant: [HintFact("operator", since, f"hint_{uuid.uuid4().hex}", credits=True)]})
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        loaded = await store.load(tenant)
        credits, trouble = loaded.tenant.credits, loaded.tenant.trouble
        if credits is not None and credits.tried_at >= since:
            if credits.trouble is not None:
                raise CommandError(f"the balances can't be read: {credits.trouble}. What was read before: --stored")
            return loaded
        unread = trouble is not None and trouble.kind.value != "no_subscription"
        if trouble is not None and unread and not loaded.pending:
            raise CommandError(f"Crovver can't be read: {trouble.message}. What was read before: --stored")
        await asyncio.sleep(POLL_SECONDS)
    raise CommandError(
        f"nobody has read them within {WAIT_SECONDS:g} s: are `seats scheduler` and `seats worker` running? "
        "What was read before: --stored"
    )


def _show(loaded: Loaded) -> None:
    from worker.cli.consoles import out, plain, table
    from worker.core.times import format_instant

    credits = loaded.tenant.credits
    if credits is None or credits.at is None:
        out().print("The balances have not been read yet: leave --stored out to have them read.")
        return
    if not credits.pools:
        out().print("No credit pools: the tenant has no active subscription, or a plan without credits.")
    else:
        numbers = ("left", "of plan", "of add-ons", "limit", "used")
        shown = table("pool", *numbers, "at zero", "next expiry", numbers=numbers)
        for pool in credits.pools:
            shown.add_row(plain(f"{pool.name} ({pool.key})"), *_numbers(pool))
        out().print(shown)
    _remark(credits, format_instant(credits.at))


def _remark(credits: Credits, at: str) -> None:
    from worker.cli.consoles import err, plain

    failed = f"; the last try failed: {credits.trouble}" if credits.trouble else ""
    err().print(plain(f"read {at}{failed}"))


def _numbers(pool: CreditPool) -> list[str]:
    from worker.core.times import format_instant

    used = "?" if pool.used is None else f"{pool.used:.0f} %"
    counts = [pool.total, pool.base_remaining, pool.addon_remaining, pool.limit]
    at_zero = "is blocked" if pool.hard else "may run over"
    expiry = format_instant(pool.next_expiry) if pool.next_expiry is not None else "none"
    return [*("?" if count is None else f"{count:,}" for count in counts), used, at_zero, expiry]
