"""The actor that delivers alerts: one message of the queue is one attempt to send what waits for one channel."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import stamina
import structlog
from dramatiq import Actor, actor

from worker.actors.broker import ALERTS, Broker
from worker.alerts.channels import Channel, ChannelError
from worker.alerts.digest import Message, Missed, Writer, wanting_links
from worker.alerts.timing import retry_after
from worker.core.times import SECOND
from worker.core.upgrade import State
from worker.metrics import Meters
from worker.metrics.catalogue import ALERTS as COUNTED
from worker.store.alert_log import Delivery
from worker.store.errors import StoreError, StoreUnavailable
from worker.store.interface import Store

log = structlog.get_logger(__name__)

SEND_WITHIN = 15.0
"""Seconds a channel may take; what takes longer counts as failed, and may arrive twice."""

SETTLE_WITHIN = 10.0
BEFORE_OTHERS = -1
"""dramatiq's priority: in a process that is busy with tenants, alerts do not wait behind all of them."""

LEASE = 30 * SECOND
"""Longer than sending and saying so may take together: until it ends nobody else sends the same."""


class Courier:
    """Sends what waits for channels, each from a thread of its own, so that one that hangs holds up no other."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], writer: Writer, meters: Meters) -> None:
        self.store = store
        self.channels = channels
        self.writer = writer
        self.meters = meters
        for name, outcome in product(channels, COUNTED.labels["outcome"]):
            meters.count(COUNTED.name, 0, channel=name, outcome=outcome)  # so that the first failure is seen as a rise
        self._threads = {
            name: ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"alerts {name}") for name in channels
        }

    async def deliver(self, name: str, cursor: int) -> None:
        """Send what waits for the channel, if it still stands at ``cursor`` and nobody else is at it.

        Raises:
            StoreError: what was sent by then is sent again when the lease has ended.
        """
        channel = self.channels.get(name)
        if channel is None:
            log.warning("alerts wait for a channel that this worker's settings do not have", channel=name)
            return
        delivery = await self.store.claim_channel(name, cursor, LEASE)
        if delivery is None:
            return
        links = await self._links(delivery) if channel.route.links else {}
        missed = Missed(delivery.dropped, delivery.unreadable)
        message = self.writer.write(delivery.alerts, missed, links, channel.room)
        problem = await self._send(channel, message)
        if problem is None:
            await self._arrived(name, delivery)
        else:
            await self._not_arrived(name, delivery, problem)

    async def _send(self, channel: Channel, message: Message) -> str | None:
        """Why the message did not arrive; None where it did."""
        sending = asyncio.get_running_loop().run_in_executor(self._threads[channel.name], channel.send, message)
        try:
            await asyncio.wait_for(sending, SEND_WITHIN)
        except ChannelError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {SEND_WITHIN:g} s"
        return None

    async def _arrived(self, name: str, delivery: Delivery) -> None:
        told = len(delivery.alerts) + delivery.unreadable
        async for attempt in stamina.retry_context(on=StoreUnavailable, attempts=None, timeout=SETTLE_WITHIN):
            with attempt:
                await self.store.delivered(name, delivery)
        self.meters.count(COUNTED.name, told, channel=name, outcome="delivered")
        if delivery.dropped:
            self.meters.count(COUNTED.name, delivery.dropped, channel=name, outcome="dropped")
        tell = log.warning if delivery.dropped else log.info
        tell("alerts delivered", channel=name, alerts=told, dropped=delivery.dropped, failures=delivery.attempts)

    async def _not_arrived(self, name: str, delivery: Delivery, problem: str) -> None:
        wait = retry_after(delivery.attempts)
        async for attempt in stamina.retry_context(on=StoreUnavailable, attempts=None, timeout=SETTLE_WITHIN):
            with attempt:
                await self.store.failed(name, delivery, wait, problem)
        self.meters.count(COUNTED.name, channel=name, outcome="failed")
        # Once for each outage; how it goes on is in the metrics.
        tell = log.debug if delivery.attempts else log.warning
        tell("alerts could not be delivered", channel=name, reason=problem, next_try_in=wait // SECOND)

    async def _links(self, delivery: Delivery) -> dict[tuple[str, str], str]:
        """The payable links that belong into a message, as far as they can still be paid. They are kept nowhere."""
        found = {}
        for tenant, ident in wanting_links(delivery.alerts):
            upgrade = (await self.store.load(tenant)).tenant.find(ident)
            if upgrade is None or upgrade.state is not State.AWAITING_PAYMENT or upgrade.checkout is None:
                continue
            if upgrade.checkout.url:
                found[tenant, ident] = upgrade.checkout.url
        return found


def declare_alerts(broker: Broker, courier: Courier) -> "Actor[[str, int], Awaitable[None]]":
    """Declare ``deliver_alerts(channel, cursor)`` on its queue.

    It never raises: what waits for a channel stays there, and the scheduler asks again.
    """

    async def deliver_alerts(channel: str, cursor: int) -> None:
        try:
            await courier.deliver(str(channel), int(cursor))
        except StoreError as error:
            log.warning("delivering alerts was put off", channel=channel, reason=str(error))
        except Exception:
            log.exception("delivering alerts failed; they are tried again", channel=channel)

    declare: Callable[..., Actor[[str, int], Awaitable[None]]] = actor
    return declare(
        deliver_alerts, broker=broker, actor_name="deliver_alerts", queue_name=ALERTS, priority=BEFORE_OTHERS
    )
