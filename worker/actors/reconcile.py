"""The actor that reconciles a tenant when it is woken."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from dramatiq import Actor, actor

from worker.actors.broker import RECONCILE, Broker
from worker.core.times import SECOND
from worker.engine.ports import Ports
from worker.engine.reconcile import Reconciler
from worker.metrics import Meters
from worker.metrics.catalogue import RECONCILES
from worker.store.errors import StoreError, StoreUnavailable
from worker.store.interface import Wake
from worker.telemetry import Spans

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
            log.debug("a lease could not be prolonged", reason=str(error))


def declare_reconcile(
    broker: Broker, reconciler: Reconciler, meters: Meters, spans: Spans
) -> "Actor[[str, str], Awaitable[None]]":
    """Declare ``reconcile(tenant, token)`` on its queue.

    It never raises: the tenant stays due under its lease until a reconcile has finished, so nothing needs repeating
    through the queue.
    """

    async def reconcile(tenant: str, token: str = "") -> None:
        with (
            structlog.contextvars.bound_contextvars(tenant=tenant, wake=str(token)),
            spans.span("reconcile", "consumer", tenant=tenant),
        ):
            wake = Wake(tenant, str(token))
            keeping = asyncio.create_task(keep_lease(reconciler.ports, wake))
            try:
                done = await reconciler.reconcile(wake)
                outcome = "settled" if done.verdict is not None else "contended"
            except StoreUnavailable as error:
                outcome = "put_off"
                log.warning("reconcile put off", reason=str(error))
            except StoreError as error:
                outcome = "put_off"
                log.error("reconcile put off until somebody mends what is kept", reason=str(error))
            except Exception:
                outcome = "failed"
                log.exception("reconcile failed; the tenant stays due")
            finally:
                keeping.cancel()
            meters.count(RECONCILES.name, outcome=outcome)
            spans.note(outcome=outcome)

    declare: Callable[..., Actor[[str, str], Awaitable[None]]] = actor
    return declare(reconcile, broker=broker, actor_name="reconcile", queue_name=RECONCILE)
