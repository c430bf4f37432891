"""`seats why`: the facts and the rule behind a tenant's latest decision, with the journal before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.redis_store import RedisStore


def why(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    notes: Annotated[int, typer.Option("-n", "--entries", min=0, max=1000, help="Journal entries to show.")] = 10,
) -> None:
    """Say in plain words why a checkout was or was not started.

    The facts and the rule behind a tenant's latest decision, with the journal before it.
    """
    from worker.cli.state import with_store

    settings = Common.of(context).settings()
    with_store(settings, lambda store: _why(store, settings, tenant, as_json, notes))


async def _why(store: RedisStore, settings: Settings, tenant: str, as_json: bool, count: int) -> None:
    from worker.cli.consoles import out, plain, print_json, table
    from worker.cli.state import known
    from worker.core.explain import describe_note, explain
    from worker.core.journal import Json
    from worker.core.times import format_instant
    from worker.core.view import note_view
    from worker.settings.derive import policy_of

    loaded = await known(store, tenant)
    paragraph = explain(loaded.tenant, loaded.counts, policy_of(settings))
    notes, _ = await store.journal(tenant, before=None, limit=count) if count else ([], None)
    if as_json:
        entries: list[Json] = [{**note_view(note), "text": describe_note(note)} for note in notes]
        print_json({"tenantId": tenant, "why": paragraph, "journal": entries})
        return
    console = out()
    console.print(plain(paragraph), soft_wrap=not console.is_terminal)
    if loaded.pending:
        waiting = "1 fact is" if loaded.pending == 1 else f"{loaded.pending} facts are"
        console.print(f"{waiting} waiting that this decision does not know of yet.")
    if notes:
        console.print("\nBefore that, latest first:")
        shown = table("", "")
        shown.show_header = False
        for note in notes:
            at = note.get("at")
            shown.add_row(format_instant(at) if isinstance(at, int) else "", plain(describe_note(note)))
        console.print(shown)
