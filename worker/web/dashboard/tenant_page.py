"""A tenant: its seats, why the worker did what it did, its upgrade, its journal; and a look on request."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.alert_book import Active
from worker.core.explain import describe_note, explain
from worker.core.facts import OperatorAction
from worker.core.fold import allowed
from worker.core.journal import Json
from worker.core.roster import Standing
from worker.core.tenant import Tenant, capacity_of, status
from worker.core.upgrade import State, Upgrade
from worker.core.view import outlook
from worker.store.interface import Loaded
from worker.web.dashboard import badges, charts
from worker.web.dashboard.gate import Gate
from worker.web.dashboard.render import in_path, is_partial, message, page, redirect
from worker.web.dashboard.session import Session
from worker.web.dashboard.timeline import Step, timeline
from worker.web.operations import ask_for_look
from worker.web.paths import id_in_path
from worker.web.problems import not_found
from worker.web.queries import journal_cursor
from worker.web.services import Services

NOTES_SHOWN: Final = 30
JOURNAL_PAGE: Final = 100
DRIFT_SHOWN: Final = 100
CHART_NOTES: Final = 1_000
"""Journal notes that the chart is made from, newest first."""

TABLE_ROWS: Final = 20

DONE: Final = {
    "reconcile": "It will be looked at in a moment.",
    "approve": "Approved. The checkout is asked for in a moment.",
    "cancel": "Cancelled, as far as it goes: what the worker finds shows below in a moment.",
    "retry": "It will be asked for again in a moment.",
}
"""What to say after an action; a page that is opened anew is told which by its address."""


@dataclass(frozen=True, slots=True)
class ShownUpgrade:
    """An upgrade as a page shows it. ``link`` is payable: it is set only while someone should pay."""

    upgrade: Upgrade
    steps: Sequence[Step]
    actions: Sequence[OperatorAction]
    link: str | None

    @property
    def amount(self) -> str | None:
        """What it costs, as Crovver said; it does not say in which unit."""
        checkout = self.upgrade.checkout
        return None if checkout is None or checkout.amount is None else f"{checkout.amount:,}"


def show_upgrade(tenant: Tenant, upgrade: Upgrade, now: int) -> ShownUpgrade:
    """What may be seen of an upgrade, and done about it."""
    checkout = upgrade.checkout
    payable = checkout is not None and upgrade.state is State.AWAITING_PAYMENT and checkout.url
    link = checkout.url if checkout is not None and payable else None
    actions = [action for action in OperatorAction if allowed(tenant, upgrade, action, now)]
    return ShownUpgrade(upgrade, timeline(upgrade), actions, link if link and _is_web(link) else None)


def tenant_routes(services: Services, gate: Gate) -> list[Route]:
    """A tenant's pages."""
    store = services.store

    async def known(request: Request) -> Loaded:
        ident = id_in_path(request, "tenantId")
        loaded = await store.load(ident) if ident is not None else None
        if loaded is None or not loaded.known:
            raise not_found("this tenant")
        return loaded

    async def tenant_page(request: Request, session: Session) -> Response:
        loaded, (_, counts) = await asyncio.gather(known(request), badges.count(services))
        tenant, now = loaded.tenant, services.now()
        missing, orphaned, (notes, older), chart = await asyncio.gather(
            users(services, loaded, Standing.MISSING),
            users(services, loaded, Standing.ORPHANED),
            store.journal(tenant.id, before=None, limit=NOTES_SHOWN),
            _nothing() if is_partial(request) else chart_of(services, tenant.id),
        )
        latest = tenant.upgrade
        return page(
            request,
            "tenant.html",
            session=session,
            now=now,
            badges=counts,
            tenant=tenant,
            status=200,
            word=status(tenant, loaded.counts, services.policy),
            counts=loaded.counts,
            capacity=capacity_of(tenant),
            pending=loaded.pending,
            why=explain(tenant, loaded.counts, services.policy),
            shown=show_upgrade(tenant, latest, now) if latest else None,
            earlier=[upgrade for upgrade in reversed(tenant.upgrades) if upgrade is not latest],
            missing=missing,
            orphaned=orphaned,
            alerts=active_alerts(tenant),
            outlook=outlook(tenant),
            notes=[_note(note) for note in notes],
            older=older,
            chart=chart,
            done=DONE.get(request.query_params.get("done", "")),
        )

    async def chart_part(request: Request, session: Session) -> Response:
        loaded = await known(request)
        return page(
            request, "chart.html", session=session, now=services.now(), tenant=loaded.tenant,
            chart=await chart_of(services, loaded.tenant.id),
        )  # fmt: skip

    async def journal(request: Request, session: Session) -> Response:
        loaded = await known(request)
        (notes, older), (_, counts) = await asyncio.gather(
            store.journal(loaded.tenant.id, before=journal_cursor(request), limit=JOURNAL_PAGE),
            badges.count(services),
        )
        return page(
            request, "journal.html", session=session, now=services.now(), badges=counts, tenant=loaded.tenant,
            notes=[_note(note) for note in notes], older=older,
        )  # fmt: skip

    async def ask(request: Request, session: Session) -> Response:
        tenant = (await known(request)).tenant
        return page(
            request, "confirm.html", session=session, now=services.now(), back=f"/tenants/{in_path(tenant.id)}",
            title="Reconcile this tenant now?", tenant=tenant.id, upgrade=None, action="reconcile",
            explanation="Crovver is read, the journal's facts are folded in, and whatever the rules ask for is done. "
            "It does no harm to do so at any time.",
        )  # fmt: skip

    async def reconcile(request: Request, _: Session, __: Mapping[str, str]) -> Response:
        tenant = (await known(request)).tenant
        await ask_for_look(services, tenant.id)
        return done(request, tenant.id, "reconcile")

    return [
        Route("/tenants/{tenantId:id}", gate.page(tenant_page), methods=["GET"]),
        Route("/tenants/{tenantId:id}/chart", gate.page(chart_part), methods=["GET"]),
        Route("/tenants/{tenantId:id}/journal", gate.page(journal), methods=["GET"]),
        Route("/tenants/{tenantId:id}/reconcile", gate.page(ask), methods=["GET"]),
        Route("/tenants/{tenantId:id}/reconcile", gate.action(reconcile), methods=["POST"]),
    ]


