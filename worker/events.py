"""Seat events: what a host app may say, checked by the same rules at the HTTP door and in ``SeatEvents``.

CloudEvents 1.0 in JSON. Members nobody here knows are left out, not refused, as CloudEvents asks; a member that is null
counts as absent.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NoReturn, NotRequired, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails, PydanticCustomError

# The one of typing cannot be read by pydantic before Python 3.12.
from typing_extensions import TypedDict

from worker.core.facts import Membership, UserFact
from worker.core.times import DAY, MINUTE, from_datetime, parse_instant

MOST_EVENTS: Final = 1_000
"""Events a batch may hold."""

MOST_AHEAD: Final = 5 * MINUTE
"""How far in the future a time may lie (microseconds): clocks differ, but a fact of next year wins for a year."""

_LONGEST_TIME: Final = 64
_JSON_TYPE: Final = re.compile(r"(application|text)/([^;\s]+\+)?json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f"
_PLAIN_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_MEMBERSHIPS: Final = {"user.added": Membership.ADDED, "user.removed": Membership.REMOVED}


@dataclass(frozen=True, slots=True)
class _Clock:
    """What times are held against: ``now``, and how old they may be (None: any age), in microseconds."""

    now: int
    lifetime: int | None = None

    def shows(self, at: int) -> bool:
        """Whether a time is one that an event may have."""
        return (self.lifetime is None or at >= self.now - self.lifetime) and at <= self.now + MOST_AHEAD


def _instant(value: object, info: ValidationInfo) -> int:
    """The microseconds of an RFC 3339 text; the context of a validation is a ``_Clock``."""
    if not isinstance(value, str) or len(value) > _LONGEST_TIME:
        raise PydanticCustomError("bad_time", "must be an RFC 3339 date-time, as text")
    try:
        at = parse_instant(value)
    except ValueError as error:
        raise PydanticCustomError("bad_time", "is no time: {reason}", {"reason": str(error)}) from error
    clock = info.context
    assert isinstance(clock, _Clock)
    if at > clock.now + MOST_AHEAD:
        raise PydanticCustomError("bad_time", "is more than 5 minutes in the future")
    if clock.lifetime is not None and at < clock.now - clock.lifetime:
        raise PydanticCustomError(
            "bad_time",
            "is more than {days} days ago, which SEATS_TOMBSTONES_FOR is set to: leave it out if this is how it is now",
            {"days": f"{clock.lifetime / DAY:g}"},
        )
    return at


def _json_type(media_type: str) -> str:
    if not _JSON_TYPE.fullmatch(media_type):
        raise PydanticCustomError("not_json_data", "must be application/json: other data is not understood")
    return media_type


Ident = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=255, pattern=rf"^[^{_CONTROLS}]*[^\s{_CONTROLS}][^{_CONTROLS}]*$"
    ),
]
"""An id: 1 to 255 characters, none of them a control character, and not only spaces."""

Email = Annotated[str, StringConstraints(strict=True, max_length=320)] | None
Name = Annotated[str, StringConstraints(strict=True, max_length=255)] | None
Time = Annotated[int, PlainValidator(_instant, json_schema_input_type=datetime)] | None
"""An RFC 3339 time with a zone, as microseconds. The validation's context is the ``_Clock`` it is held against."""


Value = TypeVar("Value")


class EventData(TypedDict):
    """Who joined or left which tenant."""

    tenantId: Ident
    userId: Ident
    email: NotRequired[Email]
    name: NotRequired[Name]


class _Timeless(TypedDict):
    specversion: Literal["1.0"]
    id: Ident
    source: Annotated[str, StringConstraints(strict=True, min_length=1)]
    type: Literal["user.added", "user.removed"]
    data: EventData
    datacontenttype: NotRequired[Annotated[str, StringConstraints(strict=True), AfterValidator(_json_type)] | None]
    data_base64: NotRequired[None]


class Event(_Timeless):
    """A CloudEvents 1.0 event about one user."""

    time: NotRequired[Time]


