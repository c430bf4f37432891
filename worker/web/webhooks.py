"""POST /webhooks/stripe and /webhooks/crovver: signed news. Nothing of a body is believed before its signature is."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.facts import HintFact
from worker.metrics.catalogue import FACTS_ACCEPTED
from worker.payments import crovver_webhook, signature
from worker.payments.errors import BadSignature, MalformedEvent
from worker.payments.events import read_event
from worker.store.matching import Delivery, deliver
from worker.web.answers import answer
from worker.web.bodies import read_body
from worker.web.problems import Problem
from worker.web.services import Services

LARGEST_BODY: Final = 1_048_576
"""Stripe's events stay below 256 KiB."""


def webhook_routes(services: Services) -> list[Route]:
    """The routes whose secrets are set."""

    async def stripe(request: Request) -> Response:
        body = await read_body(request, LARGEST_BODY)
        try:
            header = request.headers.get("stripe-signature")
            signature.verify(body, header, services.stripe_secrets, now=services.clock())
            payment = read_event(body)
        except BadSignature as error:
            raise _bad_signature(error) from None
        except MalformedEvent as error:
            raise _malformed(error) from None
        if payment is not None:
            foreign = None not in (services.livemode, payment.livemode) and payment.livemode is not services.livemode
            delivery = await deliver(services.store, replace(payment, foreign=foreign))
            if delivery in (Delivery.MATCHED, Delivery.PARKED):
                services.meters.count(FACTS_ACCEPTED.name, door="stripe")
            if foreign:
                modes = {"event_livemode": payment.livemode, "expected_livemode": services.livemode}
                services.log.warning("a Stripe event of the other mode", fact=payment.id, outcome=delivery, **modes)
            elif delivery is Delivery.PARKED:
                services.log.warning("a Stripe event matches no upgrade yet", fact=payment.id)
        return answer({"received": True})

    async def crovver(request: Request) -> Response:
        body = await read_body(request, LARGEST_BODY)
        assert services.crovver_secret is not None
        try:
            crovver_webhook.verify(body, request.headers.get("x-crovver-signature"), services.crovver_secret)
            hint = crovver_webhook.read_hint(body)
        except BadSignature as error:
            raise _bad_signature(error) from None
        except MalformedEvent as error:
            raise _malformed(error) from None
        if hint.tenant is not None and await services.store.known_tenants([hint.tenant]):
            fact = HintFact(f"crovver webhook {hint.type}", services.now(), hint.id)
            await services.store.append({hint.tenant: [fact]})
            services.meters.count(FACTS_ACCEPTED.name, door="crovver")
        return answer({"received": True})

    routes = []
    if services.stripe_secrets:
        routes.append(Route("/webhooks/stripe", stripe, methods=["POST"]))
    if services.crovver_secret:
        routes.append(Route("/webhooks/crovver", crovver, methods=["POST"]))
    return routes


def _bad_signature(error: BadSignature) -> Problem:
    return Problem(400, f"{error}; nothing was stored", kind="bad-signature")


def _malformed(error: MalformedEvent) -> Problem:
    return Problem(400, f"{error}; nothing was stored", kind="malformed-event")
