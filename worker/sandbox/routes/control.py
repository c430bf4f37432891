"""The control API of the sandbox, for tests and demos: JSON, no authentication, meant for loopback only.

Tenants and seats: see ``control_tenants``. Beside them:

GET    /sandbox/checkouts?tenant=&state=&limit=     {"checkouts": [...]} newest first, invoices too
GET    /sandbox/checkouts/{session or prorationId}  one
POST   /sandbox/checkouts/{session}/pay             card goes through: complete, paid, capacity follows
POST   /sandbox/checkouts/{session}/decline         card declined: stays open
POST   /sandbox/checkouts/{session}/pay-later       bank debit: complete, unpaid; then settle or fail
POST   /sandbox/checkouts/{session}/settle | fail   the debit's end
POST   /sandbox/checkouts/{session}/expire          expires now
POST   /sandbox/checkouts/{session}/apply           apply a paid checkout's capacity now
POST   /sandbox/invoices/{prorationId}/pay          mark an invoice paid
       (each answers the checkout; 404 unknown, 409 {"error"} where its state does not allow it)
GET    /sandbox/calls?endpoint=&tenant=&limit=      {"total", "counts": [...], "history": [...]}
DELETE /sandbox/calls                               counts from zero (204)
POST   /sandbox/faults                              one or a list of ``FaultBody``; answers {"faults": [...]}
GET    /sandbox/faults · DELETE /sandbox/faults     those in force · none any more (204)
GET    /sandbox/deliveries?tenant=&sender=&limit=   {"deliveries": [...]} newest first, with their attempts
POST   /sandbox/deliveries/{id}/resend              the same event again, same id (a webhook's replay)
PUT    /sandbox/webhooks                            {"stripeUrl", "stripeSecret", "crovverUrl", "crovverSecret"}
GET    /sandbox/webhooks                            the URLs
POST   /sandbox/reset                               forget all but the webhook targets (204)
"""

from collections.abc import Callable

from pydantic import RootModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..checkouts import Checkout
from ..config import WebhookTargets
from ..payments import Payments
from ..state import SandboxState
from . import control_tenants as tenants
from .control_bodies import FaultBody, WebhooksBody
from .control_request import ControlError, ControlHandler, body_of, checked, control, limit_of, raw_body
from .control_views import call_view, checkout_view, count_view, delivery_view, fault_view

ACTIONS: dict[str, Callable[[Payments, Checkout], Checkout]] = {
    "pay": Payments.pay,
    "decline": Payments.decline,
    "pay-later": Payments.pay_later,
    "settle": Payments.settle,
    "fail": Payments.fail,
    "expire": Payments.expire,
    "apply": Payments.apply,
}


class _FaultBodies(RootModel[FaultBody | list[FaultBody]]):
    pass


async def list_checkouts(state: SandboxState, request: Request) -> Response:
    tenant, wanted = request.query_params.get("tenant"), request.query_params.get("state")
    found = [
        checkout_view(checkout)
        for checkout in state.checkouts.newest_first()
        if tenant in (None, checkout.tenant) and wanted in (None, checkout.state)
    ]
    return JSONResponse({"checkouts": found[: limit_of(request)], "total": len(found)})


async def get_checkout(state: SandboxState, request: Request) -> Response:
    wanted = request.path_params["key"]
    found = next((one for one in state.checkouts if wanted in (one.session, one.proration_id)), None)
    if found is None:
        raise ControlError(404, f"no checkout {wanted!r}")
    return JSONResponse(checkout_view(found))


async def act(state: SandboxState, request: Request) -> Response:
    action = ACTIONS.get(request.path_params["action"])
    if action is None:
        raise ControlError(404, f"an action is one of {', '.join(ACTIONS)}")
    checkout = _checkout(state, request.path_params["key"])
    action(state.payments, checkout)
    return JSONResponse(checkout_view(_checkout(state, checkout.key)))


async def pay_invoice(state: SandboxState, request: Request) -> Response:
    invoice = _checkout(state, request.path_params["key"])
    return JSONResponse(checkout_view(state.payments.pay_invoice(invoice)))


