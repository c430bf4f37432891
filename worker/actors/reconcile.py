"""The actor that reconciles a tenant when it is woken."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from dramatiq import Actor, actor

from worker.actors.broker import RECONCILE, Broker
from worker.core.times import SECOND
from worker.engine.ports import Ports
from worker.engine.reconcile import Reconciler
from worker.store.errors import StoreError
from worker.store.interface import Wake

log = structlog.get_logger(__name__)


KEPT_AT_MOST = 300.0


async def keep_lease(ports: Ports, wake: Wake) -> None:
    """Prolong a lease while its tenant is being reconciled, for five minutes at most.

    A slow Crovver then costs one worker thread a tenant, not one more with every lease that ends.
    """
    every = ports.pace.lease / SECOND / 3
    for _ in range(round(KEPT_AT_MOST / every)):
        await asyncio.sleep(every)
        try:
            if not await ports.store.renew(wake, ports.pace.lease):
                return
        except StoreError as error:
            log.debug("a lease could not be prolonged", tenant=wake.tenant, reason=str(error))


def declare_reconcile(broker: Broker, reconciler: Reconciler) -> "Actor[[str, str], Awaitable[None]]":
    """Declare ``reconcile(tenant, token)`` on its queue.

    It never raises: the tenant stays due under its lease until a reconcile has finished, so nothing needs repeating
    through the queue.
    """

    async def reconcile(tenant: str, token: str = "") -> None:
        with structlog.contextvars.bound_contextvars(wake=token):
            wake = Wake(tenant, str(token))
            keeping = asyncio.create_task(keep_lease(reconciler.ports, wake))
            try:
                await reconciler.reconcile(wake)
            except StoreError as error:
                log.warning("reconcile put off", tenant=tenant, reason=str(error))
            except Exception:
                log.exception("reconcile failed; the tenant stays due", tenant=tenant)
            finally:
                keeping.cancel()

    declare: Callable[..., Actor[[str, str], Awaitable[None]]] = actor
    return declare(reconcile, broker=broker, actor_name="reconcile", queue_name=RECONCILE)
