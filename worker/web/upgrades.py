"""The operator API's upgrades: lists, one of them, and decisions about it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.facts import OperatorAction
from worker.core.journal import Json
from worker.core.upgrade import State
from worker.core.view import upgrade_view
from worker.web import operations
from worker.web.answers import answer
from worker.web.auth import Endpoint, operator_routes
from worker.web.paths import id_in_path
from worker.web.queries import choice, limit, upgrade_cursor
from worker.web.services import Services


def upgrade_routes(services: Services) -> list[Route]:
    """The routes, where an operator token is set."""
    store = services.store

    async def list_upgrades(request: Request) -> Response:
        size, state, cursor = limit(request), choice(request, "state", State), upgrade_cursor(request)
        rows, following = await store.upgrades(state, cursor, size)
        records = await store.records(list(dict.fromkeys(row.tenant for row in rows)))
        upgrades: list[Json] = []
        for row in rows:
            upgrade = records[row.tenant].tenant.find(row.upgrade)
            # The list trails the records by a moment, and knows upgrades that are too old for them.
            if upgrade is not None and state in (None, upgrade.state):
                upgrades.append(upgrade_view(upgrade, row.tenant))
        return answer({"upgrades": upgrades, "next": following})

    async def get_upgrade(request: Request) -> Response:
        upgrade, record = await operations.find_upgrade(services, id_in_path(request, "upgradeId"))
        return answer(upgrade_view(upgrade, record.id))

    def decision(action: OperatorAction) -> Endpoint:
        async def decide(request: Request) -> Response:
            upgrade, record = await operations.decide(services, id_in_path(request, "upgradeId"), action)
            return answer(upgrade_view(upgrade, record.id), 202)

        return decide

    return operator_routes(
        services,
        [
            ("GET", "/v1/upgrades", list_upgrades),
            ("GET", "/v1/upgrades/{upgradeId:id}", get_upgrade),
            *(("POST", f"/v1/upgrades/{{upgradeId:id}}/{action}", decision(action)) for action in OperatorAction),
        ],
    )
