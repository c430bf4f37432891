"""The message that goes out: one alert in full, or many in one digest, worst first, as long as a channel takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.alerts.fold import Folded, Told, fold
from worker.alerts.places import Places
from worker.alerts.texts import Text, Texts, is_special, text_of
from worker.alerts.values import harmless, moment, one_line, placeholders, values_of
from worker.core.alerts import Alert, AlertKind, Phase, Severity

ROOM = 3_500
"""Characters of a message's body: less than any common chat takes."""

TITLE = 120
LINE = 240
NAMED = 10
"""Tenants of one kind that a digest names."""

# How a digest is made to fit: so many named of each kind, with or without what it means and what to do.
_DETAIL = ((NAMED, True), (5, True), (3, True), (3, False), (1, False), (0, False))
_WORDS = {Severity.INFO: "Info", Severity.WARNING: "Warning", Severity.CRITICAL: "Critical"}
_COUNTED = {Severity.INFO: "for information", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}

Links = Mapping[tuple[str, str], str]
"""Payable checkout links by tenant and upgrade."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. ``severity`` is the worst of what it tells; None: all of it is over, or was nothing."""

    title: str
    body: str
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class Missed:
    """Alerts a message should have told of and can't: dropped from the log, or written by another release."""

    dropped: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes messages with an operator's texts."""

    texts: Texts
    places: Places

    def write(
        self, alerts: Sequence[Alert], missed: Missed = Missed(), links: Links | None = None, room: int = ROOM
    ) -> Message:
        """One message about all of these alerts, in the order they were posted, with a body of at most ``room``."""
        links = links or {}
        folded = fold(alerts)
        told = [*folded.raised, *folded.resolved]
        if len(told) == 1 and not folded.passed:
            return self._one(told[0], missed, links, room)
        title = _title(folded, self.texts)
        of_one = alerts and alerts[0].tenant and len({alert.tenant for alert in alerts}) == 1
        page = self.places.of(alerts[0]) if of_one else self.places.all_alerts()
        tail = [*_missed(missed), f"Dashboard: {page}"]
        body = ""
        for named, advice in _DETAIL:
            body = "\n\n".join([*self._groups(folded, links, named, advice=advice), "\n".join(tail)])
            if len(body) <= room:
                break
        return Message(title, _cut(body, room), folded.severity)

    def _one(self, told: Told, missed: Missed, links: Links, room: int) -> Message:
        alert, text = told.alert, text_of(self.texts, told.alert)
        values = values_of(alert)
        tail = "\n".join([*_missed(missed), f"Dashboard: {self.places.of(alert)}"])
        if alert.phase is Phase.RESOLVED:
            since = alert.data.get("since_at")
            lasted = f"It lasted {values['lasted']}, from {moment(since)}." if isinstance(since, int) else ""
            parts, word, severity = [text.resolved.format_map(values), lasted, "", "", tail], "Resolved", None
        else:
            times = f" ({told.times} times by now)" if told.times > 1 else ""
            parts = [
                f"What happened ({values['at']}): {text.happened.format_map(values)}{times}",
                f"What it means: {text.means.format_map(values)}",
                f"What to do: {text.todo.format_map(values)}",
                _link(alert, links),
                tail,
            ]
            word, severity = _WORDS[alert.severity], alert.severity
        title = f"{word}: {_subject(alert)}: {text.title}" if alert.tenant else f"{word}: {text.title}"
        return Message(one_line(title, TITLE), _fitted(parts, room), severity)

    def _groups(self, folded: Folded, links: Links, named: int, *, advice: bool) -> Iterable[str]:
        for group in _grouped(folded.raised):
            word = _WORDS[_worst(group)].upper()
            yield self._group(word, group, links, named, advice=advice)
        for group in _grouped(folded.resolved):
            yield self._group("RESOLVED", group, {}, named, advice=False)
        if folded.passed:
            shown = [
                f"{_subject(told.alert)} ({text_of(self.texts, told.alert).title})" for told in folded.passed[:named]
            ]
            yield _sentence("Came and went", shown, len(folded.passed))

    def _group(self, word: str, group: Sequence[Told], links: Links, named: int, *, advice: bool) -> str:
        text = text_of(self.texts, group[0].alert)
        count = f" ({_count(group)})" if len(group) > 1 or not named else ""
        lines = [f"{word}: {text.title}{count}"]
        if word == "RESOLVED":
            return _sentence(lines[0], [_subject(told.alert) for told in group[:named]], len(group))
        lines += [self._line(text, told, links) for told in group[:named]]
        if named and len(group) > named:
            lines.append(f"- and {len(group) - named:,} more")
        if advice:
            values = placeholders([values_of(told.alert) for told in group])
            lines.append(f"What it means: {text.means.format_map(values)}")
            lines.append(f"What to do: {text.todo.format_map(values)}")
        return "\n".join(lines)

    def _line(self, text: Text, told: Told, links: Links) -> str:
        alert = told.alert
        said = one_line(text.line.format_map(values_of(alert)), LINE)
        times = f" ({told.times} times)" if told.times > 1 else ""
        link = _link(alert, links)
        return f"- {_subject(alert)}: {said}{times}" + (f"\n  {link}" if link else "")


