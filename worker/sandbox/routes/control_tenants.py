"""The control API's tenants and their seats.

PUT    /sandbox/tenants/{id}                create or replace: the body of ``TenantBody``; answers its state
PATCH  /sandbox/tenants/{id}                change settings (``SubscriptionBody``); a new capacity fires a webhook
GET    /sandbox/tenants/{id}                its state
DELETE /sandbox/tenants/{id}                forget it (204)
GET    /sandbox/tenants                     {"tenants": [...]}
POST   /sandbox/tenants/{id}/seats          allocate {"users": ["u1", {"externalUserId": "u2"}]}, capacity or not
POST   /sandbox/tenants/{id}/seats/remove   remove {"users": [...]}
"""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..period import BillingPeriod
from ..state import SandboxState
from ..tenants import Subscription, Tenant
from ..times import now
from .control_bodies import SeatsBody, SubscriptionBody, TenantBody
from .control_request import ControlError, body_of
from .control_views import tenant_view

_FIELDS = {
    "subscribed": "active",
    "apply_delay_seconds": "apply_delay",
    "checkout_lifetime_seconds": "checkout_lifetime",
    "period_days": "period",
    "days_remaining": "period",
}


async def put_tenant(state: SandboxState, request: Request) -> Response:
    body = await body_of(request, TenantBody)
    tenant = body.tenant(request.path_params["tenant"], now())
    try:
        state.put_tenant(tenant)
    except ValueError as error:
        raise ControlError(409, str(error)) from error
    return JSONResponse(tenant_view(tenant))


async def patch_tenant(state: SandboxState, request: Request) -> Response:
    tenant = _tenant(state, request)
    body = await body_of(request, SubscriptionBody)
    capacity = body.capacity if "capacity" in body.model_fields_set else tenant.subscription.capacity
    tenant.subscription = _changed(tenant.subscription, body)
    state.payments.set_capacity(tenant, capacity)
    return JSONResponse(tenant_view(tenant))


async def get_tenant(state: SandboxState, request: Request) -> Response:
    return JSONResponse(tenant_view(_tenant(state, request)))


async def delete_tenant(state: SandboxState, request: Request) -> Response:
    del state.tenants[_tenant(state, request).id]
    return Response(status_code=204)


async def list_tenants(state: SandboxState, request: Request) -> Response:
    return JSONResponse({"tenants": [tenant_view(tenant) for tenant in state.tenants.values()]})


async def allocate_seats(state: SandboxState, request: Request) -> Response:
    tenant = _tenant(state, request)
    body = await body_of(request, SeatsBody)
    moment = now()
    try:
        done = [user.external_user_id for user in body.users if tenant.seats.allocate(user.seat(moment))]
    except ValueError as error:
        raise ControlError(409, str(error)) from error
    return JSONResponse(tenant_view(tenant) | {"allocated": done})


async def remove_seats(state: SandboxState, request: Request) -> Response:
    tenant = _tenant(state, request)
    body = await body_of(request, SeatsBody)
    moment = now()
    done = [
        user.external_user_id
        for user in body.users
        if tenant.seats.remove(user.external_user_id, user.removed_at or moment)
    ]
    return JSONResponse(tenant_view(tenant) | {"removed": done})


def _tenant(state: SandboxState, request: Request) -> Tenant:
    tenant = state.tenants.get(request.path_params["tenant"])
    if tenant is None:
        raise ControlError(404, f"no tenant {request.path_params['tenant']!r}; PUT it first")
    return tenant


def _changed(subscription: Subscription, body: SubscriptionBody) -> Subscription:
    """The subscription with what the body names, but for the capacity."""
    given = body.model_fields_set
    wanted = body.subscription(now())
    changes = {_FIELDS.get(name, name) for name in given} - {"capacity", "period"}
    if {"period_days", "days_remaining"} & given:
        days = body.period_days if "period_days" in given else subscription.period.days
        left = body.days_remaining or subscription.period.days_left(now())
        subscription = replace(subscription, period=BillingPeriod.with_days_left(days, min(left, days), now()))
    return replace(subscription, **{name: getattr(wanted, name) for name in changes})
