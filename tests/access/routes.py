"""Every route there is, who may use it, and what whoever may is answered."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from starlette.applications import Starlette
from starlette.routing import Route

from worker.web.dashboard.app import Pages


class Door(Enum):
    """How a route tells who may use it."""

    INGEST = auto()
    OPERATOR = auto()
    STRIPE = auto()
    CROVVER = auto()
    OPEN = auto()
    """Nobody is asked who they are."""

    PAGE = auto()
    """A page for whoever is signed in."""

    FORM = auto()
    """A form of a page: signed in, from our own pages, with the form's token."""

    SIGN_IN = auto()
    """The form that takes the operator token."""


@dataclass(frozen=True, slots=True)
class Row:
    """A route: a path that fits it, and what it answers whom it lets in. ``api``: it is in the OpenAPI document."""

    door: Door
    path: str
    answer: int
    api: bool = True


Key = tuple[str, str]
"""A method and the pattern of a path."""

_TENANT, _UPGRADE, _LETTER = "/tenants/{tenantId:id}", "/upgrades/{upgradeId:id}", "/dead-letters/{deadLetterId:id}"
_PAGE_LETTER = "/dead-letters/{letterId:id}"

ROWS: dict[Key, Row] = {
    ("POST", "/v1/events"): Row(Door.INGEST, "/v1/events", 202),
    ("PUT", f"/v1{_TENANT}/roster"): Row(Door.INGEST, "/v1/tenants/other/roster", 202),
    ("POST", "/webhooks/stripe"): Row(Door.STRIPE, "/webhooks/stripe", 200),
    ("POST", "/webhooks/crovver"): Row(Door.CROVVER, "/webhooks/crovver", 200),
    ("GET", "/v1/tenants"): Row(Door.OPERATOR, "/v1/tenants", 200),
    ("GET", f"/v1{_TENANT}"): Row(Door.OPERATOR, "/v1/tenants/acme", 200),
    ("GET", f"/v1{_TENANT}/journal"): Row(Door.OPERATOR, "/v1/tenants/acme/journal", 200),
    ("POST", f"/v1{_TENANT}/reconcile"): Row(Door.OPERATOR, "/v1/tenants/acme/reconcile", 202),
    ("GET", "/v1/credits/{tenantId:id}"): Row(Door.OPERATOR, "/v1/credits/acme", 200),
    ("POST", "/v1/credits/{tenantId:id}/read"): Row(Door.OPERATOR, "/v1/credits/acme/read", 409),
    ("GET", "/v1/upgrades"): Row(Door.OPERATOR, "/v1/upgrades", 200),
    ("GET", f"/v1{_UPGRADE}"): Row(Door.OPERATOR, "/v1/upgrades/upg_1", 200),
    ("POST", f"/v1{_UPGRADE}/approve"): Row(Door.OPERATOR, "/v1/upgrades/upg_1/approve", 202),
    ("POST", f"/v1{_UPGRADE}/cancel"): Row(Door.OPERATOR, "/v1/upgrades/upg_1/cancel", 202),
    ("POST", f"/v1{_UPGRADE}/retry"): Row(Door.OPERATOR, "/v1/upgrades/upg_1/retry", 409),
    ("GET", "/v1/dead-letters"): Row(Door.OPERATOR, "/v1/dead-letters", 200),
    ("GET", f"/v1{_LETTER}"): Row(Door.OPERATOR, "/v1/dead-letters/dead_1", 200),
    ("POST", f"/v1{_LETTER}/requeue"): Row(Door.OPERATOR, "/v1/dead-letters/gone_1/requeue", 404),
    ("POST", f"/v1{_LETTER}/discard"): Row(Door.OPERATOR, "/v1/dead-letters/gone_1/discard", 404),
    ("GET", "/healthz"): Row(Door.OPEN, "/healthz", 200),
    ("GET", "/readyz"): Row(Door.OPEN, "/readyz", 200),
    ("GET", "/metrics"): Row(Door.OPEN, "/metrics", 200),
    ("GET", "/openapi.json"): Row(Door.OPEN, "/openapi.json", 200),
    ("GET", "/static/{name}"): Row(Door.OPEN, "/static/dashboard.css", 200, api=False),
    ("GET", "/sign-in"): Row(Door.OPEN, "/sign-in", 200, api=False),
    ("POST", "/sign-in"): Row(Door.SIGN_IN, "/sign-in", 303, api=False),
    ("POST", "/sign-out"): Row(Door.FORM, "/sign-out", 303, api=False),
    ("GET", "/"): Row(Door.PAGE, "/", 200, api=False),
    ("GET", _TENANT): Row(Door.PAGE, "/tenants/acme", 200, api=False),
    ("GET", f"{_TENANT}/chart"): Row(Door.PAGE, "/tenants/acme/chart", 200, api=False),
    ("GET", f"{_TENANT}/journal"): Row(Door.PAGE, "/tenants/acme/journal", 200, api=False),
    ("GET", f"{_TENANT}/reconcile"): Row(Door.PAGE, "/tenants/acme/reconcile", 200, api=False),
    ("POST", f"{_TENANT}/reconcile"): Row(Door.FORM, "/tenants/acme/reconcile", 303, api=False),
    ("GET", "/upgrades"): Row(Door.PAGE, "/upgrades", 200, api=False),
    ("GET", "/approvals"): Row(Door.PAGE, "/approvals", 200, api=False),
    ("GET", _UPGRADE): Row(Door.PAGE, "/upgrades/upg_1", 303, api=False),
    ("GET", f"{_UPGRADE}/approve"): Row(Door.PAGE, "/upgrades/upg_1/approve", 200, api=False),
    ("GET", f"{_UPGRADE}/cancel"): Row(Door.PAGE, "/upgrades/upg_1/cancel", 200, api=False),
    ("GET", f"{_UPGRADE}/retry"): Row(Door.PAGE, "/upgrades/upg_1/retry", 409, api=False),
    ("POST", f"{_UPGRADE}/approve"): Row(Door.FORM, "/upgrades/upg_1/approve", 303, api=False),
    ("POST", f"{_UPGRADE}/cancel"): Row(Door.FORM, "/upgrades/upg_1/cancel", 303, api=False),
    ("POST", f"{_UPGRADE}/retry"): Row(Door.FORM, "/upgrades/upg_1/retry", 409, api=False),
    ("GET", "/payments"): Row(Door.PAGE, "/payments", 200, api=False),
    ("GET", "/alerts"): Row(Door.PAGE, "/alerts", 200, api=False),
    ("GET", "/dead-letters"): Row(Door.PAGE, "/dead-letters", 200, api=False),
    ("GET", f"{_PAGE_LETTER}/requeue"): Row(Door.PAGE, "/dead-letters/dead_1/requeue", 200, api=False),
    ("GET", f"{_PAGE_LETTER}/discard"): Row(Door.PAGE, "/dead-letters/dead_1/discard", 200, api=False),
    ("POST", f"{_PAGE_LETTER}/requeue"): Row(Door.FORM, "/dead-letters/gone_1/requeue", 404, api=False),
    ("POST", f"{_PAGE_LETTER}/discard"): Row(Door.FORM, "/dead-letters/gone_1/discard", 404, api=False),
}
"""The fleet they are asked about is that of ``tests.access.test_matrix``: ``acme`` with ``upg_1``, and ``dead_1``."""


def served(app: Starlette) -> Iterator[Key]:
    """Every route the app itself has. A kind of route that this does not know fails whoever asks."""
    for route in app.routes:
        for one in route.routes if isinstance(route, Pages) else [route]:
            assert isinstance(one, Route), f"what is {one!r}? tests/access/routes.py must know how to list it"
            assert one.methods
            yield from ((method, one.path) for method in one.methods - {"HEAD"})
