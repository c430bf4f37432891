"""The sandbox as an ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from .config import SandboxConfig
from .faults import Endpoint
from .public_endpoint import Handler, PublicEndpoint
from .routes.allocations import allocations, count
from .routes.bulk_allocate import bulk_allocate
from .routes.checkout_pages import checkout_page_routes
from .routes.control import control_routes
from .routes.credits import credits_balance
from .routes.index_page import index_routes
from .routes.pages import static_files
from .routes.proration_checkout import proration_checkout
from .routes.stripe_api import expire_session, list_sessions, retrieve_session
from .state import SandboxState

_CROVVER = "/api/public"
_SESSIONS = "/stripe/v1/checkout/sessions"


def create_app(config: SandboxConfig | None = None) -> Starlette:
    """A sandbox of its own, empty until tenants are PUT into it; its state dies with it.

    The faults that close connections need the server of ``server.run``; everything else works under any ASGI server.
    """
    state = SandboxState(config or SandboxConfig())

    def public(method: str, path: str, endpoint: Endpoint, handler: Handler) -> Route:
        return Route(path, PublicEndpoint(state, endpoint, handler), methods=[method])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await state.close()

    return Starlette(
        routes=[
            public("GET", f"{_CROVVER}/capacity/allocations", Endpoint.ALLOCATIONS, allocations),
            public("POST", f"{_CROVVER}/capacity/proration-checkout", Endpoint.PRORATION_CHECKOUT, proration_checkout),
            public("POST", f"{_CROVVER}/capacity/bulk-allocate", Endpoint.BULK_ALLOCATE, bulk_allocate),
            public("POST", f"{_CROVVER}/capacity/count", Endpoint.COUNT, count),
            public("GET", f"{_CROVVER}/credits/balance", Endpoint.CREDITS, credits_balance),
            public("GET", _SESSIONS, Endpoint.STRIPE, list_sessions),
            public("GET", _SESSIONS + "/{session}", Endpoint.STRIPE, retrieve_session),
            public("POST", _SESSIONS + "/{session}/expire", Endpoint.STRIPE, expire_session),
            *control_routes(state),
            *checkout_page_routes(state),
            *index_routes(state),
            Route("/healthz", lambda _: JSONResponse({"status": "ok"})),
            static_files(),
        ],
        lifespan=lifespan,
    )
