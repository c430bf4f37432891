"""Any bytes at the door give 202, 400 or 413, never 500; and what is accepted is all there."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.web.site import MICROS, Site, an_event
from worker.core.times import DAY
from worker.events import BadEvents, Batch, Ident, NotJSON, TooManyEvents, check_events, read_event, read_events
from worker.web.paths import storable

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner), max_leaves=8
)
MEMBERS = ["specversion", "id", "source", "type", "time", "data", "datacontenttype", "data_base64", "x"]


@st.composite
def bent_events(draw: st.DrawFn) -> Any:
    """Events with members replaced, removed and added, also within their data."""
    event: dict[str, Any] = an_event()
    for name in draw(st.lists(st.sampled_from(MEMBERS), max_size=3)):
        event[name] = draw(JSON)
    for name in draw(st.lists(st.sampled_from(MEMBERS), max_size=1)):
        event.pop(name, None)
    if isinstance(event.get("data"), dict):
        for name in draw(st.lists(st.sampled_from(["tenantId", "userId", "email", "name", "x"]), max_size=3)):
            event["data"][name] = draw(JSON)
    return event


BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | bent_events().map(lambda event: json.dumps(event).encode())
    | st.lists(bent_events(), max_size=4).map(lambda events: json.dumps(events).encode())
    | st.text(st.sampled_from('[]{}",:\\ud8NaI nityfe0-1.')).map(str.encode)
)


@given(body=BODIES)
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_events_or_refused_in_one_of_three_ways(body: bytes) -> None:
    for read in (read_event, read_events):
        try:
            batch = read(body, MICROS)
        except (NotJSON, TooManyEvents):
            continue
        except BadEvents as error:
            named = [problem for problem in error.problems if problem.reason and problem.index >= 0]
            complete = 0 < len(named) == len(error.problems)
        else:
            complete = sum(map(len, batch.facts.values())) == batch.count
        assert complete


KINDS = ["user.added", "user.added", "user.removed"]
MOMENTS = st.datetimes(
    datetime(1960, 1, 1),
    datetime(2030, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]),
)
NOW = datetime.fromtimestamp(MICROS / 1_000_000, UTC)
TIMES = (
    MOMENTS.map(datetime.isoformat)
    | MOMENTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z").lower())
    | st.timedeltas(-timedelta(days=2), timedelta(minutes=10)).map(lambda ago: (NOW + ago).isoformat())
    | st.sampled_from(
        ["2026-02-30T10:00:00Z", "2026-05-01T10:00:00.123456789012Z", "2026-05-01 10:00:00Z", "\uff12", "", None]
    )
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})\n?")
)
TEXTS = st.text(st.characters(), max_size=4) | st.sampled_from(["ключ-🙂", "\ud83d", "a\x7f", " ", "x" * 256])


@st.composite
def nearly_good_events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of which most are good, with times of all kinds and texts that are hard to write."""
    events = []
    for number in range(draw(st.integers(0, 4))):
        event = an_event(id=f"e{number}", tenantId=f"t{draw(st.integers(0, 1))}", type=draw(st.sampled_from(KINDS)))
        event["time"] = draw(TIMES)
        for name in draw(st.lists(st.sampled_from(["tenantId", "userId", "email", "name"]), max_size=1)):
            event["data"][name] = draw(TEXTS)
        events.append(event)
    return events


def outcome(read: Callable[[], Batch]) -> object:
    try:
        return read()
    except BadEvents as error:
        return error.problems
    except (NotJSON, TooManyEvents) as error:
        return type(error), str(error)


@given(events=nearly_good_events(), body=BODIES, lifetime=st.sampled_from([None, DAY]))
@settings(max_examples=300, deadline=None)
def test_what_is_read_quickly_is_what_is_read_with_care(events: list[Any], body: bytes, lifetime: int | None) -> None:
    written = json.dumps(events).encode()
    reads: list[Callable[[], Batch]] = [
        lambda: read_events(written, MICROS, lifetime),
        lambda: read_event(json.dumps(events[0]).encode() if events else body, MICROS, lifetime),
        lambda: check_events(events, MICROS, lifetime),
        lambda: read_events(body, MICROS, lifetime),
    ]
    quick = [outcome(read) for read in reads]
    with patch("worker.events._quick_batch", side_effect=ValueError):
        assert [outcome(read) for read in reads] == quick


@given(body=BODIES, media_type=st.sampled_from(["application/json", "application/cloudevents-batch+json"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("site")
def test_any_bytes_give_202_or_400_or_413_and_never_500(site: Site, body: bytes, media_type: str) -> None:
    answer = site.publish(body, media_type)
    assert answer.status_code in (202, 400, 413)
    if answer.status_code == 202:
        assert answer.json()["accepted"] == (len(json.loads(body)) if body.lstrip()[:1] == b"[" else 1)
    assert site.log.entries == []


@given(ident=st.text(st.characters(exclude_categories=[]), max_size=4) | st.text(min_size=254, max_size=257))
@settings(max_examples=400, deadline=None)
def test_an_id_is_the_same_in_a_path_as_in_an_event(ident: str) -> None:
    try:
        TypeAdapter(Ident).validate_python(ident)
        taken = True
    except ValidationError:
        taken = False
    assert storable(ident) is taken
