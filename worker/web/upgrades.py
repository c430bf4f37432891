"""The operator API's upgrades: lists, one of them, and decisions about it."""

import uuid

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.facts import OperatorAction, OperatorFact
from worker.core.fold import allowed
from worker.core.journal import Json
from worker.core.tenant import Tenant
from worker.core.upgrade import State, Upgrade
from worker.core.view import upgrade_view
from worker.web.answers import answer
from worker.web.auth import Endpoint, guarded
from worker.web.paths import id_in_path
from worker.web.problems import Problem, not_found
from worker.web.queries import choice, limit, upgrade_cursor
from worker.web.services import Services
from worker.web.tenants import load_many


def upgrade_routes(services: Services) -> list[Route]:
    """The routes, where an operator token is set."""
    store = services.store

    async def find(request: Request) -> tuple[Upgrade, Tenant]:
        ident = id_in_path(request, "upgradeId")
        tenant = await store.owner(ident) if ident is not None else None
        if ident is None or tenant is None:
            raise not_found("this upgrade")
        record = (await store.load(tenant)).tenant
        upgrade = record.find(ident)
        if upgrade is None:
            raise Problem(404, f"this upgrade is long over; what is left of it is in the journal of tenant {tenant}")
        return upgrade, record

    async def list_upgrades(request: Request) -> Response:
        size, state, cursor = limit(request), choice(request, "state", State), upgrade_cursor(request)
        rows, following = await store.upgrades(state, cursor, size)
        records = await load_many(store, list(dict.fromkeys(row.tenant for row in rows)))
        upgrades: list[Json] = []
        for row in rows:
            upgrade = records[row.tenant].tenant.find(row.upgrade)
            # The list trails the records by a moment, and knows upgrades that are too old for them.
            if upgrade is not None and state in (None, upgrade.state):
                upgrades.append(upgrade_view(upgrade, row.tenant))
        return answer({"upgrades": upgrades, "next": following})

    async def get_upgrade(request: Request) -> Response:
        upgrade, record = await find(request)
        return answer(upgrade_view(upgrade, record.id))

    def decision(action: OperatorAction) -> Endpoint:
        async def decide(request: Request) -> Response:
            upgrade, record = await find(request)
            now = services.now()
            if not allowed(record, upgrade, action, now):
                raise _conflict(record, upgrade, action, now)
            fact = OperatorFact(action, upgrade.id, now, f"op_{uuid.uuid4().hex}")
            await store.append({record.id: [fact]})
            return answer(upgrade_view(upgrade, record.id), 202)

        return decide

    if not services.operator_token:
        return []
    token = services.operator_token

    def route(method: str, path: str, endpoint: Endpoint) -> Route:
        return Route(path, guarded(endpoint, [token], "SEATS_OPERATOR_TOKEN"), methods=[method])

    return [
        route("GET", "/v1/upgrades", list_upgrades),
        route("GET", "/v1/upgrades/{upgradeId:id}", get_upgrade),
        *(route("POST", f"/v1/upgrades/{{upgradeId:id}}/{action}", decision(action)) for action in OperatorAction),
    ]


def _conflict(tenant: Tenant, upgrade: Upgrade, action: OperatorAction, now: int) -> Problem:
    possible = [other.value for other in OperatorAction if allowed(tenant, upgrade, other, now)]
    remedy = f"possible now: {', '.join(possible)}" if possible else "there is nothing to decide about it"
    detail = f"can't {action.value} an upgrade that is {upgrade.state.value}; {remedy}"
    members: dict[str, Json] = {"state": upgrade.state.value, "possible": [*possible]}
    return Problem(409, detail, kind="wrong-state", members=members)
