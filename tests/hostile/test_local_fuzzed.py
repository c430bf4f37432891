"""What operators and host apps hand over: settings, files, queue messages, and what Stripe's API answers."""

import asyncio
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import DecodeError
from dramatiq.middleware import CurrentMessage
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile.counting import Counter, cases
from tests.hostile.documents import CHARACTERS, TEXTS, bent, bodies, hostile, noise, written
from tests.payments.test_sessions import KEY, session
from tests.unit.test_strict import message
from tests.web.site import MICROS, NOW, an_event
from worker.actors.seat_events import declare_seat_events
from worker.actors.strict import StrictEncoder
from worker.cli.events_file import batches, problems_in, read_lines
from worker.cli.roster_file import BadRoster, read_roster
from worker.core.facts import Fact
from worker.events import BadEvents
from worker.metrics import Meters
from worker.payments.errors import PaymentsError
from worker.payments.sessions import ExpireOutcome, StripeSessions
from worker.payments.stripe_http import BoundedClient
from worker.settings import ConfigError, Settings
from worker.settings.values import SECRET
from worker.store.codec import decode_fact, encode_fact

DEFAULT = 80

# -- settings ---------------------------------------------------------------------------------------------------------

NAMES = sorted(Settings.model_fields)
SECRETS = {name for name, field in Settings.model_fields.items() if SECRET in field.metadata}
WORDS = [
    "1", "0", "-1", "80,90,100", "100,90", "15m", "1h30m", "5m1h", "1e9s", "999999999999d", "50/s", "0/s", "9/parsec",
    "redis://h:6379/0", "redis://h:99999", "redis+cluster://h:1,h:2", "unix:///x", "https://x.test", "https://u:p@x.test",
    "http://[::1", "http://x:0", "sk_live_x", "pk_live_x", "whsec_x", "whsec_x,", "auto", "off", "AUTO", "١٢", "0x10",
    "warning=slack://a/b", "mailto://u:p@h,critical=json://x", "://", "true", "/etc/passwd", "\ud83d", "x" * 5000,
]  # fmt: skip
VALUES = st.sampled_from(WORDS) | st.sampled_from(TEXTS) | st.text(max_size=12) | st.integers().map(str)
ENVIRONMENT = st.dictionaries(
    st.sampled_from([f"SEATS_{name.upper()}" for name in NAMES])
    | st.sampled_from([f"SEATS_{name.upper()}_FILE" for name in sorted(SECRETS)])
    | st.sampled_from(CHARACTERS).map("SEATS_{}".format),
    VALUES,
    max_size=4,
)


def loads(config: Path | None, environ: Mapping[str, str]) -> None:
    """Settings come out, or one line that names the setting and no secret."""
    try:
        settings = Settings.load(config, environ=environ)
    except ConfigError as error:
        line = str(error)
        assert line.count("\n") == 0
        assert len(line) < 1_000
        assert error.setting
        told = [value for name, value in environ.items() if name.removeprefix("SEATS_").lower() in SECRETS]
        # A secret that is one of the words of the message itself gives nothing away.
        told = [value for value in told if len(value) > 5 and value not in WORDS]
        assert not [value for value in told if value in f"{error.problem} {error.remedy}"]
    else:
        settings.warnings()


@given(environ=ENVIRONMENT)
@cases(DEFAULT)
def test_settings_in_the_environment(counter: Counter, environ: dict[str, str], tmp_path: Path) -> None:
    with counter.case():
        loads(None, environ)


TOML = st.dictionaries(st.sampled_from(NAMES), hostile, max_size=3).map(
    lambda values: "\n".join(f"{name} = {written(value)}" for name, value in values.items()).encode("utf-8", "replace")
)


