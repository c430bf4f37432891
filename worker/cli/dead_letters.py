"""`seats dead-letters`: the messages of the queue that gave up, and what to do about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError, UsageProblem

if TYPE_CHECKING:
    from worker.core.journal import Json
    from worker.settings import Settings
    from worker.store.dead_letters import DeadLetters
    from worker.store.letters import DeadLetter

R = TypeVar("R")

ACTIONS = ("list", "show", "requeue", "discard")
QUEUES = ("seat-events", "reconcile", "alerts")
_PAST = {"requeue": "requeued", "discard": "discarded"}


def dead_letters(
    context: typer.Context,
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(ACTIONS)}.")] = "list",
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The messages, as the list has them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Requeue or discard all of them.")] = False,
    queue: Annotated[str | None, typer.Option(help=f"Only those of this queue: {', '.join(QUEUES)}.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Discard without being asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the operator API's JSON.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many to list.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="Go on where an earlier list ended.")] = None,
) -> None:
    """Show messages that gave up; have them handled once more, or drop them.

    What may be personal in them is masked. They are kept for 30 days.
    """
    given = ids or []
    _check(action, given, everything, queue)
    settings = Common.of(context).settings()
    if action == "list":
        _with(settings, lambda letters: _list(letters, queue, cursor, limit, as_json))
    elif action == "show":
        _with(settings, lambda letters: _show(letters, given, as_json))
    else:
        _with(settings, lambda letters: _settle(letters, action, given, everything, queue, yes, as_json))


def _check(action: str, ids: list[str], everything: bool, queue: str | None) -> None:
    """Refuse what can't be meant."""
    if action not in ACTIONS:
        raise UsageProblem(f"{action!r} is nothing to do with dead letters: use one of {', '.join(ACTIONS)}")
    if queue is not None and queue not in QUEUES:
        raise UsageProblem(f"--queue {queue!r} is no queue of a deployment: use one of {', '.join(QUEUES)}")
    if action == "list" and (ids or everything):
        raise UsageProblem("the list takes no ids and no --all: to see one of them, use `seats dead-letters show ID`")
    if action == "show" and (not ids or everything or queue):
        raise UsageProblem("name what to show by its id: `seats dead-letters show ID`, with no --all and no --queue")
    if action in _PAST and bool(ids) == everything:
        raise UsageProblem(f"say what to {action}: ids, or --all")
    if action in _PAST and ids and queue:
        raise UsageProblem("--queue goes with --all: an id says its queue by itself")


def _with(settings: Settings, work: Callable[[DeadLetters], Awaitable[R]]) -> R:
    """Run some work with the dead letters of the broker that the settings name."""
    import asyncio

    from worker.logs.redaction import redacted
    from worker.store.connect import BadRedisURL
    from worker.store.dead_letters import DeadLetters

    async def run() -> R:
        try:
            letters = DeadLetters.from_url(settings.require_redis(), settings.namespace, redacted)
        except BadRedisURL as error:
            raise UsageProblem(f"SEATS_REDIS_URL can't be used: {error}") from error
        try:
            return await work(letters)
        finally:
            await letters.aclose()

    return asyncio.run(run())


async def _list(letters: DeadLetters, queue: str | None, cursor: str | None, limit: int, as_json: bool) -> None:
    from worker.cli.consoles import err, out, plain, print_json, table
    from worker.core.times import format_instant
    from worker.store.letters import letter_row

    if cursor is not None and not cursor.partition("-")[0].isdecimal():
        raise UsageProblem(f"--cursor {cursor!r} is not one that a list ended with: copy it again")
    found, following = await letters.list(queue, cursor, limit)
    if as_json:
        rows: list[Json] = [letter_row(letter) for letter in found]
        print_json({"deadLetters": rows, "next": following})
        return
    if not found:
        out().print("No dead letters.")
        return
    shown = table("id", "queue", "died at", "what it was", "problem")
    for letter in found:
        died = format_instant(letter.died_at)
        shown.add_row(plain(letter.id), letter.queue, died, plain(_call(letter)), plain(letter.problem))
    out().print(shown)
    if following is not None:
        err().print(plain(f"… and more: go on with --cursor {following}"))


async def _show(letters: DeadLetters, ids: list[str], as_json: bool) -> None:
    from worker.cli.consoles import out, plain, print_json, table
    from worker.core.times import format_instant
    from worker.store.letters import letter_view

    for ident in ids:
        letter = await letters.get(ident)
        if letter is None:
            raise _unknown(ident)
        if as_json:
            print_json(letter_view(letter))
            continue
        shown = table("", "")
        shown.show_header = False
        shown.add_row("id", plain(letter.id))
        shown.add_row("queue", letter.queue)
        shown.add_row("what it was", plain(_call(letter)))
        if letter.sent_at is not None:
            shown.add_row("sent at", format_instant(letter.sent_at))
        shown.add_row("died at", format_instant(letter.died_at))
        shown.add_row("problem", plain(letter.problem))
        if letter.body is not None:
            shown.add_row("bytes", plain(letter.body))
        out().print(shown)
        for line in (letter.traceback or "").splitlines():
            out().print(plain(f"  {line}"), soft_wrap=True)


async def _settle(
    letters: DeadLetters, action: str, ids: list[str], everything: bool, queue: str | None, yes: bool, as_json: bool
) -> None:
    from worker.cli.asking import confirm
    from worker.cli.consoles import print_json
    from worker.cli.saying import say

    settle = letters.requeue if action == "requeue" else letters.discard
    if action == "discard":
        count = sum(size for name, size in (await letters.count()).items() if queue in (None, name))
        confirm(f"Drop {_messages(count if everything else len(ids))} for good?", yes)
    done = 0
    if everything:
        async for letter in letters.every(queue):
            done += await settle(letter.id)
    else:
        # Looked for before anything is done: a slip in one id should not leave half of it done.
        for ident in ids:
            if await letters.get(ident) is None:
                raise _unknown(ident)
        for ident in ids:
            done += await settle(ident)
    if as_json:
        print_json({_PAST[action]: done})
    else:
        say(f"{_messages(done)} {_PAST[action]}")


def _call(letter: DeadLetter) -> str:
    """What a message asked for, as a call."""
    import json

    if letter.actor is None:
        return f"{letter.size:,} bytes"
    args = [json.dumps(value, ensure_ascii=False) for value in letter.args]
    args += [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in letter.kwargs.items()]
    return f"{letter.actor}({', '.join(args)})"


def _messages(count: int) -> str:
    return f"{count:,} {'message' if count == 1 else 'messages'}"


def _unknown(ident: str) -> CommandError:
    return CommandError(f"no dead letter {ident!r} is known: `seats dead-letters` lists them")
