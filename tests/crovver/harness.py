"""A client against a raw server, impatient enough for tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from worker.crovver.calls import Call, Retries
from worker.crovver.client import CrovverClient
from worker.crovver.credentials import Credentials, SecretKey
from worker.crovver.errors import CrovverError
from worker.crovver.transport import Timeouts

from .raw_server import RawServer, Step, serving

Result = TypeVar("Result")

KEY = "sk_test_51TopSecret"
IMPATIENT = Timeouts(connect=1, pool=0.2, read=0.2, checkout=0.2, read_total=0.5, checkout_total=0.5)
FAST = Retries(wait=0.0, jitter=0.0, wait_max=0.0, patience=0.5)
FIXTURES = Path(__file__).parent / "fixtures"


def fixture(name: str) -> Any:
    """A seed's own example."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


class CountingLimiter:
    def __init__(self) -> None:
        self.acquired = 0

    async def acquire(self) -> None:
        self.acquired += 1


class Scene:
    """One server, one client, and what was seen of both."""

    def __init__(self, server: RawServer, client: CrovverClient, limiter: CountingLimiter, calls: list[Call]) -> None:
        self.server = server
        self.client = client
        self.limiter = limiter
        self.calls = calls


def play(
    script: tuple[Step, ...],
    act: Callable[[Scene], Awaitable[Result]],
    *,
    credentials: Credentials | None = None,
    timeouts: Timeouts = IMPATIENT,
    retries: Retries = FAST,
    max_concurrency: int = 16,
) -> Result:
    """Run ``act`` against a server that follows ``script``."""

    async def run() -> Result:
        async with serving(*script) as server:
            limiter, calls = CountingLimiter(), list[Call]()
            client = CrovverClient(
                base_url=server.url,
                credentials=credentials or SecretKey(KEY),
                limiter=limiter,
                max_concurrency=max_concurrency,
                timeouts=timeouts,
                retries=retries,
                on_call=calls.append,
            )
            try:
                return await act(Scene(server, client, limiter, calls))
            finally:
                await client.aclose()

    return asyncio.run(run())


def failure(awaitable_of: Callable[[], Awaitable[object]]) -> Awaitable[CrovverError]:
    """The documented error a call ends with."""

    async def run() -> CrovverError:
        try:
            result = await awaitable_of()
        except CrovverError as error:
            return error
        raise AssertionError(f"no error, but {result!r}")

    return run()