class _QuickEvent(_Timeless):
    """An event whose time, if it has one, has the form in which nearly all are written."""

    time: NotRequired[Annotated[str, StringConstraints(strict=True, pattern=_PLAIN_TIME)] | None]


_IDENT: Final[TypeAdapter[str]] = TypeAdapter(Ident)
ONE_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
MANY_EVENTS: Final[TypeAdapter[list[Event]]] = TypeAdapter(Annotated[list[Event], Field(max_length=MOST_EVENTS)])
# Good batches are read by these, in 3.4 µs an event; to call Python for each time takes 5.0. What they do not take is
# read once more, by those above, which take all that is good and name all that is not.
_QUICK_ONE: Final[TypeAdapter[_QuickEvent]] = TypeAdapter(_QuickEvent)
_QUICK_MANY: Final[TypeAdapter[list[_QuickEvent]]] = TypeAdapter(
    Annotated[list[_QuickEvent], Field(max_length=MOST_EVENTS)]
)


@dataclass(frozen=True, slots=True)
class EventProblem:
    """One thing that is wrong with one event. ``field`` is its path in the JSON, '' for the event as a whole."""

    index: int
    field: str
    reason: str


class BadEvents(ValueError):
    """Events that break the rules, every one of them with everything that is wrong. Nothing of the batch was taken.

    ``accepted`` counts the events of earlier batches that had been taken when these were met.
    """

    def __init__(self, problems: Sequence[EventProblem], accepted: int = 0) -> None:
        self.problems, self.accepted = tuple(problems), accepted
        first = "; ".join(f"event {one.index}: {f'{one.field} {one.reason}'.strip()}" for one in problems[:3])
        rest = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        super().__init__(f"the events were not taken: {first}{rest}")


class NotJSON(ValueError):
    """A body that is no JSON in UTF-8."""


class TooManyEvents(ValueError):
    """More events than a batch may hold."""

    def __init__(self) -> None:
        super().__init__(f"a batch holds at most {MOST_EVENTS:,} events: send several")


@dataclass(frozen=True, slots=True)
class Batch:
    """The facts of a batch, by tenant, in the order of their events."""

    facts: Mapping[str, Sequence[UserFact]]
    count: int


def problem_of_id(ident: str) -> str | None:
    """What is wrong with an id, in words that continue its name; None where it is one."""
    try:
        _IDENT.validate_python(ident)
    except ValidationError as error:
        return reason_of(details(error)[0])
    return None


def read_event(body: bytes, now: int, lifetime: int | None = None) -> Batch:
    """The facts in one event's JSON.

    ``now`` (microseconds) is when it was received. Its time may be as old as ``lifetime``; None: of any age.

    Raises:
        NotJSON: it is not JSON.
        BadEvents: it breaks a rule.
    """
    clock = _Clock(now, lifetime)
    if not _maybe_nan(body):
        try:
            return _quick_batch([_QUICK_ONE.validate_json(body)], clock)
        except ValueError:
            pass
    try:
        return _batch([read_json(ONE_EVENT, body, now, lifetime)], now)
    except ValidationError as error:
        problems = [EventProblem(0, field_of(one["loc"]), reason_of(one)) for one in details(error)]
        raise BadEvents(problems) from None


def read_events(body: bytes, now: int, lifetime: int | None = None) -> Batch:
    """The facts in a JSON array of events.

    Raises:
        NotJSON: it is not JSON.
        BadEvents: an event breaks a rule; every such event is named.
        TooManyEvents: more than ``MOST_EVENTS``.
    """
    if not _maybe_nan(body):
        try:
            return _quick_batch(_QUICK_MANY.validate_json(body), _Clock(now, lifetime))
        except ValueError:
            pass
    try:
        events: list[Event] = read_json(MANY_EVENTS, body, now, lifetime)
    except ValidationError as error:
        raise _refusal(error) from None
    return _batch(events, now)


def check_events(events: Iterable[Mapping[str, Any]], now: int, lifetime: int | None = None) -> Batch:
    """The facts of events that are Python values; raises like ``read_events``."""
    given, clock = list(events), _Clock(now, lifetime)
    try:
        return _quick_batch(_QUICK_MANY.validate_python(given), clock)
    except ValueError:
        pass
    try:
        return _batch(MANY_EVENTS.validate_python(given, context=clock), now)
    except ValidationError as error:
        raise _refusal(error) from None


