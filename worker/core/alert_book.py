"""The alert book: which alerts are active, so that each is told once, again only when worse, and when it is over.

A condition that comes and goes (a tenant at 9 of 10 seats, 10 of 10, 9 of 10 …) does not begin anew each time: it has
to have been gone, or eased, for its ``calm`` first.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from worker.core.alerts import Alert, AlertKind, Datum, Phase, Severity

Name = tuple[AlertKind, str]
"""What an alert is told apart by within a tenant: its kind and key."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is the case now and that people should know of.

    ``stamp`` names which case of it it is (the upgrade, say): another one is news, but for ``cooldown`` after the last
    was told (it is told then, if it still is the case); a higher ``level`` is news at once. ``calm`` is how long it has
    to be gone, or eased, before that counts (both microseconds). A ``quiet`` one is kept in the book without being
    told: something else tells of it.
    """

    kind: AlertKind
    severity: Severity
    data: Mapping[str, Datum] = field(default_factory=dict)
    key: str = ""
    stamp: str = ""
    level: int = 0
    calm: int = 0
    cooldown: int = 0
    quiet: bool = False

    @property
    def name(self) -> Name:
        return self.kind, self.key


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened just now, told once."""

    kind: AlertKind
    severity: Severity
    data: Mapping[str, Datum] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Active:
    """An alert that is not over. ``gone_at`` and ``eased_at`` say since when its condition, or its level, is not met.

    ``severity`` is the worst that was told: its end is told wherever that was. ``told_at`` is when it was told last.
    """

    kind: AlertKind
    severity: Severity
    since: int
    data: Mapping[str, Datum] = field(default_factory=dict)
    key: str = ""
    stamp: str = ""
    level: int = 0
    calm: int = 0
    told: bool = True
    told_at: int = 0
    gone_at: int | None = None
    eased_at: int | None = None

    @property
    def name(self) -> Name:
        return self.kind, self.key


Book = tuple[Active, ...]


@dataclass(frozen=True, slots=True)
class Advanced:
    """A book after a look at the conditions: what to tell, and when time alone will end an alert (None: never)."""

    book: Book
    alerts: tuple[Alert, ...]
    look_at: int | None


def advance(
    book: Book,
    conditions: Sequence[Condition],
    moments: Iterable[Moment] = (),
    *,
    tenant: str,
    serial: int,
    now: int,
    surely: Collection[Name] = (),
    wordless: Collection[Name] = (),
) -> Advanced:
    """The book brought up to date. Alerts are numbered from above ``serial``, by the clock where that is ahead.

    The alerts named in ``surely`` need no calm: what made them end is plain. Those in ``wordless`` end without a note:
    another alert of this very moment says so.
    """
    alerts: list[Alert] = []

    def tell(kind: AlertKind, severity: Severity, phase: Phase, key: str, data: Mapping[str, Datum]) -> None:
        number = max(serial + 1, now) + len(alerts)
        alerts.append(Alert(number, tenant, kind, severity, phase, now, key, data))

    known = {active.name: active for active in book}
    kept: list[Active] = []
    for condition in conditions:
        active = known.pop(condition.name, None)
        news = not condition.quiet and (active is None or _is_news(active, condition, now))
        kept.append(_met(active, condition, now, told=news, at_once=condition.name in surely))
        if news:
            tell(condition.kind, condition.severity, Phase.RAISED, condition.key, condition.data)
    for active in known.values():
        gone_at = now if active.gone_at is None else active.gone_at
        if now < gone_at + active.calm and active.name not in surely:
            kept.append(replace(active, gone_at=gone_at))
        elif active.told and active.name not in wordless:
            tell(active.kind, active.severity, Phase.RESOLVED, active.key, {**active.data, "since_at": active.since})
    for moment in moments:
        tell(moment.kind, moment.severity, Phase.RAISED, moment.key, moment.data)
    times = [active.gone_at + active.calm for active in kept if active.gone_at is not None]
    stamps = {active.name: active for active in kept}
    times += [
        stamps[one.name].told_at + one.cooldown
        for one in conditions
        if one.stamp != stamps[one.name].stamp and not one.quiet
    ]
    return Advanced(tuple(sorted(kept, key=lambda active: active.name)), tuple(alerts), min(times, default=None))


def _is_news(active: Active, condition: Condition, now: int) -> bool:
    another = condition.stamp != active.stamp and now >= active.told_at + condition.cooldown
    return another or condition.level > active.level or condition.severity.rank > active.severity.rank


def _met(active: Active | None, condition: Condition, now: int, *, told: bool, at_once: bool) -> Active:
    """The entry of a condition that is met. Its level falls only once it has been lower for the time of calm."""
    entry = Active(
        condition.kind,
        condition.severity,
        now,
        condition.data,
        condition.key,
        condition.stamp,
        condition.level,
        condition.calm,
        told=told,
        told_at=now if told else 0,
    )
    if active is None:
        return entry
    entry = replace(entry, since=active.since, told=active.told or told)
    if not told:
        # What was not told has not become any worse, and is no other case, as far as people know.
        entry = replace(entry, severity=active.severity, stamp=active.stamp, told_at=active.told_at)
    elif active.told:
        entry = replace(entry, severity=max(active.severity, condition.severity, key=lambda one: one.rank))
    if condition.level >= active.level or at_once:
        return entry
    eased_at = now if active.eased_at is None else active.eased_at
    if now < eased_at + condition.calm:
        return replace(entry, level=active.level, eased_at=eased_at)
    return entry
