"""How one number of a metric is named in the state: ``["seats_crovver_calls_total","allocations","ok"]``.

After the metric's name come its labels' values in the catalogue's order. Of a histogram one number more: the upper end
of the bucket that was hit, or ``sum``, in microseconds. All are whole numbers, so that adding them loses nothing.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from itertools import product
from typing import Final

from worker.metrics.catalogue import CATALOGUE, Kind, Metric

SUM: Final = "sum"
ABOVE: Final = "+Inf"
MICROS: Final = 1_000_000

Words = tuple[str, ...]
"""A series: a metric's name, then its labels' values, then, of a histogram, the bucket or ``sum``."""


def written(words: Words) -> str:
    """The series as the state has it."""
    return json.dumps(words, separators=(",", ":"))


def read(text: str) -> Words | None:
    """The series again, None where this release has no such metric, label value or bucket."""
    words = tuple(map(str, json.loads(text)))
    metric = CATALOGUE.get(words[0])
    if metric is None or metric.kind is Kind.GAUGE:
        return None
    parts = [*metric.labels.values()]
    if metric.kind is Kind.HISTOGRAM:
        parts.append((*buckets_of(metric), SUM))
    if len(words) - 1 != len(parts):
        return None
    known = all(not values or word in values for word, values in zip(words[1:], parts, strict=True))
    return words if known else None


def buckets_of(metric: Metric) -> Words:
    """The upper ends of a histogram's buckets, the last of which has none."""
    return (*(str(float(bound)) for bound in metric.buckets), ABOVE)


def bucket_of(metric: Metric, seconds: float) -> str:
    """The bucket a duration falls into; a bucket holds its upper end."""
    return buckets_of(metric)[bisect_left(metric.buckets, seconds)]


def label_values(metric: Metric, counts: Mapping[Words, int]) -> list[Words]:
    """Every combination of label values there is to show; an open label has the values that were ever counted."""
    ours = [words for words in counts if words[0] == metric.name]
    seen = [sorted({words[place] for words in ours}) for place in range(1, 1 + len(metric.labels))]
    return list(product(*(known or seen[place] for place, known in enumerate(metric.labels.values()))))
