"""`seats status` and `seats upgrades`: what is known, as tables or as the JSON of the operator API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import UsageProblem

if TYPE_CHECKING:
    from worker.core.journal import Json
    from worker.core.tenant import Tenant
    from worker.core.upgrade import State, Upgrade
    from worker.settings import Settings
    from worker.store.interface import Loaded, UpgradeRow
    from worker.store.redis_store import RedisStore

AsJson = Annotated[bool, typer.Option("--json", help="Print the operator API's JSON.")]
ShowLinks = Annotated[
    bool, typer.Option("--show-links", help="Show checkout links. Whoever holds one can pay: mind who sees the screen.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many to show.")]
AT_ONCE = 50
STATES = (
    "awaiting_approval", "requesting", "unknown", "awaiting_payment", "invoiced", "paid", "confirmed", "expired",
    "failed", "cancelled",
)  # fmt: skip
NAMED_USERS = 1_000


def status(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Argument(help="One tenant, in detail. Left out: all of them.")] = None,
    as_json: AsJson = False,
    show_links: ShowLinks = False,
    limit: Limit = 100,
    after: Annotated[str | None, typer.Option(help="Go on behind this tenant.")] = None,
) -> None:
    """Show tenants: seats needed, taken and paid for."""
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    if tenant is not None:
        with_store(settings, lambda store: _one(store, settings, tenant, as_json, show_links))
    else:
        with_store(settings, lambda store: _all(store, settings, after, limit, as_json))


def upgrades(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help=f"Only those in this state: {', '.join(STATES)}.")] = None,
    as_json: AsJson = False,
    show_links: ShowLinks = False,
    limit: Limit = 100,
    cursor: Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")] = None,
) -> None:
    """List upgrades, newest first."""
    from worker.cli.state import with_store

    if state is not None and state not in STATES:
        raise UsageProblem(f"--state {state!r} is no state of an upgrade: use one of {', '.join(STATES)}")
    settings = Common.of(context).settings()
    with_store(settings, lambda store: _upgrades(store, state, cursor, limit, as_json, show_links))


async def _all(store: RedisStore, settings: Settings, after: str | None, limit: int, as_json: bool) -> None:
    from worker.cli.consoles import err, out, plain, print_json, table
    from worker.core.view import tenant_summary
    from worker.settings.derive import policy_of

    policy = policy_of(settings)
    rows = await store.tenants(None, after, limit)
    loaded = await load_all(store, [row.tenant for row in rows])
    next_ = rows[-1].tenant if len(rows) == limit else None
    if as_json:
        views: list[Json] = [{**tenant_summary(one.tenant, one.counts, policy)} for one in loaded]
        print_json({"tenants": views, "next": next_})
        return
    if not rows:
        out().print("No tenants yet. Publish an event: `seats publish added --tenant T --user U`.")
        return
    numbers = ("needed", "taken", "paid for")
    shown = table("tenant", "status", *numbers, "upgrade", "last looked at", numbers=numbers)
    for one in loaded:
        view = tenant_summary(one.tenant, one.counts, policy)
        upgrade = one.tenant.open_upgrade
        shown.add_row(
            plain(one.tenant.id),
            _word(str(view["status"])),
            str(view["seatsNeeded"]),
            _known(view["activeCount"]),
            _known(view["capacityUnits"]),
            f"{upgrade.state.value}, to {upgrade.new_capacity}" if upgrade else "",
            _ago(one.tenant.reconciled_at, one.now),
        )
    out().print(shown)
    if next_ is not None:
        err().print(plain(f"… and more: go on with --after {next_}"))


async def _one(store: RedisStore, settings: Settings, tenant: str, as_json: bool, show_links: bool) -> None:
    from worker.cli.consoles import out, plain, print_json, print_link, table
    from worker.cli.state import known
    from worker.core.roster import Standing
    from worker.core.view import tenant_view
    from worker.settings.derive import policy_of

    loaded = await known(store, tenant)
    missing = await store.standing(tenant, Standing.MISSING, NAMED_USERS)
    orphaned = await store.standing(tenant, Standing.ORPHANED, NAMED_USERS)
    unreadable = await store.unreadable(tenant)
    view = tenant_view(loaded.tenant, loaded.counts, policy_of(settings), missing, orphaned)
    view["unreadableFacts"] = unreadable
    if as_json:
        shown_upgrade = view["upgrade"]
        if isinstance(shown_upgrade, dict) and not show_links:
            shown_upgrade["checkoutUrl"] = None
        print_json(view)
        return
    shown = table("", "")
    shown.show_header = False
    shown.add_row("tenant", plain(tenant))
    shown.add_row("status", _word(str(view["status"])))
    shown.add_row("seats", f"{view['seatsNeeded']} needed, {_known(view['activeCount'])} taken in Crovver, "
                           f"{_known(view['capacityUnits'])} paid for")  # fmt: skip
    shown.add_row("last looked at", _ago(loaded.tenant.reconciled_at, loaded.now))
    if loaded.pending:
        shown.add_row("waiting", f"{loaded.pending} facts that are yet to be folded in")
    if unreadable:
        shown.add_row("set aside", f"{unreadable} facts that this release can't read")
    for name, users, count in (
        ("missing", missing, loaded.counts.missing),
        ("orphaned", orphaned, loaded.counts.orphaned),
    ):
        if count:
            more = f" … and {count - 10} more" if count > 10 else ""
            shown.add_row(name, plain(", ".join(sorted(users)[:10]) + more))
    for name, text in _outlook_rows(loaded.tenant, loaded.now):
        shown.add_row(name, plain(text))
    upgrade = loaded.tenant.upgrade
    if upgrade is not None:
        for name, text in _upgrade_rows(upgrade, show_links):
            shown.add_row(name, plain(text))
    out().print(shown)
    if show_links and upgrade is not None and (link := _link(upgrade)):
        print_link("link", link)


def _outlook_rows(tenant: Tenant, now: int) -> list[tuple[str, str]]:
    """What people have been told of and is not over, how the need grows, and what credits are left."""
    from worker.core.view import outlook

    rows = [
        ("alert", f"{active.kind.value.replace('_', ' ')} ({active.severity.value}), {_ago(active.since, now)}")
        for active in tenant.alerts
        if active.told
    ]
    if (ahead := outlook(tenant)) is not None:
        full = "no end in sight" if ahead.days_left is None else f"full in {ahead.days_left:.0f} days at that rate"
        rows.append(("growth", f"{ahead.per_day:+.1f} seats a day, {full}"))
    credits = tenant.credits
    if credits is not None and credits.pools:
        left = (f"{pool.name} {'?' if pool.total is None else format(pool.total, ',')} left" for pool in credits.pools)
        rows.append(("credits", ", ".join(left)))
    return rows


async def _upgrades(
    store: RedisStore, state: str | None, cursor: str | None, limit: int, as_json: bool, show_links: bool
) -> None:
    from worker.cli.consoles import err, out, plain, print_json, print_link, table
    from worker.core.upgrade import State
    from worker.core.view import upgrade_view

    rows, next_ = await _upgrade_page(store, State(state) if state else None, cursor, limit)
    owners = await load_all(store, list(dict.fromkeys(row.tenant for row in rows)))
    by_tenant = {one.tenant.id: one for one in owners}
    found = [
        (row.tenant, upgrade) for row in rows if (upgrade := by_tenant[row.tenant].tenant.find(row.upgrade)) is not None
    ]
    if as_json:
        views: list[Json] = [
            {**upgrade_view(upgrade, tenant), **({} if show_links else {"checkoutUrl": None})}
            for tenant, upgrade in found
        ]
        print_json({"upgrades": views, "next": next_})
        return
    if not found:
        out().print(f"No upgrades are {state}." if state else "No upgrades yet.")
        return
    shown = table("upgrade", "tenant", "state", "seats", "asked for", "reason")
    for tenant, upgrade in found:
        shown.add_row(
            upgrade.id,
            plain(tenant),
            upgrade.state.value,
            f"{upgrade.from_capacity} to {upgrade.new_capacity}",
            _ago(upgrade.requested_at, by_tenant[tenant].now),
            plain(upgrade.reason or ""),
        )
    out().print(shown)
    if show_links:
        for _, upgrade in found:
            if link := _link(upgrade):
                print_link(f"link of {upgrade.id}", link)
    if next_ is not None:
        err().print(f"… and more: go on with --cursor {next_}")


async def _upgrade_page(
    store: RedisStore, state: State | None, cursor: str | None, limit: int
) -> tuple[list[UpgradeRow], str | None]:
    import re

    if cursor is not None and not re.fullmatch(r"\d{1,17}(-\d{1,9})?", cursor):
        raise UsageProblem(f"--cursor {cursor!r} is not one that a list ended with: copy it again")
    return await store.upgrades(state, cursor, limit)


async def load_all(store: RedisStore, tenants: list[str]) -> list[Loaded]:
    """The records of these tenants, a few at a time; what can't be read is told of instead."""
    import asyncio

    from worker.cli.consoles import err, plain
    from worker.store.errors import TenantBroken

    loaded: list[Loaded] = []
    for start in range(0, len(tenants), AT_ONCE):
        part = tenants[start : start + AT_ONCE]
        for one in await asyncio.gather(*(store.load(tenant) for tenant in part), return_exceptions=True):
            if isinstance(one, TenantBroken):
                err().print(plain(str(one)))
            elif isinstance(one, BaseException):
                raise one
            else:
                loaded.append(one)
    return loaded


