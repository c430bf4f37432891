"""`seats up`: everything in one foreground process group, for local work."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import BAD_USAGE, FAILED, Interrupted, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from worker.cli.filled_in import FilledIn
    from worker.cli.local import Patience
    from worker.cli.supervisor import Child
    from worker.embedded import EmbeddedServer

SAMPLE = "acme"
_COLOURS = {"sandbox": "magenta", "web": "blue", "worker": "green", "scheduler": "yellow"}

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="The web's port.", show_default="SEATS_PORT, 8000")]
Data = Annotated[
    Path | None, typer.Option(file_okay=False, help="Keep the embedded Valkey's data here.", show_default="forgotten")
]


def up(context: typer.Context, port: Port = None, data: Data = None) -> None:
    """Run everything in the foreground, for local work.

    An embedded Valkey and the sandbox stand in for whatever is not configured. Ctrl-C stops it all.
    """
    from contextlib import ExitStack

    from worker.cli.consoles import err
    from worker.cli.filled_in import fill_in
    from worker.cli.local import Patience
    from worker.cli.stopping import StopRequests
    from worker.cli.supervisor import ChildEnded, Supervisor
    from worker.embedded import EmbeddedServer

    common = Common.of(context)
    settings = common.settings()
    if data is not None and settings.redis_url is not None:
        raise UsageProblem("--data is for the embedded Valkey, but SEATS_REDIS_URL is set: leave one of them out")
    console = err()
    ready: set[str] = set()
    say = _log_sink(console, ready)
    with StopRequests() as requests, ExitStack() as cleanup:
        valkey = None
        if settings.redis_url is None:
            valkey = cleanup.enter_context(EmbeddedServer(data_dir=data))
        filled = fill_in(settings, port, valkey.url if valkey else None)
        supervisor = Supervisor(on_line=say, on_event=say)
        cleanup.callback(lambda: supervisor.stop(lambda: requests.count > 1))
        patience = Patience(supervisor, requests)
        try:
            for child in _children(common, filled):
                supervisor.start(child)
            _until_ready(patience, filled)
            patience.until(lambda: {"worker", "scheduler"} <= ready, 10.0)
            console.print(*_welcome(common, filled, data), sep="\n", markup=False, soft_wrap=True)
            _watch(patience, valkey, say)
        except Interrupted:
            console.print("seats: stopping …")
        except ChildEnded as ended:
            code = BAD_USAGE if ended.code == BAD_USAGE else FAILED
            console.print(f"seats: {ended}: its last words are above", markup=False)
            raise typer.Exit(code) from None


def _children(common: Common, filled: FilledIn) -> list[Child]:
    from worker.cli.children import inherited
    from worker.cli.supervisor import Child

    environment = inherited(filled.environment)
    commands: list[tuple[str, tuple[str, ...]]] = [
        ("web", ("web",)),
        ("worker", ("worker",)),
        ("scheduler", ("scheduler",)),
    ]
    if filled.sandbox is not None:
        commands.insert(0, ("sandbox", ("sandbox", "--no-hints", "--port", filled.sandbox.rpartition(":")[2])))
    return [Child(name, (*common.arguments, *words), environment, restart=True) for name, words in commands]


def _until_ready(patience: Patience, filled: FilledIn) -> None:
    from worker.cli.loopback import call

    if filled.sandbox is not None:
        patience.until_up("the sandbox", filled.sandbox)
        tenant = f"{filled.sandbox}/sandbox/tenants/{SAMPLE}"
        if call("GET", tenant).status == 404:
            call("PUT", tenant, {"capacity": 3, "taken": 3})
    patience.until_up("the web", filled.web)


def _watch(patience: Patience, valkey: EmbeddedServer | None, say: Callable[[str, str], None]) -> None:
    """Until Ctrl-C; the embedded server is started again like everything else."""

    def died() -> bool:
        return valkey is not None and not valkey.running

    while True:
        if patience.until(died, 3600.0) and valkey is not None:
            say("valkey", "died; it is started again")
            valkey.restart()


def _welcome(common: Common, filled: FilledIn, data: Path | None) -> list[str]:
    """What runs, what stands in for what, and commands that work as they are printed."""
    import json
    import shlex

    from worker.cli.children import shell_name

    where = f"kept in {data}" if data is not None else "forgotten at the end (--data DIR keeps it)"
    redis = crovver = "as configured"
    if filled.redis_url:
        redis = f"an embedded Valkey stands in: {filled.redis_url}, its data is {where}"
    if filled.sandbox:
        crovver = f"the sandbox stands in: open {filled.sandbox} to make tenants and to pay"
    sign_in = filled.operator_token or "your SEATS_OPERATOR_TOKEN"
    lines = [
        "",
        "Seat Reconciler is up. Ctrl-C stops it.",
        f"  Redis    {redis}",
        f"  Crovver  {crovver}",
        f"  Web      open the dashboard: {filled.web}/",
        f"  Sign in  with the operator token: {sign_in}",
    ]
    lines += [f"  Note     {note}" for note in filled.notes]
    event = {"specversion": "1.0", "id": "evt_1", "source": "myapp", "type": "user.added"}
    body = json.dumps({**event, "data": {"tenantId": SAMPLE, "userId": "ada"}}, separators=(",", ":"))
    bearer = filled.ingest_token or "$SEATS_INGEST_TOKEN"
    prefix = f"SEATS_REDIS_URL={filled.redis_url} " if filled.redis_url else ""
    seats = shell_name() + (f" --config {shlex.quote(str(common.config))}" if common.config is not None else "")
    tenant = f" (in the sandbox, {SAMPLE} has 3 seats, all taken)" if filled.sandbox else ""
    lines += [
        f"Try it{tenant}:",
        f"  curl -i {filled.web}/v1/events -H 'Authorization: Bearer {bearer}' -H 'Content-Type: application/json' "
        f"-d '{body}'",
        f"  {prefix}{seats} publish added --tenant {SAMPLE} --user grace",
        f"  {prefix}{seats} status {SAMPLE} --show-links",
        f"  {prefix}{seats} why {SAMPLE}",
        "",
    ]
    return lines


def _log_sink(console: Console, ready: set[str]) -> Callable[[str, str], None]:
    """Shows children's lines, each with its child's name before it; JSON is left as it is.

    Whoever says that it is ready is put into ``ready``.
    """
    from rich.text import Text

    lock = threading.Lock()

    def say(name: str, line: str) -> None:
        with lock:
            if f"{name} ready" in line:
                ready.add(name)
            if line.startswith("{"):
                console.file.write(line + "\n")
                console.file.flush()
            else:
                prefix = Text(f"{name:>9} │ ", style=_COLOURS.get(name, "red"))
                console.print(prefix + Text.from_ansi(line), soft_wrap=True)

    return say
