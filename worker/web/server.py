"""The web process: settings in, HTTP out, until it is told to stop."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette

from worker import logs
from worker.garbage import collect_less
from worker.logs.redaction import redacted
from worker.settings import Settings
from worker.settings.derive import micros, policy_of
from worker.store.dead_letters import DeadLetters
from worker.store.redis_store import RedisStore
from worker.telemetry import Spans, telemetry
from worker.web.app import create_app
from worker.web.connection import MOST_CONNECTIONS, BoundedProtocol
from worker.web.services import Services

BACKLOG: Final = 2048
KEEP_ALIVE_SECONDS: Final = 15
STOP_WITHIN_SECONDS: Final = 8


class WebServer(uvicorn.Server):
    """uvicorn on a socket that is bound already; ``should_exit = True`` stops it from another thread.

    ``trusted_proxies`` are believed whom they speak for.

    Raises:
        OSError: the address can't be bound.
    """

    def __init__(
        self,
        app: Starlette,
        host: str,
        port: int,
        on_bound: Callable[[str], None] | None = None,
        *,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="auto",
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=list(trusted_proxies),
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
            )
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        bound_port = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{bound_port}" if ":" in host else f"http://{host}:{bound_port}"
        self._on_bound = on_bound

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop, and return."""
        super().run(sockets or [self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_bound is not None:
            self._on_bound(self.url)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            # uvicorn would raise the signal again and have the process die of it. Being told to stop is no failure.
            self._captured_signals.clear()


def run(settings: Settings, host: str, port: int, on_bound: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; requests under way then have 8 seconds left.

    Starts whether or not Redis can be reached: ``/readyz`` and the answers tell. ``on_bound`` is told the URL once
    calls are accepted; port 0 takes a free one.

    Raises:
        ConfigError: no Redis is configured.
        BadRedisURL: a Redis URL can't be used.
        OSError: the address can't be bound.
    """
    logs.setup(settings.log_format, settings.log_level, "web")
    log = structlog.get_logger("worker.web")

    def bound(url: str) -> None:
        log.info("web ready", url=url)
        if on_bound is not None:
            on_bound(url)

    _allow_open_files(2 * MOST_CONNECTIONS)
    with telemetry(settings, "web") as spans:
        app = build_app(settings, spans)
        collect_less()
        WebServer(app, host, port, bound, trusted_proxies=settings.trusted_proxies).run()


def _allow_open_files(count: int) -> None:
    """Raise this process's soft limit, which many systems leave at 1,024: fewer than the connections it may hold."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def build_app(settings: Settings, spans: Spans) -> Starlette:
    """The app that the settings describe, with connections of its own that it closes in the end."""
    broker_url, state_url = settings.require_redis(), settings.require_state()
    state = RedisStore.from_url(
        state_url, settings.namespace, journal_length=settings.journal_length, min_replicas=settings.min_replicas
    )
    broker = state
    if broker_url != state_url:
        broker = RedisStore.from_url(broker_url, settings.namespace, min_replicas=0)

    async def close() -> None:
        await state.aclose()
        if broker is not state:
            await broker.aclose()

    services = Services(
        store=state,
        ping_broker=broker.ping,
        dead_letters=DeadLetters(broker.client, settings.namespace, redacted),
        policy=policy_of(settings),
        clock=time.time,
        log=structlog.get_logger("worker.web"),
        ingest_tokens=tuple(token.get_secret_value() for token in settings.ingest_tokens),
        operator_token=settings.operator_token.get_secret_value() if settings.operator_token else None,
        stripe_secrets=tuple(secret.get_secret_value() for secret in settings.stripe_webhook_secrets),
        crovver_secret=settings.crovver_webhook_secret.get_secret_value() if settings.crovver_webhook_secret else None,
        livemode=settings.livemode,
        settle=micros(settings.settle_seconds),
        spans=spans,
    )
    return create_app(services, on_stop=close)
