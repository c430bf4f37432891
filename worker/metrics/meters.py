"""Meters: what a process has counted and not yet handed to the state.

Processes come and go, and several run on one host, so none of them is asked. Each adds what it has counted to the state
every second; whoever serves ``/metrics`` reads the sums there.
"""

import asyncio
import threading
import uuid
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from worker.metrics import series
from worker.metrics.catalogue import CATALOGUE, Kind, Metric

log = structlog.get_logger(__name__)

FLUSH_EVERY: Final = 1.0
"""Seconds between flushes: what a killed process takes with it, and how old a number on ``/metrics`` may be."""

LAST_FLUSH_WITHIN: Final = 1.5
"""Seconds a process that ends gives its last flush."""

MOST_SERIES: Final = 2_000
"""Numbers held between flushes; one more is dropped."""

LONGEST_LABEL: Final = 64


class Sink(Protocol):
    """The part of a store that takes counts."""

    async def add_counts(self, source: str, serial: int, counts: Mapping[str, int]) -> None: ...


class Meters:
    """Counts of one process. Counting is cheap, safe from any thread, and never waits.

    A name or label that is not in the catalogue is a mistake of the program, and raises ``ValueError`` at once.
    """

    def __init__(self) -> None:
        self._source = uuid.uuid4().hex
        self._serial = 1
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], int] = {}
        self._under_way: dict[tuple[str, ...], int] = {}

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter."""
        metric = _metric(name, Kind.COUNTER)
        self._add({(name, *_values(metric, labels)): by})

    def observe(self, name: str, seconds: float, times: int = 1, **labels: str) -> None:
        """Put a duration into a histogram, so many times; one below zero counts as zero."""
        metric = _metric(name, Kind.HISTOGRAM)
        words, seconds = (name, *_values(metric, labels)), max(seconds, 0.0)
        bucket = series.bucket_of(metric, seconds)
        self._add({(*words, bucket): times, (*words, series.SUM): times * round(seconds * 1_000_000)})

    async def flush(self, sink: Sink) -> None:
        """Hand over what was counted since the last flush. One that raised is made up for by the next: the same
        numbers go under the same serial, which a sink that had taken them after all knows them by.

        Not to be called twice at a time.
        """
        if not self._under_way:
            with self._lock:
                self._under_way, self._counts = self._counts, {}
        if self._under_way:
            counts = {series.written(words): by for words, by in self._under_way.items()}
            await sink.add_counts(self._source, self._serial, counts)
            self._under_way = {}
            self._serial += 1

    async def keep_flushing(self, sink: Sink, stop: asyncio.Event) -> None:
        """Flush every second until told to stop, and once more then. Never raises for a sink that can't be used."""
        away = False
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), FLUSH_EVERY)
            except TimeoutError:
                away = await self._try_flush(sink, away)
        try:
            async with asyncio.timeout(LAST_FLUSH_WITHIN):
                # One that failed goes first, what was counted meanwhile follows.
                await self.flush(sink)
                await self.flush(sink)
        except Exception as error:
            log.warning("the last counts could not be handed over", reason=str(error) or type(error).__name__)

    async def _try_flush(self, sink: Sink, away: bool) -> bool:
        """Whether the sink is away."""
        try:
            await self.flush(sink)
        except Exception as error:
            if not away:
                log.warning("counts have to wait", reason=str(error) or type(error).__name__)
            return True
        return False

    def _add(self, counts: Mapping[tuple[str, ...], int]) -> None:
        with self._lock:
            for words, by in counts.items():
                if words in self._counts or len(self._counts) < MOST_SERIES:
                    self._counts[words] = self._counts.get(words, 0) + by


def _metric(name: str, kind: Kind) -> Metric:
    metric = CATALOGUE.get(name)
    if metric is None or metric.kind is not kind:
        raise ValueError(f"there is no {kind} {name} in the catalogue of metrics")
    return metric


def _values(metric: Metric, labels: Mapping[str, str]) -> list[str]:
    """The labels' values in the catalogue's order."""
    if labels.keys() != metric.labels.keys():
        raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels) or 'none'}")
    for label, known in metric.labels.items():
        if known and labels[label] not in known:
            raise ValueError(f"{metric.name} knows no {label} {labels[label][:LONGEST_LABEL]!r}")
    return [labels[label][:LONGEST_LABEL] for label in metric.labels]
