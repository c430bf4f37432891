"""The hosted pages: a checkout session at ``/pay/{session}``, an invoice at ``/invoices/{prorationId}``.

Each button is a form that posts to ``/pay/{session}/{action}``; the answer is a redirect, so going back and reloading
are harmless, and pressing a button twice changes nothing the second time.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..checkouts import Checkout, Debit, PaymentStatus
from ..payments import NotPossible
from ..state import SandboxState
from .control import ACTIONS
from .pages import page

_SESSION_ID = "{CHECKOUT_SESSION_ID}"
_GOES_TO_SUCCESS = frozenset({"pay", "settle"})
BUTTONS = frozenset({"pay", "decline", "pay-later", "settle", "fail", "expire"})

PageHandler = Callable[[SandboxState, Request], Awaitable[Response]]


async def show_checkout(state: SandboxState, request: Request) -> Response:
    """The page of a session, whatever its state."""
    checkout = _session(state, request)
    if checkout is None:
        return page("missing.html", 404, what="checkout")
    return page("checkout.html", checkout=checkout, success_url=success_url(checkout))


async def press_button(state: SandboxState, request: Request) -> Response:
    """Do what the button says, and go where the customer goes next."""
    checkout, action = _session(state, request), request.path_params["action"]
    if checkout is None or action not in BUTTONS:
        return page("missing.html", 404, what="checkout")
    with suppress(NotPossible):
        checkout = ACTIONS[action](state.payments, checkout)
    if request.query_params.get("back") == "index":
        return RedirectResponse("/", 303)
    paid = checkout.payment is not PaymentStatus.UNPAID
    target = success_url(checkout) if paid and action in _GOES_TO_SUCCESS else None
    return RedirectResponse(target or f"/pay/{checkout.session}", 303)


async def show_invoice(state: SandboxState, request: Request) -> Response:
    """The page of an invoice."""
    invoice = _invoice(state, request)
    if invoice is None:
        return page("missing.html", 404, what="invoice")
    return page("invoice.html", invoice=invoice)


async def pay_invoice(state: SandboxState, request: Request) -> Response:
    """Mark the invoice paid."""
    invoice = _invoice(state, request)
    if invoice is None:
        return page("missing.html", 404, what="invoice")
    with suppress(NotPossible):
        state.payments.pay_invoice(invoice)
    back = "/" if request.query_params.get("back") == "index" else f"/invoices/{invoice.proration_id}"
    return RedirectResponse(back, 303)


def success_url(checkout: Checkout) -> str | None:
    """Where a customer who paid goes, with the session id filled in where the URL asks for it, as Stripe does."""
    if checkout.success_url is None or checkout.debit is Debit.FAILED:
        return None
    return checkout.success_url.replace(_SESSION_ID, checkout.session or "")


def checkout_page_routes(state: SandboxState) -> list[Route]:
    def route(method: str, path: str, handler: PageHandler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await handler(state, request)

        return Route(path, endpoint, methods=[method])

    return [
        route("GET", "/pay/{session}", show_checkout),
        route("POST", "/pay/{session}/{action}", press_button),
        route("GET", "/invoices/{proration}", show_invoice),
        route("POST", "/invoices/{proration}/pay", pay_invoice),
    ]


def _session(state: SandboxState, request: Request) -> Checkout | None:
    checkout = state.checkouts.get(request.path_params["session"])
    return None if checkout is None or checkout.is_invoice else checkout


def _invoice(state: SandboxState, request: Request) -> Checkout | None:
    invoice = state.checkouts.get(request.path_params["proration"])
    return invoice if invoice is not None and invoice.is_invoice else None
