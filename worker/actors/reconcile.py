"""The actor that reconciles a tenant when it is woken."""

from collections.abc import Awaitable, Callable

import structlog
from dramatiq import Actor, actor

from worker.actors.broker import RECONCILE, Broker
from worker.engine.reconcile import Reconciler
from worker.store.errors import StoreError
from worker.store.interface import Wake

log = structlog.get_logger(__name__)


def declare_reconcile(broker: Broker, reconciler: Reconciler) -> "Actor[[str, str], Awaitable[None]]":
    """Declare ``reconcile(tenant, token)`` on its queue.

    It never raises: the tenant stays due under its lease until a reconcile has finished, so nothing needs repeating
    through the queue.
    """

    async def reconcile(tenant: str, token: str = "") -> None:
        with structlog.contextvars.bound_contextvars(wake=token):
            try:
                await reconciler.reconcile(Wake(tenant, str(token)))
            except StoreError as error:
                log.warning("reconcile put off", tenant=tenant, reason=str(error))
            except Exception:
                log.exception("reconcile failed; the tenant stays due", tenant=tenant)

    declare: Callable[..., Actor[[str, str], Awaitable[None]]] = actor
    return declare(reconcile, broker=broker, actor_name="reconcile", queue_name=RECONCILE)
