"""The dashboard's routes as one: they share their headers, and tell problems as pages."""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Message, Receive, Scope, Send

from worker.web.dashboard.fleet import fleet_routes
from worker.web.dashboard.gate import Gate
from worker.web.dashboard.problem_page import problem_page
from worker.web.dashboard.queues import queue_routes
from worker.web.dashboard.render import HEADERS
from worker.web.dashboard.session import Sessions
from worker.web.dashboard.sign_in import sign_in_routes
from worker.web.dashboard.static_files import ROUTES
from worker.web.dashboard.tenant_page import tenant_routes
from worker.web.dashboard.upgrade_pages import upgrade_routes
from worker.web.problems import PAGE
from worker.web.services import Services


def dashboard_routes(services: Services) -> list[BaseRoute]:
    """The dashboard, where an operator token is set."""
    if not services.operator_token:
        return []
    sessions = Sessions(services.operator_token)
    gate = Gate(services, sessions)
    return [
        Pages(
            [
                *ROUTES,
                *sign_in_routes(services, gate, sessions),
                *fleet_routes(services, gate),
                *tenant_routes(services, gate),
                *upgrade_routes(services, gate),
                *queue_routes(services, gate),
            ]
        )
    ]


class Pages(BaseRoute):
    """Routes beside the API's. Not a ``Mount``: one at ``/`` would take every path that is nobody's."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = list(routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        best: tuple[Match, Scope] = (Match.NONE, {})
        for route in self.routes:
            match, child = route.matches(scope)
            if match.value > best[0].value:
                best = match, {**child, "seats.page": route, PAGE: problem_page}
        return best

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = scope["route"] = scope["seats.page"]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await route.handle(scope, receive, with_headers)
