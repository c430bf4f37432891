"""`seats publish`: user events, one from the command line or a file of them, straight to Redis."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError, Interrupted, UsageProblem
from worker.cli.saying import remark, say

if TYPE_CHECKING:
    from worker.cli.events_file import Line
    from worker.publisher import SeatEvents
    from worker.settings import Settings

CHECKED_WHOLE = 50 * 1024 * 1024
"""A file up to this size (bytes) is checked to its end before anything of it is sent."""

PROBLEMS_SHOWN = 20


def publish(
    context: typer.Context,
    change: Annotated[str | None, typer.Argument(metavar="[added|removed]", help="What happened to the user.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant.")] = None,
    user: Annotated[str | None, typer.Option(help="The user's id in the host app.")] = None,
    email: Annotated[str | None, typer.Option(help="The user's e-mail address.")] = None,
    name: Annotated[str | None, typer.Option(help="The user's name.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="The event's id.", show_default="a new one")] = None,
    time: Annotated[str | None, typer.Option("--time", help="When it happened (RFC 3339).", show_default="now")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", exists=True, dir_okay=False, readable=True, help="A file of events.")
    ] = None,
) -> None:
    """Publish one event, or a file of them.

    A file holds one JSON object a line: a CloudEvents event, or the short form {"type": "added", "tenant": "acme",
    "user": "ada"}, with "email", "name", "id" and "time" where wanted. A file of up to 50 MB is checked as a whole
    before anything is sent; of a larger one, each batch of 500 lines is.

    How far it got is kept in FILE.progress, which is removed at the end: stopped or failed half-way, run it again and
    it goes on. Running it twice is harmless: a line without an id gets one from its text and place, and a line without
    a time is taken to be as old as the file.
    """
    settings = Common.of(context).settings()
    given = {"change": change, "tenant": tenant, "user": user, "email": email, "name": name, "id": id, "time": time}
    if file is not None:
        alone = [key for key, value in given.items() if value is not None]
        if alone:
            raise UsageProblem("--file can't be combined with an event of the command line: leave one of them out")
        say(_publish_file(settings, file))
        return
    if change not in ("added", "removed"):
        raise UsageProblem("say what happened: `seats publish added|removed --tenant T --user U`, or give a --file")
    if tenant is None or user is None:
        missing = "--tenant" if tenant is None else "--user"
        raise UsageProblem(f"{missing} is missing: `seats publish {change} --tenant T --user U`")
    with _events(settings) as events:
        _publish_one(events, change, tenant, user, email=email, name=name, id=id, time=time)
    verb = "joined" if change == "added" else "left"
    say(f"published: {user} {verb} {tenant}")


def show_problems(lines: Iterable[str]) -> None:
    """What is wrong with a file, a line each, as many as a person wants to see at once."""
    problems = list(lines)
    for line in problems[:PROBLEMS_SHOWN]:
        remark(line)
    if len(problems) > PROBLEMS_SHOWN:
        remark(f"… and {len(problems) - PROBLEMS_SHOWN:,} more")


def _events(settings: Settings) -> SeatEvents:
    from worker.publisher import BadRedisURL, SeatEvents

    settle = settings.settle_seconds.total_seconds()
    try:
        return SeatEvents.from_url(
            settings.require_state(), namespace=settings.namespace, settle_seconds=settle,
            tombstones_for=settings.tombstones_for, min_replicas=settings.min_replicas,
        )  # fmt: skip
    except BadRedisURL as error:
        raise UsageProblem(f"SEATS_STATE_URL can't be published to: {error}") from None


def _publish_one(events: SeatEvents, change: str, tenant: str, user: str, **optional: str | None) -> None:
    from worker.events import BadEvents

    send = events.user_added if change == "added" else events.user_removed
    try:
        send(tenant, user, **optional)
    except BadEvents as bad:
        one = bad.problems[0]
        option = {"data.tenantId": "tenant", "data.userId": "user"}.get(one.field, one.field.removeprefix("data."))
        raise UsageProblem(f"--{option} {one.reason}") from None


def _publish_file(settings: Settings, file: Path) -> str:
    """Check, send batch by batch, and keep how far it got; the line that says so."""
    import time

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from worker.cli import events_file
    from worker.cli.consoles import err
    from worker.cli.progress_file import Progress as Reached
    from worker.cli.progress_file import ProgressFile
    from worker.publisher import StoreError

    size, written_at = file.stat().st_size, min(file.stat().st_mtime_ns // 1000, time.time_ns() // 1000)
    kept = ProgressFile(file)
    reached = kept.load()
    lifetime = settings.tombstones_for
    if size <= CHECKED_WHOLE:
        _check(file, events_file.read_lines(file, written_at), lifetime, whole=True)
    start = reached.events
    lines = events_file.read_lines(file, written_at, offset=reached.offset, number=reached.lines)
    columns = (TextColumn("publishing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = err()
    with (
        _events(settings) as events,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=size, completed=reached.offset)
        try:
            for batch in events_file.batches(lines):
                _check(file, batch, lifetime, whole=False)
                events.publish([line.event for line in batch if line.event is not None])
                reached = Reached(batch[-1].number, batch[-1].end, reached.events + len(batch))
                kept.save(reached)
                progress.update(task, completed=reached.offset)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped after {reached.events:,} events of {file}: run it again to go on") from None
        except StoreError as error:
            sent = f"{reached.events:,} events of {file} are sent"
            raise CommandError(f"{error}; {sent}: run it again to go on") from error
    kept.remove()
    earlier = f", {start:,} of them in an earlier run" if start else ""
    return f"published {reached.events:,} events of {file}{earlier}"


def _check(file: Path, lines: Iterable[Line], lifetime: timedelta | None, *, whole: bool) -> None:
    """Go over lines and say everything that is wrong with them.

    Raises:
        CommandError: something is.
    """
    import time

    from worker.cli import events_file

    now = time.time_ns() // 1000
    oldest = None if lifetime is None else lifetime // timedelta(microseconds=1)
    batches = events_file.batches(lines)
    problems = [problem for batch in batches for problem in events_file.problems_in(batch, now, oldest)]
    if problems:
        show_problems(f"{file}:{problem.line}: {problem.text}" for problem in problems)
        bad = len({problem.line for problem in problems})
        what = "the file" if whole else "their batch"
        raise CommandError(
            f"{'1 line is' if bad == 1 else f'{bad:,} lines are'} bad, so nothing of {what} was sent: "
            f"correct {file} and publish it again"
        )
