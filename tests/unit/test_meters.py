"""Meters: nothing counted is lost or counted twice, whatever the state does meanwhile."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from worker.crovver import errors
from worker.crovver.calls import Endpoint
from worker.metrics import Meters, catalogue, meters, series
from worker.metrics.catalogue import ALERTS, CATALOGUE, CROVVER_SECONDS, FACTS_ACCEPTED, LAG, RECONCILES
from worker.store.dead_letters import QUEUES
from worker.store.errors import StoreUnavailable
from worker.store.memory import MemoryStore

EVENTS = series.written((FACTS_ACCEPTED.name, "events"))


class Sink(MemoryStore):
    """A store that takes counts, or fails before or after it has taken them."""

    def __init__(self) -> None:
        super().__init__(lambda: 1)
        self.fails = ""

    async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None:
        if self.fails == "before":
            raise StoreUnavailable("away")
        await super().add_counts(source, serial, counts)
        if self.fails == "after":
            raise StoreUnavailable("the reply was lost")


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_flush_that_failed_is_made_up_for_and_counts_once(fails: str) -> None:
    async def main() -> None:
        meter, sink = Meters(), Sink()
        meter.count(FACTS_ACCEPTED.name, 3, door="events")
        sink.fails = fails
        with pytest.raises(StoreUnavailable):
            await meter.flush(sink)
        meter.count(FACTS_ACCEPTED.name, door="events")
        sink.fails = ""
        await meter.flush(sink)
        assert await sink.counts() == {EVENTS: 3}
        await meter.flush(sink)
        assert await sink.counts() == {EVENTS: 4}

    asyncio.run(main())


def test_threads_that_count_while_it_flushes_lose_nothing() -> None:
    meter, sink = Meters(), Sink()

    def work() -> None:
        for _ in range(5_000):
            meter.count(FACTS_ACCEPTED.name, door="events")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()

    async def main() -> None:
        while any(thread.is_alive() for thread in threads):
            await meter.flush(sink)
            await asyncio.sleep(0)
        await meter.flush(sink)
        assert await sink.counts() == {EVENTS: 20_000}

    asyncio.run(main())


def test_it_flushes_every_while_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "FLUSH_EVERY", 0.01)

    async def main() -> None:
        meter, sink, stop = Meters(), Sink(), asyncio.Event()
        sink.fails = "before"
        meter.count(FACTS_ACCEPTED.name, door="events")
        keeping = asyncio.create_task(meter.keep_flushing(sink, stop))
        await asyncio.sleep(0.05)
        sink.fails = ""
        await asyncio.sleep(0.5)
        assert await sink.counts() == {EVENTS: 1}
        monkeypatch.setattr(meters, "FLUSH_EVERY", 60)
        await asyncio.sleep(0.05)
        meter.count(FACTS_ACCEPTED.name, door="events")
        stop.set()
        async with asyncio.timeout(5):
            await keeping
        assert await sink.counts() == {EVENTS: 2}

    asyncio.run(main())


def test_a_state_that_never_answers_does_not_keep_a_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "LAST_FLUSH_WITHIN", 0.05)

    class Silent(Sink):
        async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None:
            await asyncio.sleep(3600)

    async def main() -> None:
        meter, stop = Meters(), asyncio.Event()
        meter.count(FACTS_ACCEPTED.name, door="events")
        stop.set()
        async with asyncio.timeout(5):
            await meter.keep_flushing(Silent(), stop)

    asyncio.run(main())


def test_a_duration_goes_into_the_first_bucket_that_holds_it() -> None:
    async def main() -> None:
        meter, sink = Meters(), Sink()
        for seconds in (-1, 0.1, 0.1000001, 1800, 1800.5):
            meter.observe(LAG.name, seconds)
        meter.observe(LAG.name, 2, times=10)
        await meter.flush(sink)
        counts = {series.read(name): number for name, number in (await sink.counts()).items()}
        assert counts == {
            (LAG.name, "0.1"): 2,
            (LAG.name, "0.25"): 1,
            (LAG.name, "1800.0"): 1,
            (LAG.name, "2.5"): 10,
            (LAG.name, "+Inf"): 1,
            (LAG.name, "sum"): 3_620_700_000,
        }

    asyncio.run(main())


def test_what_the_catalogue_does_not_know_is_a_mistake_at_once() -> None:
    meter = Meters()
    with pytest.raises(ValueError, match="no counter seats_typo_total"):
        meter.count("seats_typo_total")
    with pytest.raises(ValueError, match="no counter seats_fact_to_decision_seconds"):
        meter.count(LAG.name)
    with pytest.raises(ValueError, match="has the labels outcome"):
        meter.count(RECONCILES.name)
    with pytest.raises(ValueError, match="knows no outcome 'fine'"):
        meter.count(RECONCILES.name, outcome="fine")
    with pytest.raises(ValueError, match="no histogram seats_reconciles_total"):
        meter.observe(RECONCILES.name, 1)


def test_the_memory_it_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "MOST_SERIES", 3)

    async def main() -> None:
        meter, sink = Meters(), Sink()
        for number in range(10):
            meter.count(ALERTS.name, channel=f"slack-{number}" + "x" * 100, outcome="failed")
            meter.count(ALERTS.name, channel="slack-0" + "x" * 100, outcome="failed")
        await meter.flush(sink)
        counts = await sink.counts()
        assert sorted(counts.values()) == [1, 1, 11]
        assert all(len(name) < 120 for name in counts)

    asyncio.run(main())


@pytest.mark.parametrize(
    "written",
    [
        '["seats_of_another_release_total"]',
        '["seats_reconciles_total"]',
        '["seats_reconciles_total","of another release"]',
        '["seats_fact_to_decision_seconds","0.3"]',
        '["seats_tenants","ok"]',
    ],
)
def test_counts_of_another_release_are_passed_over(written: str) -> None:
    assert series.read(written) is None


def test_names_and_values_are_what_prometheus_and_the_rest_of_the_worker_use() -> None:
    assert set(catalogue.QUEUES) == set(QUEUES)
    assert set(catalogue.ENDPOINTS) == set(Endpoint)
    kinds = (errors.NotSent, errors.OutcomeUnknown, errors.Refused, errors.Transient)
    assert set(catalogue.CALL_OUTCOMES) == {"ok", "cancelled", "unauthorized", *(kind.outcome for kind in kinds)}
    for name, metric in CATALOGUE.items():
        assert name.startswith("seats_")
        assert name.endswith("_total") == (metric.kind is catalogue.Kind.COUNTER)
        assert bool(metric.buckets) == (metric.kind is catalogue.Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        assert metric.help.endswith(".")
    assert series.buckets_of(CROVVER_SECONDS)[-1] == "+Inf"
