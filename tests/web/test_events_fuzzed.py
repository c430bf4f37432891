"""Any bytes at the door give 202, 400 or 413, never 500; and what is accepted is all there."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.web.site import MICROS, Site, an_event
from worker.events import BadEvents, Ident, NotJSON, TooManyEvents, read_event, read_events
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
