"""From the alerts that waited for a channel to what is still worth telling of each.

What began and ended while it waited is no news any more; what got worse is told as it is now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from worker.alerts.texts import MOMENTS
from worker.core.alerts import Alert, AlertKind, Phase, Severity


@dataclass(frozen=True, slots=True)
class Told:
    """An alert to tell, and how often it has happened (more than once only for what does not last)."""

    alert: Alert
    times: int = 1


@dataclass(frozen=True, slots=True)
class Folded:
    """What has begun, what is over, and what came and went in between."""

    raised: tuple[Told, ...]
    resolved: tuple[Told, ...]
    passed: tuple[Told, ...]

    @property
    def severity(self) -> Severity | None:
        """The worst of what has begun; None where nothing has."""
        return max((told.alert.severity for told in self.raised), key=lambda one: one.rank, default=None)


def fold(alerts: Iterable[Alert]) -> Folded:
    """Put the alerts about each thing together. They come in the order they were posted in."""
    about: dict[tuple[str, AlertKind, str], list[Alert]] = {}
    for alert in alerts:
        about.setdefault((alert.tenant, alert.kind, alert.key), []).append(alert)
    raised, resolved, passed = [], [], []
    for history in about.values():
        last = history[-1]
        if last.kind in MOMENTS:
            raised.append(Told(last, len(history)))
        elif last.phase is Phase.RAISED:
            raised.append(Told(last))
        elif _began_here(history):
            passed.append(Told(last))
        else:
            resolved.append(Told(last))
    return Folded(tuple(raised), tuple(resolved), tuple(passed))


def _began_here(history: Sequence[Alert]) -> bool:
    """Whether what is over now has been told of by no earlier message."""
    first, since = history[0], history[-1].data.get("since_at")
    return first.phase is Phase.RAISED and (not isinstance(since, int) or since >= first.at)
