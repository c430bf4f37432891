"""What a benchmark comes to: figures, each with its spread, and how it compares with others of the same rounds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """What a value or a ratio is to be: at least, or at most, so much."""

    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        words = [f"≥ {self.least:g}"] if self.least is not None else []
        return " and ".join([*words, *([f"≤ {self.most:g}"] if self.most is not None else [])])


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure divided by another, ``to``, of the same round: median, lowest and highest of the rounds."""

    to: str
    value: float
    low: float
    high: float
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured: the median of its rounds, with the lowest and the highest.

    ``group`` says what figures are drawn in one picture, and is its title. A figure with ``at`` is a point of the line
    ``name``, at that place of the axis ``along``; others are bars. ``note`` is what a reader must know to judge it.
    """

    group: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    rounds: int
    ratios: tuple[Ratio, ...] = ()
    goal: Goal | None = None
    at: float | None = None
    along: str = ""
    note: str = ""

    @property
    def spread(self) -> float:
        """The distance of the lowest and the highest, as a part of the median."""
        return (self.high - self.low) / self.value if self.value else 0.0

    @property
    def goals_met(self) -> bool:
        own = self.goal is None or self.goal.met(self.value)
        return own and all(ratio.goal is None or ratio.goal.met(ratio.value) for ratio in self.ratios)


def figure(
    group: str,
    name: str,
    samples: Sequence[float],
    unit: str,
    *,
    against: Mapping[str, Sequence[float]] | None = None,
    goals: Mapping[str, Goal] | None = None,
    goal: Goal | None = None,
    at: float | None = None,
    along: str = "",
    note: str = "",
) -> Figure:
    """The figure of some rounds. ``against`` holds the samples of others, round by round; ``goals`` the ratios wanted.

    A ratio is taken within each round, so that what slowed a whole round down does not show in it.
    """
    ratios = []
    for other, theirs in (against or {}).items():
        each = [mine / their for mine, their in zip(samples, theirs, strict=True)]
        wanted = (goals or {}).get(other)
        ratios.append(Ratio(other, statistics.median(each), min(each), max(each), wanted))
    median = statistics.median(samples)
    return Figure(
        group, name, median, unit, min(samples), max(samples), len(samples), tuple(ratios), goal, at, along, note
    )
