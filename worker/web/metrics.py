"""GET /metrics: the state, and the sums of what every process has counted, for Prometheus.

Whichever web process is asked, the answer is the same: nothing in it is its own.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.times import SECOND
from worker.metrics import catalogue, series
from worker.metrics.catalogue import CATALOGUE, Kind, Metric
from worker.metrics.series import Words
from worker.store.errors import StoreError
from worker.web.problems import come_back
from worker.web.services import Services

ANSWER_WITHIN: Final = 5.0
"""Seconds the state has; Prometheus gives up after ten."""

PAYMENTS_AT_ONCE: Final = 1_000
"""Payment events without a tenant that are looked at for those that brought money."""


def metrics_routes(services: Services) -> list[Route]:
    """The route; it asks nobody who they are, and tells of no tenant."""

    async def metrics(request: Request) -> Response:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                reading = await read(services)
        except (StoreError, TimeoutError) as error:
            services.log.warning("metrics can't be read", error=str(error) or type(error).__name__)
            raise come_back("the state can't be reached just now, so there is nothing true to tell") from None
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(reading)
        headers = {"Content-Type": media_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(encode(registry), headers=headers)

    return [Route("/metrics", metrics)]


async def read(services: Services) -> "Reading":
    """Everything there is to tell, read just now.

    Raises:
        StoreError: the state, or the broker, can't be used.
    """
    store = services.store
    (counts, census, backlog, dead), (channels, parked, now) = await asyncio.gather(
        asyncio.gather(store.counts(), store.census(), store.backlog(), services.dead_letters.count()),
        asyncio.gather(store.channels(), store.parked(PAYMENTS_AT_ONCE), store.now()),
    )
    gauges: dict[str, Mapping[str, float]] = {
        catalogue.ALERTS_PENDING.name: {channel.name: channel.pending for channel in channels},
        catalogue.ALERTS_OLDEST.name: {channel.name: _seconds(channel.waiting_since, now) for channel in channels},
        catalogue.CHANNEL_FAILING.name: {channel.name: _seconds(channel.failing_since, now) for channel in channels},
        catalogue.TENANTS.name: {status.value: number for status, number in census.tenants.items()},
        catalogue.UPGRADES.name: {state.value: number for state, number in census.upgrades.items()},
        catalogue.UPGRADES_OLDEST.name: {state.value: age / SECOND for state, age in census.oldest.items()},
        catalogue.BACKLOG_DUE.name: {"": backlog.due},
        catalogue.BACKLOG_LEASED.name: {"": backlog.leased},
        catalogue.BACKLOG_OLDEST.name: {"": backlog.oldest / SECOND},
        catalogue.UNMATCHED.name: {"": sum(payment.fact.settles for payment in parked)},
        catalogue.DEAD_LETTERS.name: dead,
    }
    known = {words: number for name, number in counts.items() if (words := series.read(name)) is not None}
    return Reading(known, gauges)


@dataclass(frozen=True, slots=True, eq=False)
class Reading(Collector):
    """What was read, as prometheus-client wants it. ``gauges`` are by name, then by the value of their one label."""

    counts: Mapping[Words, int]
    gauges: Mapping[str, Mapping[str, float]]

    def collect(self) -> Iterator[Family]:
        """Every metric of the catalogue, in its order."""
        for metric in CATALOGUE.values():
            match metric.kind:
                case Kind.COUNTER:
                    yield self._counter(metric)
                case Kind.HISTOGRAM:
                    yield self._histogram(metric)
                case Kind.GAUGE:
                    yield self._gauge(metric)

    def _counter(self, metric: Metric) -> Family:
        family = CounterMetricFamily(metric.name, metric.help, labels=_labels(metric))
        for values in series.label_values(metric, self.counts):
            family.add_metric(values, self.counts.get((metric.name, *values), 0))
        return family

    def _histogram(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.help, labels=_labels(metric))
        for values in series.label_values(metric, self.counts):
            words = (metric.name, *values)
            hits = [(bucket, self.counts.get((*words, bucket), 0)) for bucket in series.buckets_of(metric)]
            family.add_metric(values, _cumulative(hits), self.counts.get((*words, series.SUM), 0) / series.MICROS)
        return family

    def _gauge(self, metric: Metric) -> Family:
        family = GaugeMetricFamily(metric.name, metric.help, labels=_labels(metric))
        for value, number in self.gauges[metric.name].items():
            family.add_metric([value] if metric.labels else [], number)
        return family


def _seconds(since: int | None, now: int) -> float:
    """For how long something has been so; 0: it is not."""
    return max(0, now - since) / SECOND if since is not None else 0


def _labels(metric: Metric) -> Sequence[str]:
    return list(metric.labels)


def _cumulative(hits: Iterable[tuple[str, int]]) -> list[tuple[str, float]]:
    """Prometheus's buckets: each holds those below it too."""
    total, buckets = 0, []
    for bucket, number in hits:
        total += number
        buckets.append((bucket, float(total)))
    return buckets