@given(content=TOML | noise)
@example(content=b"warn_at = " + b"[" * 100_000)
@example(content=b"seat_block = " + b"9" * 5_000)
@example(content=b"a = {b = " * 2_000)
@cases(DEFAULT)
def test_settings_in_a_file(counter: Counter, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with counter.case():
        loads(path, {})


# -- files ------------------------------------------------------------------------------------------------------------


def a_short_line() -> dict[str, Any]:
    line = {"type": "added", "tenant": "acme", "user": "ada", "email": "a@b.test", "name": "Ada", "id": "evt_1"}
    return {**line, "time": "2026-05-01T10:00:00Z"}


def a_user_line() -> dict[str, Any]:
    return {"userId": "ada", "email": "a@b.test", "name": "Ada"}


LINES = st.lists(bodies(an_event, a_short_line), max_size=4).map(b"\n".join)


@given(content=LINES)
@cases(DEFAULT)
def test_files_of_events(counter: Counter, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    with counter.case():
        for batch in batches(read_lines(path, MICROS)):
            for problem in problems_in(batch, MICROS):
                assert problem.line >= 1
                assert problem.text


CELLS = st.sampled_from(TEXTS) | st.text(st.sampled_from('a",\r\n\x00;\t '), max_size=12)
CSV = st.lists(st.lists(CELLS, max_size=4), max_size=4).map(
    lambda rows: "\n".join(["userId,email,name", *(",".join(row) for row in rows)]).encode("utf-8", "surrogatepass")
)


@given(content=CSV | noise)
@example(content=b"userId\n" + b'"' + b"x" * 200_000 + b'"\n')
@cases(DEFAULT)
def test_rosters_in_csv(counter: Counter, content: bytes, tmp_path: Path) -> None:
    reads(counter, tmp_path / "roster.csv", content)


@given(content=st.lists(bodies(a_user_line), max_size=4).map(b"\n".join))
@cases(DEFAULT)
def test_rosters_in_json(counter: Counter, content: bytes, tmp_path: Path) -> None:
    reads(counter, tmp_path / "roster.jsonl", content)


def reads(counter: Counter, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with counter.case():
        try:
            users = read_roster(path)
        except BadRoster as bad:
            assert bad.problems
        else:
            for user in users:
                "".join((user.user, user.email or "", user.name or "")).encode()


# -- the queue --------------------------------------------------------------------------------------------------------


@given(body=bodies(message))
@example(body=b"[" * 100_000)
@example(body=json.dumps(message()).replace('"t"', "9" * 5_000).encode())
@cases(DEFAULT)
def test_messages(counter: Counter, body: bytes) -> None:
    with counter.case():
        try:
            fields = StrictEncoder().decode(body)
        except DecodeError:
            return
        made: dramatiq.Message[None] = dramatiq.Message(**fields)
        made.copy(queue_name="other")
        assert isinstance(made.options["redis_message_id"], str)


def an_argument_list() -> dict[str, Any]:
    return {
        "tenant": "acme",
        "user": "ada",
        "email": None,
        "name": "Ada",
        "id": "evt_1",
        "time": "2026-05-01T10:00:00Z",
    }


class Inbox:
    """Takes facts as a store would, which has them written."""

    def __init__(self) -> None:
        self.taken = 0

    async def append(self, facts: Mapping[str, Sequence[Fact]], *, settle: int = 0, bounded: bool = True) -> None:
        for tenant, batch in facts.items():
            tenant.encode()
            assert [decode_fact(encode_fact(fact)) for fact in batch] == [*batch]
            self.taken += len(batch)


@given(body=bent([an_argument_list]), name=st.sampled_from(["user_added", "user_removed"]))
@cases(DEFAULT)
def test_arguments_of_messages(counter: Counter, body: bytes, name: str) -> None:
    try:
        arguments = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(arguments, dict):
        return
    broker, inbox = StubBroker(middleware=[]), Inbox()
    declare_seat_events(broker, inbox, 0, Meters())  # type: ignore[arg-type]
    sent: dramatiq.Message[None] = dramatiq.Message("seat-events", name, (), arguments, {}, "m_1", NOW * 1000)
    CurrentMessage._MESSAGE.set(sent)
    # As it is declared, without dramatiq's own thread and event loop.
    take = inspect.unwrap(broker.actors[name].fn)
    with counter.case():
        try:
            asyncio.run(take(**arguments))
        except (BadEvents, TypeError) as error:
            # A TypeError says that the arguments are not those of the actor; it never comes from its insides.
            assert isinstance(error, BadEvents) or "argument" in str(error)
            assert inbox.taken == 0
        else:
            assert inbox.taken == 1


# -- Stripe's answers -------------------------------------------------------------------------------------------------


def a_session() -> dict[str, Any]:
    return session(1)


def a_list() -> dict[str, Any]:
    return {"object": "list", "data": [session(1), session(2, "expired")], "has_more": False, "url": "/v1/x"}


def a_refusal() -> dict[str, Any]:
    said = {"type": "invalid_request_error", "code": "resource_missing", "message": f"no {KEY}", "param": "id"}
    return {"error": said}


STATUSES = st.sampled_from([200, 200, 200, 200, 400, 401, 403, 404, 409, 429, 500, 302, 204])
WAITS = st.sampled_from([{}, {"retry-after": "5"}, {"retry-after": "\u0663"}, {"retry-after": "9" * 5000}])


@given(body=bodies(a_session, a_list, a_refusal), status=STATUSES, headers=WAITS)
@cases(DEFAULT)
def test_answers_of_stripe(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, headers: dict[str, str]
) -> None:
    async def answered(*_: object) -> tuple[bytes, int, dict[str, str]]:
        return body, status, headers

    monkeypatch.setattr(BoundedClient, "request_async", answered)
    with counter.case():
        asyncio.run(_ask())


async def _ask() -> None:
    sessions = StripeSessions(KEY, "http://127.0.0.1:9")
    try:
        for call in (sessions.get("cs_1"), sessions.expire("cs_1"), sessions.find({"p1", "acme"}, MICROS)):
            try:
                told = await call
            except PaymentsError as error:
                assert KEY not in str(error)
                assert len(str(error)) < 600
            else:
                assert isinstance(told, ExpireOutcome) or "pay/" not in repr(told)
    finally:
        await sessions.aclose()
