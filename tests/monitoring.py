"""What the shipped rules and dashboard ask for, and what a scrape has."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from worker.metrics.catalogue import CATALOGUE

CONFIG = Path(__file__).parents[1] / "config"
_WORDS = {"and", "or", "unless", "on", "ignoring", "bool", "offset", "by", "without", "group_left", "group_right"}
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\()(?![\w:])")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

_OF_CHANNELS = {name for name, metric in CATALOGUE.items() if "channel" in metric.labels}

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric an expression asks for, and the label values it names."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def wanted(self) -> Iterator[tuple[str, str]]:
        """Every label value that must be there for the expression to tell anything."""
        for label, _, value in self.matchers:
            if not value.startswith("$"):
                yield from ((label, word) for word in value.split("|"))


def selectors(expression: str) -> list[Selector]:
    """What a PromQL expression, or a variable of Grafana's, reads."""
    expression = re.sub(r"^label_values\((.*), *\w+\)$", r"\1", expression)
    text = re.sub(r"\[[^\]]*\]", "", _GROUPING.sub("", expression))
    return [
        Selector(name, tuple(_MATCHER.findall(braces)))
        for name, braces in _SELECTOR.findall(text)
        if name not in _WORDS
    ]


def rules() -> list[dict[str, Any]]:
    """The shipped alert rules."""
    document = yaml.safe_load((CONFIG / "prometheus-rules.yml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The shipped Grafana dashboard."""
    board: dict[str, Any] = json.loads((CONFIG / "grafana-dashboard.json").read_text("utf-8"))
    return board


def dashboard_expressions() -> list[str]:
    """All that its panels and variables ask for."""
    board = dashboard()
    variables = [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    return [*(target["expr"] for panel in board["panels"] for target in panel["targets"]), *variables]


def families(text: str) -> list[Metric]:
    """The metrics of a scrape in Prometheus's text format."""
    return list(text_string_to_metric_families(text))


def scraped(text: str) -> dict[Sample, float]:
    """The samples of a scrape."""
    return {(one.name, frozenset(one.labels.items())): one.value for family in families(text) for one in family.samples}


def total(samples: dict[Sample, float], name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    found = [
        value for (metric, has), value in samples.items() if metric == name and labels.items() <= dict(has).items()
    ]
    assert found, f"no {name} with {labels}"
    return sum(found)


def missing(text: str) -> list[str]:
    """What the shipped rules and dashboard ask for that a scrape does not have.

    Of alert channels there are numbers only where there are channels; their metrics must be announced all the same.
    """
    samples = scraped(text)
    names = {name for name, _ in samples}
    labels = {(name, *pair) for name, pairs in samples for pair in pairs}
    lacking = []
    for expression in [*(rule["expr"] for rule in rules()), *dashboard_expressions()]:
        for selector in selectors(expression):
            if selector.metric in _OF_CHANNELS and selector.metric not in names:
                if f"# TYPE {selector.metric} " not in text:
                    lacking.append(selector.metric)
                continue
            if selector.metric not in names:
                lacking.append(selector.metric)
            lacking += [
                f"{selector.metric}{{{label}={value}}}"
                for label, value in selector.wanted()
                if (selector.metric, label, value) not in labels
            ]
    return lacking
