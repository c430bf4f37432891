"""The command: settings in, findings out, exit code 1 where something must be fixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import FAILED


def doctor(
    context: typer.Context,
    send_test: Annotated[
        bool, typer.Option("--send-test", help="Send a test message to every alert channel as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as a JSON list.")] = False,
) -> None:
    """Check settings, Redis, Crovver, Stripe and alert channels.

    Each line says good, could be better or must be fixed, and how. It changes nothing; exit code 1 if something must be
    fixed.
    """
    import asyncio

    from worker.cli.consoles import err
    from worker.cli.doctor.examination import checks, examine
    from worker.cli.doctor.findings import Verdict
    from worker.cli.doctor.render import show, show_json

    settings = Common.of(context).settings()
    with _log(debug=Common.of(context).debug), err().status("Looking at everything this deployment rests on …"):
        findings = asyncio.run(examine(checks(settings, send_test=send_test)))
    (show_json if as_json else show)(findings)
    if any(one.verdict is Verdict.FIX for one in findings):
        raise typer.Exit(FAILED)


@contextmanager
def _log(*, debug: bool) -> Iterator[None]:
    """What the clients log of their calls goes to standard error with ``--debug``, and else nowhere."""
    import logging

    import structlog

    from worker import logs

    if debug:
        logs.setup("console", "debug", "doctor")
        yield
        return
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
