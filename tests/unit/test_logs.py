"""The log: one entry a line, no secrets in it wherever they came from, bounded."""

import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.logs import redacted, setup


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def logging_of_its_own() -> Iterator[io.StringIO]:
    """Puts the process's logging back as it was."""
    root = logging.getLogger()
    kept = (root.handlers, root.level, sys.excepthook, threading.excepthook)
    try:
        yield io.StringIO()
    finally:
        root.handlers, level, sys.excepthook, threading.excepthook = kept
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    with logging_of_its_own() as stream:
        yield stream


def only_entry(out: io.StringIO) -> dict[str, object]:
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert isinstance(entry, dict)
    return entry


SECRETS = [
    "sk_live_51Habc",
    "sk_test_51Habc",
    "rk_live_51Habc",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "cs_live_a1B2c3D4",
    "cs_test_a1B2c3D4#fidkdWxOYHwnPyd1blppbHNg",
    "https://checkout.stripe.com/c/pay/cs_test_a1B2c3D4#fid",
    "http://127.0.0.1:4242/pay/Zm9vYmFy",
    "ann@example.com",
    "zoë.müller+seats@bücher.example",
]
HIDDEN = ["51Habc", "MfKQ9", "a1B2c3D4", "Zm9vYmFy", "ann@", "example.com", "müller", "hunter2", "fidk"]


