"""Commands in this very process, and a whole deployment for those that need somebody at work."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.canaries import Where
from tests.watch import saw
from worker.cli.demo.stage import Stage
from worker.cli.loopback import call
from worker.cli.main import main
from worker.cli.stopping import StopRequests
from worker.store.redis_store import RedisStore

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, and an environment without settings."""
    import os

    for name in list(os.environ):
        # The width of a terminal that pytest-xdist tells its workers of is none of theirs.
        if name.startswith("SEATS_") or name == "COLUMNS":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        saw(Where.COMMAND, f"seats {' '.join(arguments)}", said.out + said.err)
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture
def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server with nothing on it, as the environment names it."""
    monkeypatch.setenv("SEATS_REDIS_URL", redis_url)
    return redis_url


class _Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the next command meet somebody at the terminal who gives this answer."""
    return lambda answer: monkeypatch.setattr("sys.stdin", _Terminal(f"{answer}\n"))


def with_state(url: str, work: Callable[[RedisStore], Awaitable[R]]) -> R:
    """Something done with the state."""

    async def whole() -> R:
        store = RedisStore.from_url(url)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(whole())


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything at work, for one test's own tenants."""

    stage: Stage

    @property
    def redis_url(self) -> str:
        return self.stage.redis_url

    def tenant(self, tenant: str, **settings: object) -> None:
        """Have a tenant in the sandbox."""
        assert call("PUT", f"{self.stage.sandbox}/sandbox/tenants/{tenant}", settings).status == 200

    def shown(self, tenant: str) -> dict[str, Any]:
        """A tenant as the operator API has it; empty while unknown."""
        answer = call("GET", f"{self.stage.web}/v1/tenants/{tenant}", token=self.stage.operator_token)
        return answer.body if answer.status == 200 else {}


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with StopRequests() as requests, Stage(0.05, requests) as running:
        yield running


@pytest.fixture
def deployment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A web, a worker, a scheduler and a sandbox; commands find their Redis in the environment."""
    monkeypatch.setenv("SEATS_REDIS_URL", stage.redis_url)
    monkeypatch.setenv("SEATS_SETTLE_SECONDS", "0.05")
    return Deployment(stage)
