"""The web process as an ASGI app."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from worker.store.guard import StateGuard
from worker.web.boundary import Boundary
from worker.web.dashboard.app import dashboard_routes
from worker.web.dead_letters import dead_letter_routes
from worker.web.events import event_routes
from worker.web.health import health_routes
from worker.web.metrics import metrics_routes
from worker.web.openapi import openapi_routes
from worker.web.problems import HANDLERS
from worker.web.roster import roster_routes
from worker.web.services import Services
from worker.web.tenants import tenant_routes
from worker.web.upgrades import upgrade_routes
from worker.web.webhooks import webhook_routes


def create_app(services: Services, *, on_stop: Callable[[], Awaitable[None]] | None = None) -> Starlette:
    """The app. Nothing is connected to before it is needed; ``on_stop`` is awaited after the last request.

    A route whose secret is not set is not there at all, so that it answers 404 before anything else is looked at.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stop = asyncio.Event()
        flushing = asyncio.create_task(services.meters.keep_flushing(services.store, stop))
        watching = asyncio.create_task(StateGuard(services.store).watch(stop))
        yield
        stop.set()
        await flushing
        watching.cancel()
        if on_stop is not None:
            await on_stop()

    app = Starlette(
        routes=[
            *event_routes(services),
            *roster_routes(services),
            *webhook_routes(services),
            *tenant_routes(services),
            *upgrade_routes(services),
            *dead_letter_routes(services),
            *health_routes(services),
            *metrics_routes(services),
            *openapi_routes(),
            *dashboard_routes(services),
        ],
        middleware=[Middleware(Boundary, log=services.log)],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    # A redirect would lose the body of a POST, and tell where a path might be.
    app.router.redirect_slashes = False
    return app
