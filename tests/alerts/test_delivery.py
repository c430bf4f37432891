"""Delivery: from the log to channels, each in its own time, whatever fails."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.alerts.receiver import Receiver, hanging
from tests.alerts.samples import AT, CRITICAL, INFO, PAID, STARTED, WARNING, WRITER, raised
from tests.canaries import LINK_MARK
from worker.actors import alert_watch, alerts
from worker.actors.alert_watch import look_at_fleet, wake_channels
from worker.actors.alerts import Courier
from worker.alerts.channels import open_channels
from worker.alerts.routing import Route, routes_of
from worker.core.alerts import Alert, AlertKind, Phase
from worker.core.checkout import Checkout
from worker.core.facts import PaymentEvent, PaymentFact
from worker.core.tenant import Tenant
from worker.core.times import HOUR, MINUTE, SECOND
from worker.core.upgrade import State, Upgrade
from worker.metrics import Meters
from worker.store.errors import StoreUnavailable
from worker.store.interface import Commit
from worker.store.memory import MemoryStore

LINK = f"https://checkout.example/pay/cs_{LINK_MARK}"


class Clock:
    """A clock that stands still until it is moved."""

    now = AT

    def __call__(self) -> int:
        return self.now


@dataclass
class Queue:
    """In place of a broker: hands each message to the courier, at once or never."""

    courier: Courier
    loop: asyncio.AbstractEventLoop
    lost: int = 0
    full: bool = False
    sent: list[tuple[str, int]] = field(default_factory=list)

    def queued(self, name: str) -> int:
        assert name == "alerts"
        return alert_watch.MOST_QUEUED if self.full else 0

    def enqueue(self, message: Any) -> None:
        channel, cursor = message.args
        self.sent.append((channel, cursor))
        if len(self.sent) > self.lost:
            asyncio.run_coroutine_threadsafe(self.courier.deliver(channel, cursor), self.loop)


@dataclass
class World:
    """A store, its clock, and who delivers what is in it."""

    routes: tuple[Route, ...]
    clock: Clock = field(default_factory=Clock)
    meters: Meters = field(default_factory=Meters)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.courier = Courier(self.store, open_channels(self.routes), WRITER, self.meters)
        self._serial = itertools.count(1)

    async def post(self, *posted: Alert) -> None:
        for alert in posted:
            await self.store.post_alerts(alert.tenant, [replace(alert, serial=next(self._serial))])

    def counted(self, outcome: str) -> int:
        """What the metrics say of the first channel."""
        return self.meters._counts.get(("seats_alerts_total", self.routes[0].name, outcome), 0)

    async def deliver(self) -> None:
        """One attempt for each channel, all at once, as a worker makes them."""
        peeks = [await self.store.peek_channel(route.name, route.least) for route in self.routes]
        await asyncio.gather(
            *(self.courier.deliver(route.name, peek.cursor) for route, peek in zip(self.routes, peeks, strict=True))
        )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())


async def until(check: Callable[[], bool]) -> None:
    for _ in range(1000):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 10 s")


def test_500_tenants_at_once_are_one_message_and_nothing_is_told_twice(receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(routes_of([(receiver.url, INFO)], []))
        await world.post(*(raised(f"tenant_{number}") for number in range(500)))
        await world.deliver()
        await world.deliver()
        assert receiver.titles() == ["Warning: seats nearly used up (500 tenants)"]
        assert world.counted("delivered") == 500

    play(scenario)


def test_a_receiver_that_is_down_delays_no_other_and_gets_everything_when_it_is_up(receiver: Receiver) -> None:
    async def scenario() -> None:
        with Receiver() as other:
            world = World(routes_of([(receiver.url, INFO), (other.url, INFO)], []))
            receiver.down()
            await world.post(raised("acme"), raised("globex", PAID, CRITICAL))
            await world.deliver()
            assert other.titles() == ["Critical: 2 alerts (1 critical, 1 warning)"]
            await world.post(raised("hooli"))
            for _ in range(3):
                world.clock.now += MINUTE
                await world.deliver()
            (down, up) = sorted(await world.store.channels(), key=lambda one: one.pending, reverse=True)
            assert (down.pending, down.attempts, up.pending) == (3, 4, 0)
            assert down.error is not None
            assert "no connection" in down.error
            receiver.up()
            await world.deliver()
            assert receiver.messages == []  # it is not its time yet
            world.clock.now += HOUR
            await world.deliver()
            (message,) = receiver.messages
            assert all(tenant in message.message for tenant in ("acme", "globex", "hooli"))
            assert len(other.messages) == 2
            assert (world.counted("failed"), world.counted("delivered")) == (4, 3)

    play(scenario)


def test_a_channel_that_hangs_holds_up_nobody_and_is_given_up_on(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "SEND_WITHIN", 0.5)

    async def scenario() -> None:
        with hanging() as url:
            world = World(routes_of([(url, INFO), (receiver.url, INFO)], []))
            await world.post(raised())
            began = asyncio.get_running_loop().time()
            delivering = asyncio.create_task(world.deliver())
            await until(lambda: bool(receiver.messages))
            assert asyncio.get_running_loop().time() - began < 0.4
            await delivering
            assert asyncio.get_running_loop().time() - began < 2
            (state,) = [one for one in await world.store.channels() if one.pending]
            assert state.error == "no answer within 0.5 s"

    play(scenario)


def test_a_payable_link_goes_to_its_channels_only_while_it_can_be_paid_and_is_kept_nowhere(receiver: Receiver) -> None:
    receiver.chosen = True

    async def scenario() -> None:
        with Receiver() as plain:
            world = World(routes_of([(plain.url, INFO)], [(receiver.url, INFO)]))
            checkout = Checkout("pro_1", LINK, True, 17.5, {}, None)
            upgrade = Upgrade("upg_1", State.AWAITING_PAYMENT, 13, 10, 13, AT, checkout=checkout)
            await world.store.commit(Commit(Tenant("acme").with_upgrade(upgrade), 0, "pas_1", 0))
            await world.post(raised("acme", STARTED, INFO, upgrade="upg_1", size=13, from_capacity=10))
            await world.deliver()
            assert f"Pay here: {LINK}" in receiver.text()
            assert LINK not in plain.text()
            assert all(LINK not in repr(row) for row in (await world.store.alerts(None, 10))[0])
            paid = replace(upgrade, state=State.PAID)
            await world.store.commit(Commit(Tenant("acme").with_upgrade(paid), 1, "pas_2", 0))
            receiver.messages.clear()
            await world.post(raised("acme", STARTED, INFO, upgrade="upg_1", size=13, from_capacity=10))
            await world.deliver()
            assert len(receiver.messages) == 1
            assert "Pay here" not in receiver.text()

    play(scenario)


def test_a_word_the_store_did_not_get_is_said_again_and_the_message_not_sent_twice(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        world = World(routes_of([(receiver.url, INFO)], []))
        failures = iter([True, True])

        async def fail(operation: str) -> None:
            if operation == "delivered" and next(failures, False):
                raise StoreUnavailable("away")

        await world.post(raised())
        world.store.step = fail
        await world.deliver()
        world.clock.now += HOUR
        await world.deliver()
        assert len(receiver.messages) == 1

    play(scenario)


def test_what_the_log_has_dropped_is_told_and_counted(receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(routes_of([(receiver.url, INFO)], []))
        world.store.alert_limit = 10
        await world.deliver()
        await world.post(*(raised(f"tenant_{number}") for number in range(25)))
        await world.deliver()
        assert "too long: 15 older alerts" in receiver.text()
        assert (world.counted("dropped"), world.counted("delivered")) == (15, 10)

    play(scenario)


def test_a_channel_of_other_settings_is_left_to_others() -> None:
    async def scenario() -> None:
        world = World(())
        await world.courier.deliver("slack-beef", 0)

    play(scenario)


def test_channels_are_woken_when_it_is_time_and_again_where_a_message_was_lost(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_watch, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(alert_watch, "ASK_AGAIN_AFTER", 0.3)

    async def scenario() -> None:
        world = World(routes_of([(receiver.url, WARNING)], []))
        queue, stop = Queue(world.courier, asyncio.get_running_loop(), lost=1), asyncio.Event()
        waking = asyncio.create_task(wake_channels(world.store, queue, stop, world.routes, MINUTE))  # type: ignore[arg-type]
        await world.post(raised(severity=INFO))
        world.clock.now += HOUR
        await asyncio.sleep(0.1)
        assert queue.sent == []  # nothing this channel hears of
        await world.post(raised())
        world.clock.now += 59 * SECOND
        await asyncio.sleep(0.1)
        assert queue.sent == []
        world.clock.now += SECOND
        await asyncio.sleep(0.15)
        assert len(queue.sent) == 1  # lost
        await until(lambda: world.counted("delivered") == 1)
        assert len(queue.sent) == 2
        await world.post(raised("globex", PAID, CRITICAL))
        world.clock.now += 15 * SECOND
        await until(lambda: world.counted("delivered") == 2)
        assert len(receiver.messages) == 2
        await asyncio.sleep(0.4)
        assert len(queue.sent) == 3
        stop.set()
        await waking

    play(scenario)


def test_a_queue_that_nobody_empties_is_not_filled(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_watch, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(alert_watch, "ASK_AGAIN_AFTER", 0.0)

    async def scenario() -> None:
        world = World(routes_of([(receiver.url, INFO)], []))
        queue, stop = Queue(world.courier, asyncio.get_running_loop(), lost=10**9), asyncio.Event()
        await world.store.peek_channel(world.routes[0].name, INFO)
        await world.post(raised())
        world.clock.now += HOUR
        waking = asyncio.create_task(wake_channels(world.store, queue, stop, world.routes, MINUTE))  # type: ignore[arg-type]
        await until(lambda: len(queue.sent) > 3)
        queue.full = True
        await asyncio.sleep(0.05)
        sent = len(queue.sent)
        await asyncio.sleep(0.2)
        assert len(queue.sent) == sent
        queue.full = False
        await until(lambda: len(queue.sent) > sent)
        stop.set()
        await waking

    play(scenario)


def test_a_critical_alert_behind_thousands_goes_out_without_a_pause(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_watch, "LOOK_EVERY", 0.01)

    async def scenario() -> None:
        world = World(routes_of([(receiver.url, INFO)], []))
        queue, stop = Queue(world.courier, asyncio.get_running_loop()), asyncio.Event()
        await world.store.peek_channel(world.routes[0].name, INFO)
        await world.store.post_alerts("acme", [replace(raised(), serial=number) for number in range(1, 4501)])
        await world.post(raised("globex", PAID, CRITICAL))
        began = world.clock.now
        waking = asyncio.create_task(wake_channels(world.store, queue, stop, world.routes, MINUTE))  # type: ignore[arg-type]
        await until(lambda: world.counted("delivered") == 4501)
        assert world.clock.now == began
        assert len(receiver.messages) == 3
        assert "globex" in receiver.messages[-1].message
        stop.set()
        await waking

    play(scenario)


def test_more_payments_that_match_nothing_are_told_of_once_a_day() -> None:
    """Where a Stripe account is shared with a shop, each of the shop's sales is one."""

    class Dead:
        async def count(self) -> dict[str, int]:
            return {}

    async def scenario() -> None:
        world = World(())
        for number in range(72):
            sale = PaymentFact(
                PaymentEvent.COMPLETED, f"cs_{number}", AT, f"evt_{number}", "paid", False, None, (), True
            )
            await world.store.park(sale)
            for _ in range(4):
                world.clock.now += 15 * MINUTE
                await look_at_fleet(world.store, Dead())
        rows, _ = await world.store.alerts(None, 100)
        assert [(row.alert.phase, row.alert.data["count"]) for row in reversed(rows)] == [
            (Phase.RAISED, 1),
            (Phase.RAISED, 25),
            (Phase.RAISED, 49),
        ]

    play(scenario)