def _quick_batch(events: Sequence[_QuickEvent], clock: _Clock) -> Batch:
    """Raises ``ValueError`` where a time is no good."""
    instants: list[int | None] = []
    for event in events:
        text = event.get("time")
        at = None if text is None else from_datetime(datetime.fromisoformat(text))
        if at is not None and not clock.shows(at):
            raise ValueError("a time that is too far away")
        instants.append(at)
    return _facts(events, instants, clock.now)


def _batch(events: Sequence[Event], now: int) -> Batch:
    return _facts(events, [event.get("time") for event in events], now)


def _facts(events: Sequence[_Timeless], instants: Sequence[int | None], now: int) -> Batch:
    facts: defaultdict[str, list[UserFact]] = defaultdict(list)
    for index, (event, at) in enumerate(zip(events, instants, strict=True)):
        data = event["data"]
        # An event without a time happened when it was received; the microseconds keep a batch in its order.
        fact = UserFact(
            data["userId"],
            _MEMBERSHIPS[event["type"]],
            now + index if at is None else at,
            event["id"],
            data.get("email"),
            data.get("name"),
        )
        facts[data["tenantId"]].append(fact)
    return Batch(dict(facts), len(events))


def _refusal(error: ValidationError) -> BadEvents | TooManyEvents:
    found = details(error)
    if any(one["type"] == "too_long" and not one["loc"] for one in found):
        return TooManyEvents()
    return BadEvents([EventProblem(_index(one), field_of(one["loc"][1:]), reason_of(one)) for one in found])


def _index(error: ErrorDetails) -> int:
    index = error["loc"][0] if error["loc"] else 0
    assert isinstance(index, int)
    return index


def read_json(adapter: TypeAdapter[Value], body: bytes, now: int, lifetime: int | None = None) -> Value:
    """What ``adapter`` makes of a JSON body, times checked against ``now`` and, where they have one, their lifetime.

    Raises:
        NotJSON: it is not JSON; NaN and Infinity are not either.
        ValidationError: it breaks the adapter's rules.
    """
    if _maybe_nan(body):
        plain_json(body)
    try:
        return adapter.validate_json(body, context=_Clock(now, lifetime))
    except ValidationError as error:
        if details(error)[0]["type"] != "json_invalid":
            raise
    # Half a surrogate pair is no text, but it is JSON: read so, the error can name its index and field.
    return adapter.validate_python(plain_json(body), context=_Clock(now, lifetime))


def _maybe_nan(body: bytes) -> bool:
    """Whether it may hold what is no JSON, and what pydantic takes all the same."""
    return b"NaN" in body or b"Infinity" in body


def plain_json(body: bytes) -> object:
    """A JSON value in UTF-8.

    Raises:
        NotJSON: it is none.
    """
    try:
        value: object = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise NotJSON("the body is nested too deep") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"the body is not JSON: {error}") from None
    except ValueError:
        raise NotJSON("the body is not JSON in UTF-8") from None
    return value


def _refuse(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def details(error: ValidationError) -> list[ErrorDetails]:
    """All that is wrong, without the offending values: they may be personal data."""
    return error.errors(include_url=False, include_input=False)


def field_of(loc: Sequence[int | str]) -> str:
    """A path in the JSON, such as ``data.userId``."""
    return ".".join(str(part) for part in loc)


def reason_of(error: ErrorDetails) -> str:
    """What is wrong, in words that continue the field's name."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "string_type":
            return "must be text"
        case "string_unicode":
            return "holds half of a surrogate pair, which is no character"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return "must not hold control characters, nor only spaces"
        case "literal_error":
            return f"must be {context['expected']}"
        case "none_required" if error["loc"][-1] == "data_base64":
            return "is not understood: give the data as JSON in data"
        case "dict_type":
            return "must be a JSON object"
        case "list_type":
            return "must be a JSON array"
        case _:
            return error["msg"]