def _upgrade_rows(upgrade: Upgrade, show_links: bool) -> list[tuple[str, str]]:
    from worker.core.times import format_instant

    seats = f"{upgrade.from_capacity} to {upgrade.new_capacity} seats"
    rows = [("upgrade", f"{upgrade.id}: {upgrade.state.value}, {seats}")]
    if upgrade.requested_at is not None:
        rows.append(("asked for", format_instant(upgrade.requested_at)))
    if upgrade.confirmed_at is not None:
        rows.append(("confirmed", format_instant(upgrade.confirmed_at)))
    if upgrade.reason:
        rows.append(("reason", upgrade.reason))
    if _link(upgrade) and not show_links:
        rows.append(("link", "kept back: --show-links shows it"))
    return rows


def _link(upgrade: Upgrade) -> str | None:
    """The link under which an upgrade can be paid now; None where it can't."""
    payable = upgrade.checkout is not None and upgrade.state.value == "awaiting_payment"
    return upgrade.checkout.url if payable and upgrade.checkout is not None else None


def _word(status: str) -> str:
    colours = {"ok": "green", "near_capacity": "yellow", "upgrading": "cyan", "exceeded": "red"}
    return f"[{colours.get(status, 'red')}]{status}[/]"


def _known(value: object) -> str:
    return "?" if value is None else str(value)


def _ago(at: int | None, now: int) -> str:
    """How long ago something was, in its largest unit."""
    if at is None:
        return "never"
    seconds = max(0, now - at) // 1_000_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
