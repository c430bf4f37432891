"""The overview: how the fleet is doing, and a way to every tenant."""

import asyncio
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.tenant import Status, capacity_of
from worker.core.upgrade import State
from worker.store.interface import Order, Record, TenantPage
from worker.web.dashboard import badges, stuck
from worker.web.dashboard.gate import Gate
from worker.web.dashboard.render import page
from worker.web.dashboard.session import Session
from worker.web.paths import LONGEST_ID, storable
from worker.web.services import Services

ROWS: Final = 50
LAST_PAGE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Query:
    """What of the fleet is asked for. What makes no sense is taken for the default: a page has no use for an error."""

    prefix: str
    status: Status | None
    order: Order
    page: int

    def address(self, **changes: object) -> str:
        """The overview with some of it changed; a change to anything but the page starts at the first page."""
        values = {"q": self.prefix, "status": self.status or "", "sort": self.order, "page": 1, **changes}
        default = {"q": "", "status": "", "sort": Order.ID, "page": 1}
        given = {name: str(value) for name, value in values.items() if value != default[name]}
        return f"/?{urlencode(given)}" if given else "/"


@dataclass(frozen=True, slots=True)
class Row:
    """A tenant in the list; None: Crovver has not been read."""

    tenant: str
    status: Status
    since: int
    needed: int
    active: int | None
    capacity: int | None
    upgrade: State | None
    looked_at: int | None

    @property
    def percent(self) -> int | None:
        """How many percent of the capacity are needed or taken; None where there is none."""
        if not self.capacity:
            return None
        return round(100 * max(self.needed, self.active or 0) / self.capacity)


def fleet_routes(services: Services, gate: Gate) -> list[Route]:
    """The overview."""

    async def overview(request: Request, session: Session) -> Response:
        query = read_query(request)
        (census, counts), found, stuck_ones = await asyncio.gather(
            badges.count(services), find(services, query), services.store.stuck(stuck.waits(services.policy), 1)
        )
        listed, rows = found
        return page(
            request,
            "fleet.html",
            session=session,
            now=services.now(),
            badges=counts,
            census=census,
            tenants=sum(census.tenants.values()),
            stuck=stuck_ones.total,
            query=query,
            total=listed.total,
            rows=rows,
            first=(query.page - 1) * ROWS + 1,
            last_page=max(1, -(-listed.total // ROWS)),
        )

    return [Route("/", gate.page(overview), methods=["GET"])]


async def find(services: Services, query: Query) -> tuple[TenantPage, list[Row]]:
    """The page that is asked for."""
    listed = await services.store.find_tenants(
        status=query.status, prefix=query.prefix, order=query.order, offset=(query.page - 1) * ROWS, limit=ROWS
    )
    records = await services.store.records([row.tenant for row in listed.rows])
    return listed, [_row(records[row.tenant], row.status, row.since) for row in listed.rows]


def read_query(request: Request) -> Query:
    """What the address asks for."""
    given = request.query_params
    prefix = given.get("q", "").strip()[:LONGEST_ID]
    prefix = prefix if storable(prefix) else ""
    status = given.get("status", "")
    order = given.get("sort", "")
    number = given.get("page", "")
    return Query(
        prefix=prefix,
        status=Status(status) if status in set(Status) else None,
        # Only ids are in the order of their beginnings.
        order=Order(order) if order in set(Order) and not prefix else Order.ID,
        page=max(1, min(int(number), LAST_PAGE)) if re.fullmatch(r"[0-9]{1,9}", number) else 1,
    )


def _row(record: Record, status: Status, since: int) -> Row:
    tenant = record.tenant
    upgrade = tenant.open_upgrade
    return Row(
        tenant=tenant.id,
        status=status,
        since=since,
        needed=record.counts.needed,
        active=tenant.look.summary.active_count if tenant.look else None,
        capacity=capacity_of(tenant),
        upgrade=upgrade.state if upgrade else None,
        looked_at=tenant.reconciled_at,
    )
