"""What operators can do, for the API and the dashboard alike: decide about an upgrade, have a tenant looked at."""

import uuid

from worker.core.facts import HintFact, OperatorAction, OperatorFact
from worker.core.fold import allowed
from worker.core.journal import Json
from worker.core.tenant import Tenant
from worker.core.upgrade import Upgrade
from worker.metrics.catalogue import FACTS_ACCEPTED
from worker.web.problems import Problem, not_found
from worker.web.services import Services


async def find_upgrade(services: Services, ident: str | None) -> tuple[Upgrade, Tenant]:
    """An upgrade and its tenant's record.

    Raises:
        Problem: 404 it is not known, or so old that only the journal tells of it.
    """
    tenant = await services.store.owner(ident) if ident is not None else None
    if ident is None or tenant is None:
        raise not_found("this upgrade")
    record = (await services.store.load(tenant)).tenant
    upgrade = record.find(ident)
    if upgrade is None:
        raise Problem(404, f"this upgrade is long over; what is left of it is in the journal of tenant {tenant}")
    return upgrade, record


def check(tenant: Tenant, upgrade: Upgrade, action: OperatorAction, now: int) -> None:
    """Return if the action fits the upgrade's state.

    Raises:
        Problem: 409 it does not; the answer says what does.
    """
    if allowed(tenant, upgrade, action, now):
        return
    possible = [other.value for other in OperatorAction if allowed(tenant, upgrade, other, now)]
    remedy = f"possible now: {', '.join(possible)}" if possible else "there is nothing to decide about it"
    detail = f"can't {action.value} an upgrade that is {upgrade.state.value}; {remedy}"
    members: dict[str, Json] = {"state": upgrade.state.value, "possible": [*possible]}
    raise Problem(409, detail, kind="wrong-state", members=members)


async def decide(services: Services, ident: str | None, action: OperatorAction) -> tuple[Upgrade, Tenant]:
    """Put an operator's decision into the tenant's inbox; the upgrade and the tenant as they were before it.

    Raises:
        Problem: 404 the upgrade is not known, 409 the action does not fit its state.
        StoreError: the store could not be used; nothing is promised.
    """
    upgrade, record = await find_upgrade(services, ident)
    now = services.now()
    check(record, upgrade, action, now)
    await services.store.append({record.id: [OperatorFact(action, upgrade.id, now, f"op_{uuid.uuid4().hex}")]})
    services.meters.count(FACTS_ACCEPTED.name, door="operator")
    return upgrade, record


async def ask_for_look(services: Services, tenant: str, *, credits: bool = False) -> None:
    """Have a tenant reconciled now, and its credit balances read, too, where that is wanted.

    Raises:
        StoreError: the store could not be used; nothing is promised.
    """
    hint = HintFact("operator", services.now(), f"hint_{uuid.uuid4().hex}", credits)
    await services.store.append({tenant: [hint]})
    services.meters.count(FACTS_ACCEPTED.name, door="operator")
