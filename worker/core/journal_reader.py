"""Reading a journal: what its notes say, sorted by the instants and the upgrades they speak of.

Notes of another release, or with members missing, say less and break nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from worker.core.alerts import Phase
from worker.core.facts import CallOutcome, OperatorAction, PaymentEvent
from worker.core.history import Answer, Found, Granted, Instant, Raised, Said, What
from worker.core.journal import Json, NoteKind
from worker.core.tenant import Rule, TroubleKind
from worker.core.upgrade import State

JournalNote = Mapping[str, Json]
Word = TypeVar("Word", bound=StrEnum)

_TROUBLES = {Rule.NO_SUBSCRIPTION: TroubleKind.NO_SUBSCRIPTION, Rule.UNREACHABLE: TroubleKind.UNREACHABLE}


@dataclass(slots=True)
class Story:
    """What a journal says of one upgrade, each with the instant it was noted.

    ``asked`` says that an operator was asked to approve it, ``said`` what they said. ``dropped_at`` is when it
    was taken back or no longer wanted: nobody knows how it would have gone on.
    """

    id: str
    created_at: int | None = None
    asked: bool = False
    said: list[tuple[int, OperatorAction]] = field(default_factory=list)
    dropped_at: int | None = None
    calls: list[tuple[int, Answer]] = field(default_factory=list)
    happenings: list[tuple[int, What]] = field(default_factory=list)


class JournalReader:
    """Takes notes, oldest first; ``finish`` after the last."""

    def __init__(self) -> None:
        self.instants: list[Instant] = []
        self.stories: dict[str, Story] = {}
        self.raised: list[Raised] = []
        self._now = Instant(0)
        self._decided = False
        self._looked_at: int | None = None
        self._confirmed = 0

    def story(self, upgrade: str) -> Story:
        return self.stories.setdefault(upgrade, Story(upgrade))

    def read(self, note: JournalNote) -> None:
        at = _whole(note, "at") or 0
        if at != self._looked_at:
            self.finish()
        match _word(NoteKind, note.get("kind")):
            case NoteKind.LOOK:
                capacity, active = _whole(note, "capacity"), _whole(note, "active") or 0
                self._now = replace(self._now, capacity=capacity, active=active, trouble=None)
                self._looked_at = at
            case NoteKind.TROUBLE:
                kind = _word(TroubleKind, note.get("trouble")) or TroubleKind.UNREACHABLE
                self._now = replace(self._now, trouble=kind, trouble_since=at)
                self._looked_at = at
            case NoteKind.ROSTER:
                refused = (_whole(note, "removed") or 0, self._now.needed) if note.get("refused") else None
                self._now = replace(self._now, refused=refused)
            case NoteKind.DECISION:
                self._decision(note, at)
            case NoteKind.ALERT if note.get("phase") == Phase.RAISED.value:
                self.raised.append(Raised(at, str(note.get("alert")), str(note.get("key") or "")))
            case NoteKind.UPGRADE:
                self._upgrade(note, at)
            case NoteKind.CALL:
                self.story(str(note.get("upgrade"))).calls.append((at, Answer(0, None)))
            case NoteKind.OUTCOME | NoteKind.PAYMENT | NoteKind.OPERATOR if isinstance(note.get("upgrade"), str):
                self._about(self.story(str(note["upgrade"])), note, at)
            case _:
                pass

    def finish(self) -> None:
        """A look whose pass decided nothing new is over: what it showed stands."""
        if self._looked_at is not None:
            self._stands(self._looked_at)

    def _stands(self, at: int) -> None:
        if self._decided:
            before = self.instants[-1].capacity if self.instants else self._now.capacity
            bought = max(0, self._confirmed - before) if before is not None else 0
            self.instants.append(replace(self._now, at=at, bought=bought))
        self._looked_at, self._confirmed = None, 0

    def _decision(self, note: JournalNote, at: int) -> None:
        rule = _word(Rule, note.get("rule"))
        if rule is Rule.LOOK_INCOMPLETE:
            self._looked_at = None  # half a reading, between two decisions on whole ones
            return
        self._decided = True
        self._now = replace(
            self._now,
            needed=_whole(note, "needed") or 0,
            active=_whole(note, "active") or 0,
            missing=_whole(note, "missing") or 0,
            orphaned=_whole(note, "orphaned") or 0,
            capacity=_whole(note, "capacity"),
        )
        if rule in _TROUBLES and self._now.trouble is None:
            self._now = replace(self._now, trouble=_TROUBLES[rule], trouble_since=at)
        if rule is Rule.ROSTER_REFUSED:
            self._now = replace(self._now, refused=(_whole(note, "removed") or 0, _whole(note, "of") or 0))
        self._stands(at)

    def _upgrade(self, note: JournalNote, at: int) -> None:
        story, before, after = self.story(str(note.get("id"))), note.get("before"), note.get("after")
        if before is None:
            story.created_at, story.asked = at, after == State.AWAITING_APPROVAL.value
        if after == State.CONFIRMED.value:
            story.happenings.append((at, Granted()))
            self._confirmed = max(self._confirmed, _whole(note, "new_capacity") or 0)
        if after == State.INVOICED.value and story.calls:
            called_at, answer = story.calls[-1]
            story.calls[-1] = (called_at, replace(answer, invoice=True))
        taken_back = before == State.AWAITING_PAYMENT.value and note.get("why") == "Stripe's session is expired"
        if taken_back or note.get("why") == "no longer needed":
            story.dropped_at = at
        if before == State.UNKNOWN.value and str(note.get("why")).startswith("Stripe's session is"):
            story.happenings.append((at, Found(after == State.AWAITING_PAYMENT.value)))

    def _about(self, story: Story, note: JournalNote, at: int) -> None:
        match _word(NoteKind, note.get("kind")):
            case NoteKind.OUTCOME if (outcome := _word(CallOutcome, note.get("outcome"))) is not None:
                reason = note.get("reason")
                for number, (called_at, answer) in enumerate(story.calls):
                    if answer.outcome is None:
                        known = Answer(at - called_at, outcome, reason=reason if isinstance(reason, str) else None)
                        story.calls[number] = (called_at, known)
                        break
            case NoteKind.PAYMENT if (event := _word(PaymentEvent, note.get("event"))) is not None:
                status = note.get("status")
                story.happenings.append((at, Said(event, status if isinstance(status, str) else None)))
            case NoteKind.OPERATOR if (
                note.get("applied") and (action := _word(OperatorAction, note.get("action"))) is not None
            ):
                if story.calls:
                    story.happenings.append((at, action))
                else:
                    story.said.append((at, action))
            case _:
                pass


def _whole(note: JournalNote, name: str) -> int | None:
    value = note.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(kind: type[Word], value: Json) -> Word | None:
    return next((word for word in kind if word.value == value), None)