def shows_nothing_hidden(text: str) -> bool:
    return not [word for word in HIDDEN if word in text]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(secret: str, out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    log = structlog.get_logger("worker.test")
    try:
        raise RuntimeError(f"refused: {secret}")
    except RuntimeError as error:
        log.exception(f"event {secret}", flat=secret, nested={"list": [{"deep": (secret,)}]}, cause=error)
    log.info("as a key", counts={secret: 1})
    logging.getLogger("redis").warning("told by another library: %s", secret)
    assert len(out.getvalue().splitlines()) == 3
    assert shows_nothing_hidden(out.getvalue().encode().decode("unicode_escape") + out.getvalue())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@localhost:6379/0", "redis://***@localhost:6379/0"),
        ("https://ann:hunter2@host/x", "https://***@host/x"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("sent Bearer hunter2, refused", "sent Bearer ***, refused"),
        ("password=hunter2&x=1", "password=***&x=1"),
        ("{'api_key': 'hunter2', 'a': 1}", "{'api_key': '***', 'a': 1}"),
        ('{"operator_token": "hunter2"}', '{"operator_token": "***"}'),
        ("x-service-key: hunter2", "x-service-key: ***"),
        ("key sk_live_51Habc is wrong", "key sk_live_*** is wrong"),
    ],
)
def test_the_rest_of_a_text_stays_readable(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "SEATS_OPERATOR_TOKEN is not set: set it to a random token",
        "POST https://app.crovver.com/api/public/capacity/proration-checkout answered 404",
        "tenant workspace_123 needs 15 seats",
        "https://app.example.com/settings/seats?upgraded=1",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "key",
    ["authorization", "token", "ingest_tokens", "SECRET", "password", "api-key", "checkout_url", "email", "cookie"],
)
def test_what_stands_under_a_secrets_key_is_masked_whatever_it_is(key: str, out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    structlog.get_logger().info("told", **{key: ["hunter2"]}, inner={key: 4711})
    entry = only_entry(out)
    assert (entry[key], entry["inner"]) == ("***", {key: "***"})


def test_that_a_secret_is_missing_may_be_told(out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    structlog.get_logger().info("told", email=None, has_token=False)
    assert (only_entry(out)["email"], only_entry(out)["has_token"]) == (None, False)


@dataclass
class Configured:
    password: str
    url: str


def test_a_secret_inside_an_object_is_masked_too(out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    structlog.get_logger().info("told", given=Configured("hunter2", "redis://:hunter2@host"))
    assert "hunter2" not in out.getvalue()


def test_an_entry_says_when_where_how_bad_and_by_whom(out: io.StringIO) -> None:
    setup("json", "info", "scheduler", out)
    with structlog.contextvars.bound_contextvars(tenant="t1"):
        structlog.get_logger("worker.actors").warning("late", seconds=1.5)
    entry = only_entry(out)
    assert str(entry.pop("timestamp")).endswith("Z")
    assert entry == {
        "event": "late",
        "level": "warning",
        "logger": "worker.actors",
        "process": "scheduler",
        "seconds": 1.5,
        "tenant": "t1",
    }


def test_other_libraries_records_look_the_same(out: io.StringIO) -> None:
    setup("json", "info", "worker", out)
    dramatiq = logging.getLogger("dramatiq")
    dramatiq.info("Worker %d is ready", 1)
    assert only_entry(out)["event"] == "Worker 1 is ready"
    assert only_entry(out)["process"] == "worker"


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "stripe"])
def test_libraries_that_log_every_request_are_quiet(name: str, out: io.StringIO) -> None:
    setup("json", "debug", "worker", out)
    logging.getLogger(name).info("HTTP Request: GET https://app.crovver.com/?token=hunter2")
    assert out.getvalue() == ""


def test_below_its_level_nothing_is_written(out: io.StringIO) -> None:
    setup("json", "error", "web", out)
    structlog.get_logger().warning("told")
    logging.getLogger("httpx").warning("told")
    assert out.getvalue() == ""


def test_set_up_twice_an_entry_is_still_written_once(out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    setup("json", "info", "web", out)
    structlog.get_logger().info("told")
    assert only_entry(out)["event"] == "told"


def test_a_terminal_gets_lines_and_anything_else_json(out: io.StringIO) -> None:
    setup("auto", "info", "web", out)
    structlog.get_logger().info("told")
    assert only_entry(out)["event"] == "told"
    terminal = Terminal()
    setup("auto", "info", "web", terminal)
    structlog.get_logger().info("told")
    assert "told" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


FORGERY = "ann\r\n2026-01-01T00:00:00Z [info     ] paid\x1b[2K\u2028\x85 all is well"


@given(st.text() | st.just(FORGERY))
def test_no_value_can_forge_an_entry_on_the_console(value: str) -> None:
    with logging_of_its_own() as out:
        setup("console", "info", "web", out)
        structlog.get_logger().info(value, user=value, nested=[{value: value}])
        try:
            raise RuntimeError(value)
        except RuntimeError:
            logging.getLogger("other").exception(value)
    lines = out.getvalue().splitlines()
    entries = [line for line in lines if not line.startswith("    ")]
    assert len(entries) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("format", ["json", "console"])
def test_entries_are_bounded_in_every_direction(format: str, out: io.StringIO) -> None:
    setup(format, "info", "web", out)
    endless: dict[str, object] = {}
    endless["self"] = endless
    structlog.get_logger().info("long" * 10_000, text="x" * 100_000, many=list(range(10_000)), endless=endless)
    assert len(out.getvalue()) < 10_000
    assert "(cut)" in out.getvalue()


def test_a_secret_that_the_limit_cuts_in_two_is_masked() -> None:
    text = "x" * 1_985 + " redis://:" + "hunter2" * 20 + "@localhost"
    assert "hunter2" not in redacted(text)


def test_a_long_traceback_keeps_its_end(out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    try:
        raise RuntimeError("x" * 50_000 + "the end")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    traceback = str(only_entry(out)["exception"])
    assert traceback.endswith("the end")
    assert traceback.startswith("Traceback")
    assert len(traceback) < 25_000


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("hunter2")


def test_what_cannot_be_shown_does_not_cost_the_entry(out: io.StringIO) -> None:
    setup("json", "info", "web", out)
    structlog.get_logger().info("told", odd=Unshowable(), number=float("nan"), raw=b"\xff")
    assert only_entry(out)["odd"] == "<Unshowable that cannot be shown>"
    assert only_entry(out)["number"] == "nan"


def test_a_record_that_cannot_be_written_is_told_without_its_arguments(
    out: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    setup("json", "info", "web", out)
    logging.getLogger("other").warning("%d seats", "hunter2")
    assert "a log entry could not be written: TypeError (other, test_logs.py:" in out.getvalue()
    assert "hunter2" not in out.getvalue() + capfd.readouterr().err


def test_an_uncaught_exception_is_an_entry_and_goes_to_standard_error() -> None:
    code = """
import threading
from worker.logs import setup
setup("json", "info", "web")
def fail(): raise RuntimeError("refused sk_live_51Habc")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    entries = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout, len(entries)) == (1, "", 2)
    assert all(entry["level"] == "critical" and "sk_live_***" in entry["exception"] for entry in entries)
