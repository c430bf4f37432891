"""What `seats up` fills in for settings that are missing, as environment variables for its children."""

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.cli.errors import CommandError
from worker.cli.local import token
from worker.cli.loopback import HOST, free_port, is_free
from worker.cli.processes import SANDBOX_API_KEY, SANDBOX_PORT
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class FilledIn:
    """The children's additional environment, and what to tell about it. None: as the user configured it."""

    environment: dict[str, str] = field(repr=False)
    web: str
    sandbox: str | None
    redis_url: str | None
    ingest_token: str | None = field(repr=False)
    operator_token: str | None = field(repr=False)
    notes: tuple[str, ...] = ()


def fill_in(settings: Settings, port: int | None, redis_url: str | None) -> FilledIn:
    """Stand-ins for all that is not set. ``port`` is the web's where the command line named it.

    Raises:
        CommandError: the wanted port is taken.
    """
    notes: list[str] = []
    named = port is not None or "port" in settings.model_fields_set
    wanted = settings.port if port is None else port
    web_port = _port(wanted, settings.host, named, notes, "the web")
    host = HOST if settings.host in ("0.0.0.0", "::") else settings.host
    web = f"http://{f'[{host}]' if ':' in host else host}:{web_port}"
    environment = {"SEATS_PORT": str(web_port)}
    if settings.log_format == "auto":
        environment["SEATS_LOG_FORMAT"] = "console"
    if redis_url is not None:
        environment["SEATS_REDIS_URL"] = redis_url
    sandbox = None
    if settings.crovver_api_key is None and settings.crovver_service_key is None:
        sandbox = f"http://{HOST}:{_port(SANDBOX_PORT, HOST, False, notes, 'the sandbox')}"
        environment |= _sandbox_settings(settings, sandbox)
    elif not settings.stripe_webhook_secrets:
        notes.append("SEATS_STRIPE_WEBHOOK_SECRETS is not set: payments are noticed by looking, not told by Stripe")

    def made(name: str, given: object, make: Callable[[], str]) -> str | None:
        if given:
            return None
        environment[name] = make()
        return environment[name]

    return FilledIn(
        environment=environment,
        web=web,
        sandbox=sandbox,
        redis_url=redis_url,
        ingest_token=made("SEATS_INGEST_TOKENS", settings.ingest_tokens, lambda: token("ingest")),
        operator_token=made("SEATS_OPERATOR_TOKEN", settings.operator_token, lambda: token("operator")),
        notes=tuple(notes),
    )


def _sandbox_settings(settings: Settings, sandbox: str) -> dict[str, str]:
    """The sandbox in place of Crovver, and of Stripe where that is not set up either."""
    changes = {"SEATS_CROVVER_BASE_URL": sandbox, "SEATS_CROVVER_API_KEY": SANDBOX_API_KEY}
    if not settings.stripe_webhook_secrets:
        changes["SEATS_STRIPE_WEBHOOK_SECRETS"] = f"whsec_{token('stripe')}"
    if settings.crovver_webhook_secret is None:
        changes["SEATS_CROVVER_WEBHOOK_SECRET"] = token("crovver")
    if settings.stripe_api_key is None:
        changes |= {"SEATS_STRIPE_API_KEY": SANDBOX_API_KEY, "SEATS_STRIPE_BASE_URL": f"{sandbox}/stripe"}
    return changes


def _port(wanted: int, host: str, named: bool, notes: list[str], who: str) -> int:
    if wanted and is_free(wanted, host):
        return wanted
    if named and wanted:
        raise CommandError(f"port {wanted} is taken: choose another with --port, or stop what listens there")
    chosen = free_port()
    if wanted:
        notes.append(f"port {wanted} is taken, so {who} is at {chosen}")
    return chosen
