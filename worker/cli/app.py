"""The `seats` commands, in the order in which a newcomer meets them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli import credits, dead_letters, decide, forget, processes, publish, read, roster, sweep, up, what_if, why
from worker.cli.common import Common
from worker.cli.demo import command as demo
from worker.cli.doctor import command as doctor

_DEFAULT_CONFIG = "config/settings.toml"

app = typer.Typer(
    name="seats",
    help="Keeps the seats of your Crovver tenants in step with their users.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"seats {version('seat-reconciler')}")
        except PackageNotFoundError:
            print("seats (a checkout that is not installed)")
        raise typer.Exit


@app.callback(epilog="Exit codes: 0 done, 1 the thing asked for failed, 2 bad usage or configuration.")
def options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with settings. Before or after the command.", show_default=_DEFAULT_CONFIG),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, and log more.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps the seats of your Crovver tenants in step with their users."""
    context.obj = Common(config, debug)


for name, function in (
    ("demo", demo.demo),
    ("up", up.up),
    ("web", processes.web),
    ("worker", processes.worker),
    ("scheduler", processes.scheduler),
    ("sandbox", processes.sandbox),
    ("publish", publish.publish),
    ("import", roster.import_roster),
    ("sweep", sweep.sweep),
    ("status", read.status),
    ("upgrades", read.upgrades),
    ("credits", credits.credits),
    ("why", why.why),
    ("what-if", what_if.what_if),
    ("approve", decide.approve),
    ("cancel", decide.cancel),
    ("retry", decide.retry),
    ("dead-letters", dead_letters.dead_letters),
    ("forget", forget.forget),
    ("doctor", doctor.doctor),
):
    app.command(name)(function)


def command() -> Any:  # noqa: ANN401 (Typer does not export its command class)
    """The commands as one object whose ``main`` runs them."""
    return typer.main.get_command(app)
