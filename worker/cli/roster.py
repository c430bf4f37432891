"""`seats import`: a tenant's full user list."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError, UsageProblem
from worker.cli.saying import say

if TYPE_CHECKING:
    from worker.core.facts import RosterUser
    from worker.store.redis_store import RedisStore


def import_roster(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True,
            help="roster.csv with a header (userId or user_id, id, user; email; name), or roster.jsonl.",
        ),
    ],
    tenant: Annotated[str, typer.Option(help="The tenant whose users these are.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="When the list was true (RFC 3339).", show_default="now")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take it even if it removes most users.")] = False,
) -> None:  # fmt: skip
    """Take a full list of a tenant's users from a file.

    Users that are not in it count as removed, unless something newer than the list speaks for them. Importing a file
    again changes nothing.
    """
    from worker.cli.publish import show_problems
    from worker.cli.roster_file import BadRoster, read_roster
    from worker.cli.state import with_store
    from worker.events import problem_of_id

    settings = Common.of(context).settings()
    settings.require_state()
    if problem := problem_of_id(tenant):
        raise UsageProblem(f"--tenant {problem}: check the id")
    try:
        users = read_roster(file)
    except BadRoster as bad:
        show_problems(f"{file}: {problem}" for problem in bad.problems)
        raise CommandError(f"nothing of {file} was taken: correct it, and import it again") from None
    lifetime = settings.tombstones_for
    say(with_store(settings, lambda store: _import(store, tenant, users, as_of, force, lifetime)))


async def _import(
    store: RedisStore, tenant: str, users: tuple[RosterUser, ...], as_of: str | None, force: bool,
    lifetime: timedelta | None,
) -> str:  # fmt: skip
    import uuid

    from worker.core.facts import RosterFact
    from worker.core.times import format_instant
    from worker.store.snapshot import effect_of

    now = await store.now()
    at = now if as_of is None else _instant(as_of, now, lifetime)
    fact = RosterFact(users, at, f"ros_{uuid.uuid4().hex}", forced=force)
    effect = await effect_of(store, tenant, fact)
    if effect.drastic and not force:
        raise CommandError(
            f"this roster would remove {effect.removed:,} of the {effect.needed:,} users of {tenant}, which is "
            "more likely a mistake than a wish: nothing was taken; if it is meant, import it again with --force"
        )
    await store.append({tenant: [fact]})
    others = f"{effect.removed:,} that are not among them count as removed"
    return f"{len(users):,} users of {tenant} as of {format_instant(at)}; {others}"


def _instant(text: str, now: int, lifetime: timedelta | None) -> int:
    from worker.core.times import parse_instant
    from worker.events import MOST_AHEAD

    try:
        at = parse_instant(text)
    except ValueError as error:
        raise UsageProblem(f"--as-of is {error}") from None
    if at > now + MOST_AHEAD:
        raise UsageProblem("--as-of is more than 5 minutes in the future: give the time at which the list was true")
    if lifetime is not None and at < now - lifetime // timedelta(microseconds=1):
        raise UsageProblem(
            f"--as-of is more than {lifetime / timedelta(days=1):g} days ago, which SEATS_TOMBSTONES_FOR is set to: "
            "leave it out if the list is true now"
        )
    return at
