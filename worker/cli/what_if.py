"""`seats what-if`: the journal's facts under another policy, beside what happened. Reads, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError, UsageProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from worker.core.history import History
    from worker.core.journal import Json
    from worker.core.policy import Policy
    from worker.core.what_if import WhatIf
    from worker.settings import Settings
    from worker.store.redis_store import RedisStore

SETTINGS = {
    "block": ("seat_block", "block"),
    "headroom": ("headroom_seats", "headroom"),
    "cap": ("max_capacity", "cap"),
    "max_capacity": ("max_capacity", "cap"),
    "mode": ("upgrade_mode", "mode"),
    "warn_at": ("warn_at", "warn_at"),
}
"""What may stand in ``--policy``: the setting that it is in life, and the part of the policy."""

NONE = "none"
PAGE = 200
NOTES_AT_ONCE = 1000


def what_if(
    context: typer.Context,
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME=VALUE,…",
            help="What to change of the policy of today: block=5, headroom=2, cap=100 (or none), "
            "mode=auto|approval|alert, warn_at=80/90.",
        ),
    ],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only the last so much time: 30d, 12h, 90m.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, with every tenant.")] = False,
) -> None:
    """Replay the journal under another policy, beside what happened.

    How many checkouts, seats and alerts it would have meant. Calls nothing and changes nothing.
    """
    from worker.cli.state import with_store
    from worker.cli.what_if_table import print_answer

    settings = Common.of(context).settings()
    changes = changes_in(policy)
    other = changed(settings, Common.of(context).config, changes)
    length = None if since is None else duration_of(since)
    answer = with_store(settings, lambda store: _replayed(store, settings, other, tenant, length))
    print_answer(answer, changes, as_json)


def changes_in(text: str) -> dict[str, str]:
    """The names and values of ``--policy``.

    Raises:
        UsageProblem: it can't be read, or names what is no part of a policy.
    """
    names = ", ".join(SETTINGS)
    changes: dict[str, str] = {}
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not value or not name:
            raise UsageProblem(f"--policy {item.strip()!r} is not name=value: write it like block=5,headroom=2")
        if name not in SETTINGS:
            raise UsageProblem(f"--policy {name!r} is no part of a policy: use {names}")
        if SETTINGS[name] in {SETTINGS[known] for known in changes}:
            raise UsageProblem(f"--policy {name!r} is given twice: keep the one that is meant")
        changes[name] = value
    return changes


def changed(settings: Settings, config: Path | None, changes: dict[str, str]) -> Policy:
    """Today's policy with the changes, read by the rules that the settings themselves are read by.

    Raises:
        UsageProblem: a value is none that the setting could have.
    """
    from worker.settings import ConfigError, Settings
    from worker.settings.derive import policy_of

    policy = policy_of(settings)
    for name, value in changes.items():
        setting, part = SETTINGS[name]
        if part == "cap" and value == NONE:
            policy = replace(policy, cap=None)
            continue
        try:
            read = Settings.load(config, {**os.environ, f"SEATS_{setting.upper()}": value.replace("/", ",")})
        except ConfigError as error:
            raise UsageProblem(f"--policy {name} {error.problem}: {error.remedy}") from None
        policy = replace(policy, **{part: getattr(policy_of(read), part)})
    return policy


def duration_of(text: str) -> int:
    """A length of time in microseconds.

    Raises:
        UsageProblem: it is none, or of no use here.
    """
    from datetime import timedelta

    from pydantic import TypeAdapter, ValidationError

    from worker.settings.derive import micros
    from worker.settings.errors import Problem
    from worker.settings.values import duration

    try:
        reader = TypeAdapter(Annotated[timedelta, duration(timedelta(seconds=1), timedelta(days=3650))])
        return micros(reader.validate_python(text))
    except ValidationError as error:
        problem = error.errors()[0].get("ctx", {}).get("error")
    said = f"{problem.problem}: {problem.remedy}" if isinstance(problem, Problem) else "must be a duration such as 30d"
    raise UsageProblem(f"--since {said}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found: each tenant's figures, over which time, under which policies."""

    present: Policy
    other: Policy
    until: int
    tenants: dict[str, WhatIf]
    starts: dict[str, int]


async def _replayed(
    store: RedisStore, settings: Settings, other: Policy, tenant: str | None, length: int | None
) -> Answer:
    """Every tenant's past, or one's, played again.

    Raises:
        CommandError: there is none to play.
    """
    from worker.cli.state import known
    from worker.core.what_if import what_if as compared
    from worker.settings.derive import policy_of, powers_of

    present, powers = policy_of(settings), powers_of(settings)
    until = await store.now()
    since = 0 if length is None else max(0, until - length)
    found: dict[str, WhatIf] = {}
    starts: dict[str, int] = {}
    if tenant is not None:
        await known(store, tenant)
    async for name in _one(tenant) if tenant is not None else _all(store):
        history = await _history(store, name, since, until)
        if history is not None:
            starts[name] = history.start
            found[name] = compared(history, present, other, powers)
    if not found:
        what = "no tenant has been reconciled yet" if tenant is None else f"the journal of {tenant!r} holds no decision"
        raise CommandError(f"there is nothing to replay: {what}")
    return Answer(present, other, until, found, starts)


async def _one(tenant: str) -> AsyncIterator[str]:
    yield tenant


async def _all(store: RedisStore) -> AsyncIterator[str]:
    """All tenants, with a progress bar at a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from worker.cli.consoles import err

    console, last = err(), None
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=await store.tenant_count())
        while rows := await store.tenants(None, last, PAGE):
            for row in rows:
                yield row.tenant
                progress.advance(task)
            last = rows[-1].tenant


async def _history(store: RedisStore, tenant: str, since: int, until: int) -> History | None:
    """A tenant's past, with as much of its journal as reaches back to the last decision before ``since``."""
    from worker.core.read_history import read_history

    record = (await store.load(tenant)).tenant
    notes: list[dict[str, Json]] = []
    cursor: str | None = None
    while True:
        page, cursor = await store.journal(tenant, before=cursor, limit=NOTES_AT_ONCE)
        notes += page
        if cursor is None or any(_decided_before(note, since) for note in page):
            return read_history(record, reversed(notes), until, since)


def _decided_before(note: dict[str, Json], since: int) -> bool:
    at = note.get("at")
    return note.get("kind") == "decision" and isinstance(at, int) and at < since
