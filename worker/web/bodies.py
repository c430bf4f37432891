"""Request bodies: bounded in size, in time, and in what they may be."""

import asyncio
from collections.abc import Collection

from starlette.requests import Request

from worker.web.problems import Problem

BODY_SECONDS = 60.0
"""How long a body may take to arrive."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of ``limit`` bytes at most. A longer one is refused as soon as that is known; its rest is not kept.

    Raises:
        Problem: 413 too long, 408 too slow.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(request, limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(request, limit)
                chunks.append(chunk)
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    return b"".join(chunks)


def media_type(request: Request, accepted: Collection[str]) -> str:
    """The content type without its parameters, in lower case.

    Raises:
        Problem: 415 it is none of the accepted ones, or in another charset than UTF-8.
    """
    kind, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charsets = [part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")]
    if kind not in accepted or any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
        raise Problem(415, f"send the Content-Type {' or '.join(accepted)}, in UTF-8")
    return kind


def _too_large(request: Request, limit: int) -> Problem:
    headers = {}
    if "expect" in request.headers:
        # Whether the body still comes is up to the client; on a connection that ends here it does not matter.
        headers["Connection"] = "close"
    return Problem(413, f"the body is larger than {limit // 1_048_576} MiB", headers=headers)