async def get_calls(state: SandboxState, request: Request) -> Response:
    endpoint, tenant = request.query_params.get("endpoint"), request.query_params.get("tenant")
    counts = state.calls.counts(endpoint, tenant)
    history = state.calls.history(endpoint, tenant)[-limit_of(request) :]
    return JSONResponse(
        {
            "total": sum(count.count for count in counts),
            "counts": [count_view(count) for count in counts],
            "history": [call_view(call) for call in history],
        }
    )


async def clear_calls(state: SandboxState, request: Request) -> Response:
    state.calls.clear()
    return Response(status_code=204)


async def add_faults(state: SandboxState, request: Request) -> Response:
    wanted = checked(await raw_body(request), TypeAdapter(_FaultBodies)).root
    try:
        for one in wanted if isinstance(wanted, list) else [wanted]:
            state.faults.add(one.fault())
    except ValueError as error:
        raise ControlError(409, str(error)) from error
    return await list_faults(state, request)


async def list_faults(state: SandboxState, request: Request) -> Response:
    return JSONResponse({"faults": [fault_view(fault) for fault in state.faults.listed()]})


async def clear_faults(state: SandboxState, request: Request) -> Response:
    state.faults.clear()
    return Response(status_code=204)


async def list_deliveries(state: SandboxState, request: Request) -> Response:
    tenant, sender = request.query_params.get("tenant"), request.query_params.get("sender")
    found = [
        delivery_view(delivery)
        for delivery in state.deliveries.newest_first()
        if tenant in (None, delivery.tenant) and sender in (None, delivery.sender)
    ]
    return JSONResponse({"deliveries": found[: limit_of(request)]})


async def resend(state: SandboxState, request: Request) -> Response:
    delivery = state.deliveries.resend(request.path_params["delivery"])
    if delivery is None:
        raise ControlError(404, f"no delivery {request.path_params['delivery']!r} in the log")
    return JSONResponse(delivery_view(delivery))


async def put_webhooks(state: SandboxState, request: Request) -> Response:
    body = await body_of(request, WebhooksBody)
    try:
        state.deliveries.targets = WebhookTargets(
            body.stripe_url, body.stripe_secret, body.crovver_url, body.crovver_secret
        )
    except ValueError as error:
        raise ControlError(400, str(error)) from error
    return await get_webhooks(state, request)


async def get_webhooks(state: SandboxState, request: Request) -> Response:
    targets = state.deliveries.targets
    return JSONResponse({"stripeUrl": targets.stripe_url, "crovverUrl": targets.crovver_url})


async def reset(state: SandboxState, request: Request) -> Response:
    state.reset()
    return Response(status_code=204)


def _checkout(state: SandboxState, key: str) -> Checkout:
    checkout = state.checkouts.get(key)
    if checkout is None:
        raise ControlError(404, f"no checkout or invoice {key!r}")
    return checkout


def control_routes(state: SandboxState) -> list[Route]:
    """The routes under ``/sandbox/``. Tenant ids may contain slashes, so longer paths come first."""

    def route(method: str, path: str, handler: ControlHandler) -> Route:
        return Route(f"/sandbox/{path}", control(state, handler), methods=[method])

    return [
        route("POST", "tenants/{tenant:path}/seats/remove", tenants.remove_seats),
        route("POST", "tenants/{tenant:path}/seats", tenants.allocate_seats),
        route("PUT", "tenants/{tenant:path}", tenants.put_tenant),
        route("PATCH", "tenants/{tenant:path}", tenants.patch_tenant),
        route("GET", "tenants/{tenant:path}", tenants.get_tenant),
        route("DELETE", "tenants/{tenant:path}", tenants.delete_tenant),
        route("GET", "tenants", tenants.list_tenants),
        route("GET", "checkouts", list_checkouts),
        route("GET", "checkouts/{key}", get_checkout),
        route("POST", "checkouts/{key}/{action}", act),
        route("POST", "invoices/{key}/pay", pay_invoice),
        route("GET", "calls", get_calls),
        route("DELETE", "calls", clear_calls),
        route("POST", "faults", add_faults),
        route("GET", "faults", list_faults),
        route("DELETE", "faults", clear_faults),
        route("GET", "deliveries", list_deliveries),
        route("POST", "deliveries/{delivery}/resend", resend),
        route("PUT", "webhooks", put_webhooks),
        route("GET", "webhooks", get_webhooks),
        route("POST", "reset", reset),
    ]
