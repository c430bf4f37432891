"""What has to be installed and set for telemetry, told in a line."""

import sys
import time

import pytest

from worker.settings import ConfigError, Settings
from worker.telemetry import telemetry


@pytest.mark.parametrize(
    ("setting", "value", "package", "extra"),
    [
        ("SEATS_OTEL_ENDPOINT", "http://127.0.0.1:1", "opentelemetry", "otel"),
        ("SEATS_SENTRY_DSN", "http://key@127.0.0.1:1/1", "sentry_sdk", "sentry"),
    ],
)
def test_without_its_package_the_extra_is_named(
    setting: str, value: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("worker.telemetry.setup.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught, telemetry(Settings.load(environ={setting: value}), "web"):
        pass
    assert caught.value.setting == setting
    assert f"seat-reconciler[{extra}]" in str(caught.value)
    assert "key@" not in str(caught.value)


def test_a_dsn_that_is_none_is_told_without_showing_it() -> None:
    settings = Settings.load(environ={"SEATS_SENTRY_DSN": "not-a-dsn-but-perhaps-a-secret"})
    with pytest.raises(ConfigError, match=r"^SEATS_SENTRY_DSN is no Sentry DSN") as caught, telemetry(settings, "web"):
        pass
    assert "perhaps" not in str(caught.value)


def test_a_collector_that_is_away_costs_a_process_that_ends_little() -> None:
    settings = Settings.load(environ={"SEATS_OTEL_ENDPOINT": "http://127.0.0.1:1"})
    started = time.monotonic()
    with telemetry(settings, "web") as spans, spans.span("door", "server"):
        pass
    assert time.monotonic() - started < 8
