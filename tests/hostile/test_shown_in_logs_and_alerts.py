"""Logs and alerts: an entry is one line, a message has the lines we gave it, and nothing in either steers a screen."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.alerts.samples import AT, WRITER, raised, resolved
from tests.hostile.nasty import ANYTHING, TENANT
from tests.unit.test_logs import logging_of_its_own
from worker.alerts.digest import Message
from worker.alerts.lines import log_alerts
from worker.alerts.values import quoted
from worker.core.alert_rules import DATA_FIELDS
from worker.core.alerts import Alert, AlertKind, Severity
from worker.core.times import HOUR
from worker.logs import setup

TORN = f"{ANYTHING}\ud800"
MUTE = "\u200b"


@pytest.fixture(params=["json", "console"])
def out(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    with logging_of_its_own() as stream:
        setup(request.param, "debug", "web", stream)
        yield stream


def leave_out_pytest() -> None:
    """pytest keeps what is logged for its report, which can't be handed on with half a surrogate pair in it."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if type(handler).__module__.startswith("worker.")]
    assert len(root.handlers) == 1


def log_everything() -> int:
    """Entries that hold it everywhere; how many."""
    leave_out_pytest()
    log = structlog.get_logger("worker.web")
    log.info(TORN)
    log.info("as a value", tenant=TENANT, user=TORN, **{"k" + TORN: 1})
    log.info("within", data={TORN: [TORN, (TORN,), {TORN}], "bytes": TORN.encode("utf-8", "surrogatepass")})
    logging.getLogger("of_somebody_else").warning("said %s", TORN)
    log.info("as an error", error=ValueError(TORN))
    log_alerts([raised(TENANT, key=ANYTHING, reason=ANYTHING)])
    return 6


def test_an_entry_is_one_line(out: io.StringIO) -> None:
    count = log_everything()
    lines = out.getvalue().split("\n")
    assert (len(lines), lines[-1]) == (count + 1, "")
    # As a terminal, a pager and a program may divide it, too.
    assert len(out.getvalue().splitlines()) == count
    for line in lines:
        assert line.isprintable(), ascii(line)


def test_a_traceback_can_not_look_like_an_entry(out: io.StringIO) -> None:
    leave_out_pytest()
    before = f"x\n2026-05-01T10:00:00Z [info     ] paid\n{TORN}"
    with contextlib.suppress(ValueError):
        try:
            raise ValueError(before)
        except ValueError:
            structlog.get_logger("worker").exception("failed", tenant=TENANT)
            raise
    text = out.getvalue()
    assert {char for char in text if not char.isprintable()} <= {"\n"}
    first, *others = text.rstrip("\n").split("\n")
    assert "failed" in first
    if first.startswith("{"):
        assert others == []
        assert json.loads(first)["tenant"].startswith("evil")
    else:
        assert all(line.startswith("    ") for line in others)


def nasty(kind: AlertKind) -> Alert:
    """An alert of a kind, all of whose words are somebody else's."""
    data: dict[str, Any] = dict.fromkeys(DATA_FIELDS[kind], ANYTHING)
    data |= {name: AT for name in data if name == "at" or name.endswith("_at")}
    data |= {name: 5 for name in ("used", "capacity") if name in data}
    return raised(TENANT, kind, Severity.CRITICAL, key=ANYTHING, **data)


def check(message: Message) -> None:
    assert "\n" not in message.title
    seen = {char for char in message.title + message.body if not char.isprintable()}
    assert seen <= {"\n", MUTE}, ascii(message.body)
    assert "<script" not in message.body
    assert "<!" not in message.body


@pytest.mark.parametrize("kind", AlertKind)
def test_an_alert_alone(kind: AlertKind) -> None:
    numbers: dict[str, Any] = dict.fromkeys(DATA_FIELDS[kind], 5)
    plain = raised("acme", kind, Severity.CRITICAL, **numbers)
    check(WRITER.write([nasty(kind)]))
    # Nobody's words add a line, or a paragraph that looks like ours.
    lines = WRITER.write([nasty(kind)], room=100_000).body.count("\n")
    assert lines <= WRITER.write([plain], room=100_000).body.count("\n")


def test_many_alerts_in_one_message() -> None:
    alerts = [nasty(kind) for kind in AlertKind]
    check(WRITER.write(alerts))
    check(WRITER.write([*alerts, resolved(TENANT, since=AT - HOUR)]))
    check(WRITER.write([nasty(AlertKind.DRIFT)] * 3))


def test_a_command_with_an_id_in_it_can_be_copied(tmp_path: object) -> None:
    import subprocess

    for ident in (TENANT, "a b", "$(touch x)", "`id`", "'; rm -rf /; '", "-x", "\u202e", "a\u200b@everyone"):
        word = quoted(ident)
        assert word.isprintable()
        ran = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, timeout=20, check=True)
        assert ran.stdout.decode() == ident