def wanting_links(alerts: Sequence[Alert]) -> list[tuple[str, str]]:
    """The tenants and upgrades whose payable links belong into a message about these alerts."""
    raised = [(told.alert.tenant, _wants_link(told.alert)) for told in fold(alerts).raised]
    return [(tenant, upgrade) for tenant, upgrade in raised if upgrade is not None][:NAMED]


def _wants_link(alert: Alert) -> str | None:
    """The upgrade whose payable link belongs beside an alert; None where none does."""
    upgrade = alert.data.get("upgrade")
    if alert.kind is AlertKind.UPGRADE_STARTED and alert.phase is Phase.RAISED and isinstance(upgrade, str):
        return upgrade
    return None


def _link(alert: Alert, links: Links) -> str:
    link = links.get((alert.tenant, _wants_link(alert) or ""))
    return f"Pay here: {link}" if link else ""


def _title(folded: Folded, texts: Texts) -> str:
    told = [*folded.raised, *folded.resolved]
    severity = folded.severity
    if not told:
        return "Resolved: what came up is over again" if folded.passed else "Alerts were missed"
    word = "Resolved" if severity is None else _WORDS[severity]
    groups = _grouped(told)
    worst = text_of(texts, groups[0][0].alert).title
    if told[0].alert.tenant and len({one.alert.tenant for one in told}) == 1:
        more = f", and {len(told) - 1:,} more" if len(told) > 1 else ""
        return one_line(f"{word}: {_subject(told[0].alert)}: {worst}{more}", TITLE)
    if len(groups) == 1:
        return one_line(f"{word}: {worst} ({_count(told)})", TITLE)
    counts = [
        f"{count:,} {_COUNTED[one]}{'s' if one is Severity.WARNING and count > 1 else ''}"
        for one in reversed(Severity)
        if (count := sum(told.alert.severity is one for told in folded.raised))
    ]
    if folded.resolved:
        counts.append(f"{len(folded.resolved):,} resolved")
    return one_line(f"{word}: {len(told):,} alerts ({', '.join(counts)})", TITLE)


def _grouped(told: Iterable[Told]) -> list[list[Told]]:
    """By phase, kind and case: what has begun before what is over, worst first, then the largest; the worst first in
    each."""
    groups: dict[tuple[Phase, AlertKind, bool], list[Told]] = {}
    for one in told:
        groups.setdefault((one.alert.phase, one.alert.kind, is_special(one.alert)), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: -one.alert.severity.rank)
    return sorted(
        groups.values(),
        key=lambda group: (group[0].alert.phase is Phase.RESOLVED, -_worst(group).rank, -len(group)),
    )


def _worst(group: Iterable[Told]) -> Severity:
    return max((told.alert.severity for told in group), key=lambda one: one.rank)


def _count(group: Sequence[Told]) -> str:
    """``500 tenants``, or how often where the fleet is concerned."""
    tenants = {told.alert.tenant for told in group if told.alert.tenant}
    if not tenants:
        return "the fleet"
    return harmless(one_line(next(iter(tenants)), 60)) if len(tenants) == 1 else f"{len(tenants):,} tenants"


def _subject(alert: Alert) -> str:
    return harmless(one_line(alert.tenant, 60)) or "the fleet"


def _sentence(begin: str, shown: Sequence[str], total: int) -> str:
    """``Came and went: acme, globex and 3 more.``"""
    if not shown:
        return f"{begin}: {total:,}."
    more = f" and {total - len(shown):,} more" if total > len(shown) else ""
    return f"{begin}: {', '.join(shown)}{more}."


def _missed(missed: Missed) -> list[str]:
    lines = []
    if missed.dropped:
        lines.append(
            f"Not told here, as this channel could not be reached for too long: {missed.dropped:,} older alerts."
        )
    if missed.unreadable:
        lines.append(f"Not told here, as only another release can read them: {missed.unreadable:,} alerts.")
    return lines


def _fitted(parts: Sequence[str], room: int) -> str:
    """What happened, then as many of the other parts as there is room for, whole: the link and what to do first."""
    kept: list[int] = []
    for number in (0, 3, 2, 4, 1):
        wanted = sorted([*kept, number])
        if parts[number] and len("\n\n".join(parts[one] for one in wanted)) <= room:
            kept = wanted
    return "\n\n".join(parts[one] for one in kept) or _cut(parts[0], room)


def _cut(body: str, room: int) -> str:
    return body if len(body) <= room else body[: max(room - 1, 0)] + "…"
