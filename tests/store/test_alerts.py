"""Alerts, on every store there is: posted once, read by each channel in its own time, lost by none."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.store.conftest import Play
from worker.core.alert_book import Active
from worker.core.alerts import Alert, AlertKind, Phase, Severity
from worker.core.times import MINUTE, SECOND
from worker.store import alerts as redis_alerts
from worker.store import memory_alerts
from worker.store.alert_log import AlertLog, Delivery, FleetBook
from worker.store.codec import encode_alert
from worker.store.interface import Store
from worker.store.memory import MemoryStore
from worker.store.redis_store import RedisStore
from worker.store.scripts import Arg, Call, command

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
OVER_AT_ONCE = 1
"""A lease, or a wait, of a microsecond."""


def alert(serial: int, severity: Severity = WARNING, tenant: str = "acme") -> Alert:
    kind = AlertKind.PAID_NOT_APPLIED if severity is CRITICAL else AlertKind.NEAR_CAPACITY
    return Alert(serial, tenant, kind, severity, Phase.RAISED, at=7, data={"used": serial, "mode": "auto", "x": None})


def serials(alerts: Sequence[Alert]) -> list[int]:
    return [one.serial for one in alerts]


async def claim(store: AlertLog, name: str, least: Severity = INFO, lease: int = MINUTE) -> Delivery | None:
    peek = await store.peek_channel(name, least)
    return await store.claim_channel(name, peek.cursor, lease)


async def take(store: AlertLog, name: str, least: Severity = INFO) -> list[int]:
    """Everything that waits for a channel, delivered."""
    delivery = await claim(store, name, least)
    if delivery is None:
        return []
    assert await store.delivered(name, delivery)
    return serials(delivery.alerts)


def limit_the_log(store: Store, limit: int) -> None:
    assert isinstance(store, RedisStore | MemoryStore)
    store.alert_limit = limit


def test_alerts_come_back_as_they_went_in_newest_first_and_page_by_page(play: Play) -> None:
    async def scenario(store: Store) -> None:
        posted = [replace(alert(number), key="pool", phase=Phase.RESOLVED) for number in range(1, 8)]
        assert await store.post_alerts("acme", posted) == 7
        rows, cursor = await store.alerts(None, 4)
        assert [row.alert for row in rows] == posted[:2:-1]
        assert len({row.id for row in rows}) == 4
        rest, end = await store.alerts(cursor, 4)
        assert [row.alert for row in rest] == posted[2::-1]
        assert end is None
        assert await store.alerts("1", 4) == ([], None)

    play(scenario)


def test_an_alert_that_was_posted_before_is_left_out_and_serials_are_each_tenants_own(play: Play) -> None:
    async def scenario(store: Store) -> None:
        big = 2**53 - 10
        first = [alert(big), alert(big + 1)]
        assert await store.post_alerts("acme", first) == 2
        assert await store.post_alerts("acme", first) == 0
        assert await store.post_alerts("acme", [*first, alert(big + 2)]) == 1
        assert await store.post_alerts("globex", [alert(5, tenant="globex")]) == 1
        assert await store.post_alerts("acme", []) == 0
        rows, _ = await store.alerts(None, 10)
        assert serials([row.alert for row in rows]) == [5, big + 2, big + 1, big]

    play(scenario)


def test_a_channel_hears_of_what_is_severe_enough_once_and_in_order(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1, INFO), alert(2), alert(3, CRITICAL), alert(4, INFO)])
        assert await take(store, "all") == [1, 2, 3, 4]
        assert await take(store, "some", WARNING) == [2, 3]
        assert await take(store, "few", CRITICAL) == [3]
        assert await take(store, "all") == []
        await store.post_alerts("acme", [alert(5), alert(6, INFO)])
        assert await take(store, "all") == [5, 6]
        assert await take(store, "some", WARNING) == [5]
        assert await take(store, "few", CRITICAL) == []

    play(scenario)


def test_a_peek_tells_what_waits_and_since_when_and_changes_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        nothing = await store.peek_channel("all", INFO)
        assert (nothing.pending, nothing.first_at, nothing.critical_at) == (0, None, None)
        await store.post_alerts("acme", [alert(number, INFO) for number in range(1, 301)])
        calm = await store.peek_channel("all", INFO)
        assert (calm.pending, calm.critical_at, calm.sent_at, calm.retry_at) == (300, None, 0, 0)
        assert calm.first_at is not None
        assert calm.first_at <= calm.now
        await store.post_alerts("acme", [alert(301, CRITICAL), alert(302), alert(303, CRITICAL)])
        urgent = await store.peek_channel("all", INFO)
        assert (urgent.pending, urgent.first_at) == (303, calm.first_at)
        assert urgent.critical_at is not None
        assert calm.now <= urgent.critical_at <= urgent.now
        await store.post_alerts("acme", [alert(304, CRITICAL)])
        assert (await store.peek_channel("all", INFO)).critical_at == urgent.critical_at
        assert len(await take(store, "all")) == 304
        after = await store.peek_channel("all", INFO)
        assert (after.pending, after.first_at, after.critical_at) == (0, None, None)
        assert urgent.now <= after.sent_at <= after.now

    play(scenario)


def test_only_one_sends_and_a_stale_message_sends_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1)])
        peek = await store.peek_channel("all", INFO)
        claims = await asyncio.gather(*(store.claim_channel("all", peek.cursor, MINUTE) for _ in range(5)))
        (delivery,) = [claimed for claimed in claims if claimed is not None]
        assert (await store.peek_channel("all", INFO)).leased_until > peek.now
        assert await store.delivered("all", delivery)
        await store.post_alerts("acme", [alert(2)])
        assert await store.claim_channel("all", peek.cursor, MINUTE) is None
        assert await store.claim_channel("never heard of", 0, MINUTE) is None
        assert await take(store, "all") == [2]

    play(scenario)


def test_what_a_killed_sender_held_is_sent_again_and_its_late_word_counts_for_nothing(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1)])
        killed = await claim(store, "all", lease=OVER_AT_ONCE)
        assert killed is not None
        again = await claim(store, "all")
        assert again is not None
        assert again.alerts == killed.alerts
        assert not await store.delivered("all", killed)
        assert not await store.failed("all", killed, MINUTE, "no connection")
        assert await store.delivered("all", again)
        assert await take(store, "all") == []

    play(scenario)


def test_a_failure_is_tried_again_after_its_wait_and_delays_no_other_channel(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1), alert(2)])
        for attempt in range(3):
            delivery = await claim(store, "down")
            assert delivery is not None
            assert (serials(delivery.alerts), delivery.attempts) == ([1, 2], attempt)
            assert await store.failed("down", delivery, OVER_AT_ONCE, "HTTP 503")
        delivery = await claim(store, "down")
        assert delivery is not None
        assert await store.failed("down", delivery, MINUTE, "no connection")
        assert await claim(store, "down") is None
        assert await take(store, "up") == [1, 2]
        down, up = await store.channels()
        assert (down.name, down.pending, down.attempts, down.error) == ("down", 2, 4, "no connection")
        assert down.failing_since is not None
        assert down.retry_at is not None
        assert down.failing_since + MINUTE < down.retry_at + SECOND
        assert (up.name, up.pending, up.delivered, up.error, up.failing_since) == ("up", 0, 2, None, None)

    play(scenario)


def test_a_channel_that_is_up_again_gets_everything_and_its_failure_is_over(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1)])
        delivery = await claim(store, "all")
        assert delivery is not None
        await store.failed("all", delivery, OVER_AT_ONCE, "no connection")
        await store.post_alerts("acme", [alert(2, CRITICAL)])
        assert await take(store, "all") == [1, 2]
        (state,) = await store.channels()
        assert (state.pending, state.delivered, state.attempts, state.failing_since) == (0, 2, 0, None)
        assert state.sent_at is not None

    play(scenario)


def test_a_channel_is_told_how_much_the_log_has_dropped(play: Play) -> None:
    async def scenario(store: Store) -> None:
        limit_the_log(store, 10)
        await store.peek_channel("all", INFO)
        await store.peek_channel("few", CRITICAL)
        await store.post_alerts("acme", [alert(0 + number) for number in range(1, 14)])
        await store.post_alerts("acme", [alert(14, CRITICAL)])
        delivery = await claim(store, "all")
        assert delivery is not None
        assert (serials(delivery.alerts), delivery.dropped) == ([*range(5, 15)], 4)
        assert await store.delivered("all", delivery)
        assert await take(store, "few", CRITICAL) == [14]
        few = [state for state in await store.channels() if state.name == "all"]
        assert [(state.delivered, state.dropped, state.pending) for state in few] == [(10, 4, 0)]

    play(scenario)


def test_a_new_channel_starts_with_the_latest_news(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(number, INFO) for number in range(1, 1102)])
        await store.post_alerts("acme", [alert(2000)])
        assert (await store.peek_channel("new", INFO)).pending == 1000
        assert await take(store, "narrow", WARNING) == [2000]

    play(scenario)


def test_a_channel_that_hears_of_another_severity_goes_on_where_it_stands(play: Play) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1, INFO), alert(2), alert(3, INFO)])
        assert await take(store, "narrow", WARNING) == [2]
        assert await take(store, "narrow", INFO) == [3]
        await store.post_alerts("acme", [alert(4, CRITICAL), alert(5, INFO), alert(6)])
        for least, pending in ((CRITICAL, 1), (INFO, 3), (WARNING, 2), (INFO, 3)):
            peek = await store.peek_channel("narrow", least)
            assert peek.pending == pending
            assert peek.critical_at is not None
        assert await take(store, "narrow", CRITICAL) == [4]
        assert await take(store, "narrow", INFO) == [5, 6]
        assert [(state.least, state.pending, state.dropped) for state in await store.channels()] == [(INFO, 0, 0)]

    play(scenario)


def test_two_schedulers_with_another_severity_for_one_channel_tell_nothing_twice(play: Play) -> None:
    """As while a deployment is being replaced by one with other settings."""

    async def scenario(store: Store) -> None:
        told: list[int] = []
        for number in range(1, 13):
            await store.post_alerts("acme", [alert(number, CRITICAL if number % 3 else INFO)])
            for least in (INFO, WARNING, INFO, CRITICAL):
                delivery = await claim(store, "shared", least)
                if delivery is not None:
                    # The other scheduler asks while this is being sent.
                    await store.peek_channel("shared", CRITICAL if least is INFO else INFO)
                    assert await store.delivered("shared", delivery)
                    assert delivery.dropped == 0
                    told += serials(delivery.alerts)
        assert told == list(range(1, 13))

    play(scenario)


def test_a_channel_that_nobody_asks_about_any_more_is_not_listed_and_still_knows_where_it_stood(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1)])
        delivery = await claim(store, "wrong-url")
        assert delivery is not None
        await store.failed("wrong-url", delivery, OVER_AT_ONCE, "no connection")
        await asyncio.sleep(0.01)
        await store.peek_channel("right-url", INFO)
        assert [state.name for state in await store.channels()] == ["right-url", "wrong-url"]
        for module in (redis_alerts, memory_alerts):
            monkeypatch.setattr(module, "CONFIGURED_WITHIN", 0 if isinstance(store, MemoryStore) else 5_000)
        # The memory store's clock goes on by one at each look.
        await asyncio.sleep(0.01)
        assert await store.channels() == []
        await store.post_alerts("acme", [alert(2)])
        assert await take(store, "wrong-url") == [1, 2]

    play(scenario)


def test_the_alerts_of_a_forgotten_tenant_are_neither_pending_nor_dropped(play: Play) -> None:
    async def forget(store: Store) -> None:
        if isinstance(store, RedisStore):
            await store._forget_alerts("gone")
        elif isinstance(store, MemoryStore):
            store._forget_alerts("gone")

    async def scenario(store: Store) -> None:
        for name, least in (("all", INFO), ("some", WARNING), ("few", CRITICAL)):
            await store.peek_channel(name, least)
        await store.post_alerts("gone", [alert(number, CRITICAL, "gone") for number in range(1, 4)])
        await forget(store)
        for name, least in (("all", INFO), ("some", WARNING), ("few", CRITICAL)):
            peek = await store.peek_channel(name, least)
            assert (peek.pending, peek.first_at, peek.critical_at) == (0, None, None)
            assert await store.claim_channel(name, peek.cursor, MINUTE) is None
        assert [(state.pending, state.waiting_since) for state in await store.channels()] == [(0, None)] * 3
        await store.post_alerts("acme", [alert(1)])
        await store.post_alerts("gone", [alert(4, INFO, "gone")])
        await store.post_alerts("acme", [alert(2, CRITICAL)])
        await forget(store)
        assert {state.name: state.pending for state in await store.channels()} == {"all": 2, "some": 2, "few": 1}
        for name, least, told in (("all", INFO, [1, 2]), ("some", WARNING, [1, 2]), ("few", CRITICAL, [2])):
            delivery = await claim(store, name, least)
            assert delivery is not None
            assert (serials(delivery.alerts), delivery.dropped) == (told, 0)
            assert await store.delivered(name, delivery)
        assert {state.dropped for state in await store.channels()} == {0}

    play(scenario)


def test_what_is_dropped_is_counted_without_what_was_erased(play: Play) -> None:
    async def scenario(store: Store) -> None:
        limit_the_log(store, 5)
        await store.peek_channel("all", INFO)
        await store.post_alerts("gone", [alert(1, tenant="gone"), alert(2, tenant="gone")])
        if isinstance(store, RedisStore):
            await store._forget_alerts("gone")
        elif isinstance(store, MemoryStore):
            store._forget_alerts("gone")
        await store.post_alerts("acme", [alert(number) for number in range(1, 9)])
        delivery = await claim(store, "all")
        assert delivery is not None
        assert (serials(delivery.alerts), delivery.dropped) == ([4, 5, 6, 7, 8], 3)

    play(scenario)


def test_a_message_that_could_not_take_all_says_that_there_is_more(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (redis_alerts, memory_alerts):
        monkeypatch.setattr(module, "TOLD_AT_ONCE", 3)

    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(number) for number in range(1, 8)])
        assert not (await store.peek_channel("all", INFO)).more
        told = []
        for more in (True, True, False):
            told.append(await take(store, "all"))
            assert (await store.peek_channel("all", INFO)).more is more
        assert told == [[1, 2, 3], [4, 5, 6], [7]]

    play(scenario)


def test_a_clock_that_was_set_back_holds_nothing_up(play: Play) -> None:
    """What was written an hour ahead of now stands for nothing."""

    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1)])
        sent = await claim(store, "all")
        assert sent is not None
        assert await store.delivered("all", sent)
        await store.post_alerts("acme", [alert(2, CRITICAL)])
        failed = await claim(store, "all")
        assert failed is not None
        assert await store.failed("all", failed, MINUTE, "no connection")
        assert await claim(store, "all") is None
        await set_back(store, "all")
        peek = await store.peek_channel("all", INFO)
        assert (peek.first_at, peek.critical_at, peek.sent_at, peek.retry_at) == (0, 0, 0, 0)
        assert await claim(store, "all") is not None
        assert await claim(store, "all") is None
        await set_back(store, "all")
        assert (await store.peek_channel("all", INFO)).leased_until == 0
        again = await claim(store, "all")
        assert again is not None
        assert serials(again.alerts) == [2]

    play(scenario)


async def set_back(store: Store, channel: str) -> None:
    """Set a store's clock back by an hour, or where that is a server's, what it has written ahead."""
    if isinstance(store, MemoryStore):
        clock = store.clock
        store.clock = lambda: clock() - 60 * MINUTE
        return
    assert isinstance(store, RedisStore)
    key = store.keys.alerts(f"channel:{channel}")
    for field in ("sent_at", "retry_at", "until"):
        at = await store.scripts.run(command("HGET", key, field))
        if at is not None:
            await store.scripts.run(command("HSET", key, field, int(at) + 60 * MINUTE))
    for severity in Severity:
        log = store.keys.alerts(f"log:{severity.value}")
        for ident, fields in await store.scripts.run(command("XRANGE", log, "-", "+")):
            pairs = (
                list(fields.items()) if isinstance(fields, dict) else list(zip(fields[::2], fields[1::2], strict=True))
            )
            ahead = [
                item for name, value in pairs for item in (name, int(value) + 60 * MINUTE if name == b"at" else value)
            ]
            await store.scripts.run(command("XDEL", log, ident))
            await store.scripts.run(command("XADD", f"{log}:ahead", ident, *ahead))
        if await store.scripts.run(command("EXISTS", f"{log}:ahead")):
            await store.scripts.run(command("RENAME", f"{log}:ahead", log))


def test_what_is_no_news_any_more_is_not_told_to_a_new_channel(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (redis_alerts, memory_alerts):
        monkeypatch.setattr(module, "NEWS_FROM", 0)

    async def scenario(store: Store) -> None:
        await store.post_alerts("acme", [alert(1), alert(2)])
        assert (await store.peek_channel("new", INFO)).pending == 0
        await store.post_alerts("acme", [alert(3)])
        assert await take(store, "new") == [3]

    play(scenario)


def test_the_fleets_book_is_saved_with_its_alerts_or_not_at_all(play: Play) -> None:
    async def scenario(store: Store) -> None:
        assert await store.load_fleet() == FleetBook()
        active = Active(AlertKind.DEAD_LETTER, WARNING, 5, {"count": 1, "queues": "alerts"}, level=1, calm=3)
        assert await store.commit_fleet(FleetBook((active,), 9, 0), [alert(9, tenant="")])
        assert await store.load_fleet() == FleetBook((active,), 9, 1)
        assert not await store.commit_fleet(FleetBook((), 10, 0), [alert(10, tenant="")])
        assert await store.load_fleet() == FleetBook((active,), 9, 1)
        assert await store.commit_fleet(FleetBook((), 11, 1), [])
        assert await store.load_fleet() == FleetBook((), 11, 2)
        rows, _ = await store.alerts(None, 10)
        assert [(row.alert.tenant, row.alert.serial) for row in rows] == [("", 9)]

    play(scenario)


def test_alerts_and_books_of_another_release_are_counted_and_passed_over(play: Play) -> None:
    async def scenario(store: Store) -> None:
        if not isinstance(store, RedisStore):
            pytest.skip("the in-memory store holds no other release's")
        keys = [store.keys.alerts(name) for name in ("posted", "numbers", "log:info", "log:warning", "log:critical")]
        unknown = encode_alert(alert(2)).replace(b"near_capacity", b"from_the_future")
        args: list[Arg] = ["acme", 100, "", "", "", 1, "info", encode_alert(alert(1, INFO)), 2, "warning", unknown]
        await store.scripts.run(Call("post_alerts", [*keys, store.keys.alerts("fleet")], args))
        delivery = await claim(store, "all")
        assert delivery is not None
        assert (serials(delivery.alerts), delivery.unreadable, delivery.upto) == ([1], 1, 2)
        rows, _ = await store.alerts(None, 10)
        assert serials([row.alert for row in rows]) == [1]
        await store.scripts.run(
            command(
                "HSET", store.keys.alerts("fleet"), "version", 3, "serial", 7, "book", '[{"kind":"from_the_future"}]'
            )
        )
        assert await store.load_fleet() == FleetBook((), 7, 3)

    play(scenario)
