"""GET /healthz: the process lives. GET /readyz: it can do its work, and the work gets done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.journal import Json
from worker.core.times import MINUTE, SECOND
from worker.web.answers import answer
from worker.web.problems import Problem
from worker.web.services import Services

CHECK_SECONDS: Final = 2.0
STUCK_AFTER: Final = MINUTE
"""A tenant that has been waiting longer than this: nobody does the work, or not enough do."""

Check = Callable[[], Awaitable[dict[str, Json]]]


def health_routes(services: Services) -> list[Route]:
    """Both routes; they ask nobody who they are."""

    async def healthz(_: Request) -> Response:
        return answer({"status": "ok"})

    async def readyz(_: Request) -> Response:
        checks: dict[str, Check] = {
            "broker": lambda: _reachable(services.ping_broker),
            "state": lambda: _reachable(services.store.ping),
            "backlog": lambda: _backlog(services),
        }
        results = await asyncio.gather(*(_checked(name, check, services) for name, check in checks.items()))
        told: dict[str, Json] = dict(zip(checks, results, strict=True))
        failed = [name for name, result in zip(checks, results, strict=True) if not result["ok"]]
        if failed:
            members: dict[str, Json] = {"ready": False, "checks": told}
            detail = f"not ready: {', '.join(failed)}"
            raise Problem(503, detail, kind="not-ready", headers={"Retry-After": "2"}, members=members)
        return answer({"ready": True, "checks": told})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _checked(name: str, check: Check, services: Services) -> dict[str, Json]:
    """A check's result; one that fails or takes too long is not ok. Why stands in the log, not in a public answer."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        services.log.warning("a readiness check took too long", check=name, seconds=CHECK_SECONDS)
        return {"ok": False, "reason": f"no answer within {CHECK_SECONDS:.0f} seconds"}
    except Exception as error:
        services.log.warning("a readiness check failed", check=name, error=str(error))
        return {"ok": False, "reason": "can't be used; the log says why"}


async def _reachable(ping: Callable[[], Awaitable[None]]) -> dict[str, Json]:
    await ping()
    return {"ok": True}


async def _backlog(services: Services) -> dict[str, Json]:
    backlog = await services.store.backlog()
    result: dict[str, Json] = {
        "ok": backlog.oldest <= STUCK_AFTER,
        "due": backlog.due,
        "leased": backlog.leased,
        "oldestSeconds": round(backlog.oldest / SECOND, 3),
    }
    if backlog.oldest > STUCK_AFTER:
        result["reason"] = "work is stuck: do the worker and the scheduler run?"
    return result
