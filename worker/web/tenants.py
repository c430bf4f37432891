"""The operator API's tenants: lists, one of them, its journal and credits, and a look on request."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.journal import Json
from worker.core.roster import Standing
from worker.core.tenant import Status
from worker.core.view import DRIFT_SHOWN, credits_view, note_view, tenant_summary, tenant_view
from worker.store.interface import Loaded, Store
from worker.web.answers import answer
from worker.web.auth import operator_routes
from worker.web.operations import ask_for_look
from worker.web.paths import id_in_path
from worker.web.problems import Problem, not_found
from worker.web.queries import choice, journal_cursor, limit, tenant_cursor
from worker.web.services import Services


def tenant_routes(services: Services) -> list[Route]:
    """The routes, where an operator token is set."""
    store, policy = services.store, services.policy

    async def known(request: Request) -> Loaded:
        tenant = id_in_path(request, "tenantId")
        if tenant is None:
            raise not_found("this tenant")
        loaded = await store.load(tenant)
        if not loaded.known:
            raise not_found("this tenant")
        return loaded

    async def list_tenants(request: Request) -> Response:
        size, status, after = limit(request), choice(request, "state", Status), tenant_cursor(request)
        rows = await store.tenants(status, after, size + 1)
        shown = rows[:size]
        records = await store.records([row.tenant for row in shown])
        tenants: list[Json] = []
        for row in shown:
            record = records[row.tenant]
            # The list's own word for the status, so that every row fits the filter it was asked by.
            tenants.append({**tenant_summary(record.tenant, record.counts, policy), "status": row.status.value})
        return answer({"tenants": tenants, "next": shown[-1].tenant if len(rows) > size else None})

    async def get_tenant(request: Request) -> Response:
        loaded = await known(request)
        missing, orphaned, unreadable = await asyncio.gather(
            _users(store, loaded, Standing.MISSING),
            _users(store, loaded, Standing.ORPHANED),
            store.unreadable(loaded.tenant.id),
        )
        view = tenant_view(loaded.tenant, loaded.counts, policy, missing, orphaned)
        return answer({**view, "unreadableFacts": unreadable})

    async def get_journal(request: Request) -> Response:
        size, before = limit(request), journal_cursor(request)
        loaded = await known(request)
        notes, following = await store.journal(loaded.tenant.id, before=before, limit=size)
        entries: list[Json] = [note_view(note) for note in notes]
        return answer({"entries": entries, "next": following})

    async def reconcile(request: Request) -> Response:
        loaded = await known(request)
        await ask_for_look(services, loaded.tenant.id)
        return answer({"tenantId": loaded.tenant.id, "accepted": 1}, 202)

    async def get_credits(request: Request) -> Response:
        return answer(credits_view((await known(request)).tenant))

    async def read_credits(request: Request) -> Response:
        if policy.credits_every is None:
            remedy = "SEATS_CREDITS_EVERY is 0, or the worker has a service key, to which Crovver tells no balances"
            raise Problem(409, f"credit balances are not read here: {remedy}", kind="credits-not-read")
        loaded = await known(request)
        await ask_for_look(services, loaded.tenant.id, credits=True)
        return answer({"tenantId": loaded.tenant.id, "accepted": 1}, 202)

    return operator_routes(
        services,
        [
            ("GET", "/v1/tenants", list_tenants),
            ("GET", "/v1/tenants/{tenantId:id}", get_tenant),
            ("GET", "/v1/tenants/{tenantId:id}/journal", get_journal),
            ("POST", "/v1/tenants/{tenantId:id}/reconcile", reconcile),
            ("GET", "/v1/credits/{tenantId:id}", get_credits),
            ("POST", "/v1/credits/{tenantId:id}/read", read_credits),
        ],
    )


async def _users(store: Store, loaded: Loaded, standing: Standing) -> list[str]:
    if loaded.whole:
        return [user for user, entry in loaded.entries.items() if entry.standing is standing]
    return await store.standing(loaded.tenant.id, standing, DRIFT_SHOWN)
