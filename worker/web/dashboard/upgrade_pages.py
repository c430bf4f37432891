"""Upgrades: lists of them, those that wait for approval, those that are stuck, and decisions with a question first."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.facts import OperatorAction
from worker.core.upgrade import State
from worker.store.interface import UpgradeRow
from worker.web.dashboard import badges, stuck
from worker.web.dashboard.gate import Action, Gate, Page
from worker.web.dashboard.render import in_path, page, redirect
from worker.web.dashboard.session import Session
from worker.web.dashboard.tenant_page import ShownUpgrade, done, show_upgrade
from worker.web.operations import check, decide, find_upgrade
from worker.web.paths import id_in_path
from worker.web.queries import upgrade_cursor
from worker.web.services import Services

ROWS: Final = 50

_QUESTIONS: Final = {
    OperatorAction.APPROVE: (
        "Approve this upgrade?",
        "Crovver is asked for a checkout at once. Nothing is charged before somebody pays it.",
    ),
    OperatorAction.CANCEL: (
        "Cancel this upgrade?",
        "Nothing more is asked for until more seats are needed than now, or you retry it. A link that is out already "
        "is taken back where a Stripe key is configured; else it stays payable until it ends by itself.",
    ),
    OperatorAction.RETRY: (
        "Ask for it again?",
        "Make sure first that the earlier checkout has not been paid and will not be: two payable links can be paid "
        "twice.",
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """An upgrade in a list. ``since`` and ``problem`` are told of stuck ones."""

    tenant: str
    shown: ShownUpgrade
    since: int | None = None
    problem: str = ""


def upgrade_routes(services: Services, gate: Gate) -> list[Route]:
    """The lists and the decisions."""
    store = services.store

    async def rows_of(listed: Sequence[UpgradeRow], state: State | None) -> list[Row]:
        now = services.now()
        records = await store.records(list(dict.fromkeys(row.tenant for row in listed)))
        rows = []
        for row in listed:
            record = records[row.tenant].tenant
            upgrade = record.find(row.upgrade)
            # The list trails the records by a moment, and knows upgrades that are too old for them.
            if upgrade is not None and state in (None, upgrade.state):
                rows.append(Row(row.tenant, show_upgrade(record, upgrade, now)))
        return rows

    async def upgrades(request: Request, session: Session) -> Response:
        asked = request.query_params.get("state", "")
        if asked == "stuck":
            return await stuck_ones(request, session)
        state = State(asked) if asked in set(State) else None
        (listed, following), (census, counts) = await asyncio.gather(
            store.upgrades(state, upgrade_cursor(request), ROWS), badges.count(services)
        )
        return page(
            request, "upgrades.html", session=session, now=services.now(), badges=counts,
            total=census.upgrades.get(state, 0) if state else sum(census.upgrades.values()),
            state=state.value if state else "", rows=await rows_of(listed, state), following=following,
        )  # fmt: skip

    async def stuck_ones(request: Request, session: Session) -> Response:
        found, (_, counts) = await asyncio.gather(
            store.stuck(stuck.waits(services.policy), stuck.MOST_SHOWN), badges.count(services)
        )
        records = await store.records(list(dict.fromkeys(row.tenant for row in found.rows)))
        rows = []
        for row in sorted(found.rows, key=lambda one: one.since):
            record = records[row.tenant].tenant
            upgrade = record.find(row.upgrade)
            if upgrade is not None and upgrade.state is row.state:
                shown = show_upgrade(record, upgrade, services.now())
                rows.append(Row(row.tenant, shown, row.since, stuck.WHY[row.state]))
        return page(
            request, "upgrades.html", session=session, now=services.now(), badges=counts,
            total=found.total, state="stuck", rows=rows, following=None,
        )  # fmt: skip

    async def approvals(request: Request, session: Session) -> Response:
        state = State.AWAITING_APPROVAL
        (listed, following), (census, counts) = await asyncio.gather(
            store.upgrades(state, upgrade_cursor(request), ROWS), badges.count(services)
        )
        return page(
            request, "approvals.html", session=session, now=services.now(), badges=counts,
            total=census.upgrades.get(state, 0), rows=await rows_of(listed, state), following=following,
        )  # fmt: skip

    async def one(request: Request, session: Session) -> Response:
        del session
        _, record = await find_upgrade(services, id_in_path(request, "upgradeId"))
        return redirect(f"/tenants/{in_path(record.id)}")

    def question(action: OperatorAction) -> Page:
        async def ask(request: Request, session: Session) -> Response:
            upgrade, record = await find_upgrade(services, id_in_path(request, "upgradeId"))
            check(record, upgrade, action, services.now())
            title, explanation = _QUESTIONS[action]
            return page(
                request, "confirm.html", session=session, now=services.now(), back=f"/tenants/{in_path(record.id)}",
                title=title, tenant=record.id, upgrade=upgrade, action=action.value, explanation=explanation,
            )  # fmt: skip

        return ask

    def decision(action: OperatorAction) -> Action:
        async def act(request: Request, session: Session, form: Mapping[str, str]) -> Response:
            del session, form
            _, record = await decide(services, id_in_path(request, "upgradeId"), action)
            return done(request, record.id, action.value)

        return act

    return [
        Route("/upgrades", gate.page(upgrades), methods=["GET"]),
        Route("/approvals", gate.page(approvals), methods=["GET"]),
        Route("/upgrades/{upgradeId:id}", gate.page(one), methods=["GET"]),
        *(Route(f"/upgrades/{{upgradeId:id}}/{a}", gate.page(question(a)), methods=["GET"]) for a in OperatorAction),
        *(Route(f"/upgrades/{{upgradeId:id}}/{a}", gate.action(decision(a)), methods=["POST"]) for a in OperatorAction),
    ]
