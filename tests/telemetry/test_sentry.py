"""What reaches Sentry: errors as the log has them, without secrets."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.canaries import Where
from tests.watch import saw
from worker import logs
from worker.telemetry import sentry

DSN = "http://public@127.0.0.1:1/1"
SECRET = "sk_live_51abcdefghijklmnopqrstuv"
LINK = "https://checkout.stripe.com/c/pay/cs_live_a1b2c3d4e5f6g7h8"


class Kept(Transport):
    """Keeps envelopes instead of sending them."""

    envelopes: list[Envelope]

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        Kept.envelopes = []

    def capture_envelope(self, envelope: Envelope) -> None:
        Kept.envelopes.append(envelope)
        saw(Where.SENTRY, "an envelope", envelope.serialize())


@pytest.fixture
def reporting(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    logs.setup("json", "info", "test")
    handler = sentry.report_errors(DSN, "worker", transport=Kept)
    yield
    sentry.stop(handler)
    root.handlers, root.level = before
    structlog.reset_defaults()
    logging.captureWarnings(False)


def events() -> list[dict[str, Any]]:
    found = [item.payload.json for envelope in Kept.envelopes for item in envelope.items]
    return [one for one in found if one is not None]


def test_an_error_arrives_as_the_log_has_it(reporting: None) -> None:
    log = structlog.get_logger("worker.test")
    log.info("nothing to see")
    log.warning("nothing to see")
    log.error("something is wrong", tenant="acme", count=3)
    (event,) = events()
    assert (event["message"], event["level"], event["logger"]) == ("something is wrong", "error", "worker.test")
    assert event["extra"]["tenant"] == "acme"
    assert event["extra"]["count"] == 3
    assert event["tags"]["process"] == "worker"
    assert event.get("breadcrumbs", {}).get("values", []) == []


def test_an_exception_comes_with_its_frames_and_without_their_variables(reporting: None) -> None:
    def breaks(link: str) -> None:
        raise RuntimeError(f"could not open {link}")

    for raised in (True, False):
        try:
            breaks(LINK)
        except RuntimeError as error:
            structlog.get_logger("worker.test").error("it broke", exc_info=raised or error)
    for event in events():
        (value,) = event["exception"]["values"]
        assert value["type"] == "RuntimeError"
        assert value["stacktrace"]["frames"][-1]["function"] == "breaks"
        assert all("vars" not in frame for frame in value["stacktrace"]["frames"])
    assert len(events()) == 2
    assert LINK not in json.dumps(events())


def test_no_secret_arrives_wherever_it_stands(reporting: None) -> None:
    log = structlog.get_logger("worker.test")
    log.error(f"key {SECRET}", url=LINK, nested={"deep": [f"x {SECRET}"]}, operator_token="hunter2-hunter2")
    log.critical("worse", email="ada@example.com")
    logging.getLogger("other.library").error("its words: %s", SECRET)
    told = json.dumps(events())
    assert len(events()) == 3
    for secret in (SECRET, LINK, "cs_live_a1b2c3d4e5f6g7h8", "hunter2", "ada@example.com"):
        assert secret not in told
    assert [event["level"] for event in events()] == ["error", "fatal", "error"]


def test_stopped_it_sends_nothing_more(reporting: None) -> None:
    handler = next(one for one in logging.getLogger().handlers if isinstance(one, sentry.ErrorHandler))
    sentry.stop(handler)
    structlog.get_logger("worker.test").error("too late")
    assert events() == []
