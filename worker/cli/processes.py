"""`seats web`, `worker`, `scheduler` and `sandbox`: the processes of a deployment, each in the foreground."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from worker.cli.common import Common
from worker.cli.errors import CommandError
from worker.cli.stopping import StopRequests, stopping_is_success

WORKER_STOP_SECONDS = 50.0
"""A worker finishes the calls it has under way; it takes 45 seconds at most for that."""

SANDBOX_PORT = 8010
SANDBOX_API_KEY = "sk_test_sandbox"
SANDBOX_STRIPE_SECRET = "whsec_sandbox"
SANDBOX_CROVVER_SECRET = "sandbox-crovver-webhooks"

Host = Annotated[str | None, typer.Option(help="The address to listen on.", show_default="SEATS_HOST, 127.0.0.1")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.", show_default="SEATS_PORT, 8000")
]
Processes = Annotated[
    int | None, typer.Option(min=1, max=64, help="Worker processes.", show_default="SEATS_WORKER_PROCESSES, 1")
]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Threads in each.", show_default="SEATS_WORKER_THREADS, 16")
]


def web(context: typer.Context, host: Host = None, port: Port = None) -> None:
    """Serve the event door, the webhooks, the operator API and the dashboard."""
    from worker.web.server import run

    common = Common.of(context)
    settings = common.settings()
    settings.require_state()
    common.log_as("web", settings)
    at_host, at_port = host or settings.host, settings.port if port is None else port
    with _listening(at_host, at_port):
        run(settings, at_host, at_port)


def worker(context: typer.Context, processes: Processes = None, threads: Threads = None) -> None:
    """Reconcile tenants.

    With several processes, this one watches over them and starts again those that die.
    """
    common = Common.of(context)
    settings = common.settings()
    settings.require_redis()
    settings.require_crovver()
    count = processes or settings.worker_processes
    if count > 1:
        raise typer.Exit(_supervise(common, count, threads or settings.worker_threads))
    from worker.actors import process

    common.log_as("worker", settings)
    with stopping_is_success():
        raise typer.Exit(process.run(settings, threads or settings.worker_threads))


def scheduler(context: typer.Context) -> None:
    """Wake the tenants that are due.

    One is needed; more stand in for each other.
    """
    from worker.actors import scheduler as actor

    common = Common.of(context)
    settings = common.settings()
    settings.require_redis()
    common.log_as("scheduler", settings)
    with stopping_is_success():
        raise typer.Exit(actor.run(settings))


def sandbox(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on; it asks nobody who they are.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = SANDBOX_PORT,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            help="Where Stripe's events go; Crovver's go to /webhooks/crovver beside it.",
            show_default="/webhooks/stripe of SEATS_HOST and SEATS_PORT",
        ),
    ] = None,
    hints: Annotated[bool, typer.Option("--hints/--no-hints", hidden=True)] = True,
) -> None:
    """Run a local Crovver with hosted checkout pages.

    Like Stripe's, they send signed webhooks, by SEATS_STRIPE_WEBHOOK_SECRETS (the first of them) and
    SEATS_CROVVER_WEBHOOK_SECRET where these are set. Nothing is kept. Open its page to make tenants and to pay.
    """
    from worker.sandbox import server
    from worker.sandbox.config import SandboxConfig

    settings = Common.of(context).settings()
    stripe = settings.stripe_webhook_secrets[0].get_secret_value() if settings.stripe_webhook_secrets else None
    crovver = settings.crovver_webhook_secret.get_secret_value() if settings.crovver_webhook_secret else None
    target = webhook_url or f"http://{_reachable(settings.host)}:{settings.port}/webhooks/stripe"
    config = SandboxConfig(
        webhook_url=target,
        webhook_secret=stripe or SANDBOX_STRIPE_SECRET,
        crovver_webhook_url=target.removesuffix("/stripe") + "/crovver",
        crovver_webhook_secret=crovver or SANDBOX_CROVVER_SECRET,
    )

    def ready(url: str) -> None:
        if not hints:
            return
        print(f"The sandbox is at {url} and sends its webhooks to {target}. For the worker:", flush=True)
        print(f"  export SEATS_CROVVER_BASE_URL={url} SEATS_CROVVER_API_KEY={SANDBOX_API_KEY}", flush=True)
        if stripe is None:
            print(f"  export SEATS_STRIPE_WEBHOOK_SECRETS={SANDBOX_STRIPE_SECRET}", flush=True)
        if crovver is None:
            print(f"  export SEATS_CROVVER_WEBHOOK_SECRET={SANDBOX_CROVVER_SECRET}", flush=True)

    with _listening(host, port):
        server.run(host, port, config, ready)


def _supervise(common: Common, count: int, threads: int) -> int:
    import sys

    from worker.cli.children import inherited
    from worker.cli.supervisor import Child, Supervisor

    def tell(name: str, text: str) -> None:
        print(f"seats: {name} {text}", file=sys.stderr, flush=True)

    arguments = (*common.arguments, "worker", "--processes", "1", "--threads", str(threads))
    with StopRequests() as requests, Supervisor(on_event=tell, stop_seconds=WORKER_STOP_SECONDS) as supervisor:
        for number in range(1, count + 1):
            supervisor.start(Child(f"worker {number}", arguments, inherited({}), restart=True))
        return supervisor.run(lambda: requests.count)


def _reachable(host: str) -> str:
    """A host to send to, where a server listens on this one."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    """Ctrl-C is success in here, and an address that can't be listened on is told in a line."""
    try:
        with stopping_is_success():
            yield
    except OSError as error:
        if error.filename is not None:
            raise
        why = os.strerror(error.errno) if error.errno else str(error)
        raise CommandError(f"can't listen on {host} port {port} ({why}): choose another --host or --port") from error