def test_the_fleet_is_watched_and_two_watchers_tell_once() -> None:
    class Dead:
        counts: dict[str, int] = {"seat-events": 0}  # noqa: RUF012

        async def count(self) -> dict[str, int]:
            return self.counts

    async def scenario() -> None:
        world, dead = World(()), Dead()

        async def told() -> list[tuple[AlertKind, Phase]]:
            await asyncio.gather(*(look_at_fleet(world.store, dead) for _ in range(3)))
            rows, _ = await world.store.alerts(None, 10)
            return [(row.alert.kind, row.alert.phase) for row in rows]

        paid = PaymentFact(PaymentEvent.COMPLETED, "cs_1", AT, "evt_1", "paid", True, None, ("t",), True)
        expired = PaymentFact(PaymentEvent.EXPIRED, "cs_2", AT, "evt_2", "unpaid", True, None, (), True)
        await world.store.park(paid)
        await world.store.park(expired)
        assert await told() == []
        world.clock.now += 15 * MINUTE
        assert await told() == [(AlertKind.UNMATCHED_PAYMENT, Phase.RAISED)]
        assert (await world.store.alerts(None, 1))[0][0].alert.data["count"] == 1
        dead.counts = {"seat-events": 2}
        assert (await told())[0] == (AlertKind.DEAD_LETTER, Phase.RAISED)
        await world.store.unpark(["evt_1"])
        await told()
        world.clock.now += 2 * MINUTE
        assert (await told())[0] == (AlertKind.UNMATCHED_PAYMENT, Phase.RESOLVED)
        assert len(await told()) == 3

    play(scenario)
