"""The page at ``/``: tenants, their checkouts, and buttons to play the customer."""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..checkouts import Checkout
from ..state import SandboxState
from ..tenants import Provider
from ..times import now
from .control_bodies import TenantBody
from .control_request import ControlError, checked_values, raw_body
from .pages import page

MAX_TENANTS_SHOWN = 100
MAX_CHECKOUTS_SHOWN = 10
MAX_DELIVERIES_SHOWN = 15


async def show_index(state: SandboxState) -> Response:
    checkouts: dict[str, list[Checkout]] = {}
    for checkout in state.checkouts.newest_first():
        shown = checkouts.setdefault(checkout.tenant, [])
        if len(shown) < MAX_CHECKOUTS_SHOWN:
            shown.append(checkout)
    return page(
        "index.html",
        tenants=list(state.tenants.values())[:MAX_TENANTS_SHOWN],
        more=max(0, len(state.tenants) - MAX_TENANTS_SHOWN),
        checkouts=checkouts,
        deliveries=state.deliveries.newest_first()[:MAX_DELIVERIES_SHOWN],
        targets=state.deliveries.targets,
        providers=list(Provider),
        calls=sum(count.count for count in state.calls.counts()),
    )


async def make_tenant(state: SandboxState, request: Request) -> Response:
    """Create the tenant of the form; one that exists is left as it is."""
    try:
        given = {name: values[0] for name, values in parse_qs((await raw_body(request)).decode()).items()}
        tenant_id = given.pop("id", "").strip()
        tenant = checked_values(given, TenantBody).tenant(tenant_id, now())
        if tenant_id not in state.tenants:
            state.put_tenant(tenant)
    except (ControlError, ValueError) as error:
        return page("refused.html", 400, message=str(error), fields=getattr(error, "fields", None) or [])
    return RedirectResponse("/", 303)


def index_routes(state: SandboxState) -> list[Route]:
    async def show(request: Request) -> Response:
        return await show_index(state)

    async def make(request: Request) -> Response:
        return await make_tenant(state, request)

    return [Route("/", show, methods=["GET"]), Route("/tenants", make, methods=["POST"])]
