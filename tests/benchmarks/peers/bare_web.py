"""The least that a web process in Python can do for an event: Starlette on the same uvicorn, and one Redis call.

It reads no event, checks no token and promises nothing.
"""

import os
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.store.connect import connect


def main() -> None:
    client: Any = connect(os.environ["BENCH_REDIS_URL"])

    async def push(request: Request) -> Response:
        await client.rpush("bare", await request.body())
        return JSONResponse({"accepted": 1}, 202)

    app = Starlette(routes=[Route("/v1/events", push, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=0, access_log=False, ws="none", server_header=False)


if __name__ == "__main__":
    main()
