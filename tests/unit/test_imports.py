"""What each entry does without: modules that are slow to import, or large, and of no use to it."""

import subprocess
import sys

import pytest

SLOW = (
    "apprise", "dramatiq", "httpx", "jinja2", "opentelemetry.exporter", "prometheus_client", "pydantic", "redis",
    "rich", "sentry_sdk", "starlette", "stripe", "structlog", "tenacity", "typer", "uvicorn", "worker.actors",
    "worker.crovver",    "worker.sandbox", "worker.settings", "worker.store", "worker.web",
)  # fmt: skip
"""By the beginning of their names."""

NEEDS = {
    # A host app imports this at its own start.
    "worker.publisher": {"pydantic", "redis", "worker.store"},
    "worker.cli.main": set(),
    # `seats --help`
    "worker.cli.app": {"typer"},
    "worker.actors.scheduler": {
        "dramatiq", "pydantic", "redis", "rich", "structlog", "worker.actors", "worker.settings", "worker.store",
    },
    "worker.actors.process": {
        "dramatiq", "httpx", "pydantic", "redis", "rich", "structlog", "tenacity", "worker.actors",
    "worker.crovver",        "worker.settings", "worker.store",
    },
    "worker.web.server": {
        "jinja2", "prometheus_client", "pydantic", "redis", "rich", "starlette", "structlog", "uvicorn",
        "worker.settings", "worker.store", "worker.web",
    },
}  # fmt: skip
"""Which of them an entry may import. structlog imports rich by itself where that is installed."""


@pytest.mark.parametrize("entry", NEEDS)
def test_an_entry_imports_nothing_slow_that_it_does_not_need(entry: str) -> None:
    code = f"import {entry}, sys; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert entry in modules
    found = {slow for slow in SLOW if any(name == slow or name.startswith(f"{slow}.") for name in modules)}
    assert found <= NEEDS[entry]