def done(request: Request, tenant: str, what: str) -> Response:
    """The answer to an action: the page shows it by itself, or is opened anew where there are no scripts."""
    if is_partial(request):
        return message(DONE[what], good=True, refresh=True)
    return redirect(f"/tenants/{in_path(tenant)}?done={what}")


async def users(services: Services, loaded: Loaded, standing: Standing) -> list[str]:
    """Some users of a class, in order."""
    if loaded.whole:
        found = [user for user, entry in loaded.entries.items() if entry.standing is standing]
    else:
        found = await services.store.standing(loaded.tenant.id, standing, DRIFT_SHOWN)
    return sorted(found)[:DRIFT_SHOWN]


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart, and the same as the rows of a table, newest first."""

    points: Sequence[charts.Point]
    now: int

    @property
    def drawings(self) -> Sequence[Markup]:
        """For a broad page and for a phone; the style sheet shows one of them."""
        return [charts.seats_chart(self.points, self.now, frame) for frame in (charts.BROAD, charts.NARROW)]

    @property
    def rows(self) -> Sequence[charts.Point]:
        return list(reversed(self.points))[:TABLE_ROWS]


async def chart_of(services: Services, tenant: str) -> Chart | None:
    """Seats needed and capacity at each decision the journal holds; None where it holds none."""
    points = []
    for note in await services.store.decisions(tenant, CHART_NOTES):
        at, needed, capacity = note.get("at"), note.get("needed"), note.get("capacity")
        if isinstance(at, int) and isinstance(needed, int):
            points.append(charts.Point(at, needed, capacity if isinstance(capacity, int) else None))
    return Chart(points, services.now()) if points else None


async def _nothing() -> None:
    """Of a chart that is not asked for."""


def active_alerts(tenant: Tenant) -> list[Active]:
    """What people have been alerted of that is not over, worst first."""
    return sorted(
        (alert for alert in tenant.alerts if alert.told), key=lambda alert: (-alert.severity.rank, alert.since)
    )


def _note(note: Mapping[str, Json]) -> tuple[int | None, str, str]:
    at = note.get("at")
    return at if isinstance(at, int) else None, str(note.get("kind")), describe_note(note)


def _is_web(link: str) -> bool:
    """Crovver's word is not taken for what a click may do."""
    return link.startswith(("https://", "http://"))
