"""Request bodies: bounded in size, in time, and in what they may be."""

import asyncio
from collections.abc import Collection

from starlette.requests import Request

from worker.web.problems import Problem

BODY_SECONDS = 60.0
"""How long a body may take to arrive."""

READ_TO_BE_POLITE = 16 * 1_048_576
"""Bytes of a body that is too large that are read all the same, so that its sender gets to read why it was refused."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of ``limit`` bytes at most. What is over the limit is not kept.

    Raises:
        Problem: 413 too long, 408 too slow, 415 compressed.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        detail = "send the body as it is, without a Content-Encoding: nothing is unpacked here"
        raise Problem(415, detail, headers={"Accept-Encoding": "identity"})
    declared = request.headers.get("content-length", "")
    size = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0
    at_most = max(2 * limit, READ_TO_BE_POLITE)
    if size > limit and ("expect" in request.headers or size > at_most):
        raise _too_large(limit, close=True)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > at_most:
                    raise _too_large(limit, close=True)
                if size <= limit:
                    chunks.append(chunk)
    except TimeoutError:
        late = f"the body did not arrive within {BODY_SECONDS:.0f} seconds"
        raise Problem(408, late, headers={"Connection": "close"}) from None
    if size > limit:
        # Only now: many clients send all of a body before they read, and a connection that is closed on them meanwhile
        # looks like a network error, after which they would send it again.
        raise _too_large(limit)
    return b"".join(chunks)


def media_type(request: Request, accepted: Collection[str]) -> str:
    """The content type without its parameters, in lower case.

    Raises:
        Problem: 415 it is none of the accepted ones, or in another charset than UTF-8.
    """
    said = request.headers.get("content-type", "")
    if said in accepted:
        return said
    kind, *parameters = [part.strip().lower() for part in said.split(";")]
    charsets = [part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")]
    if kind not in accepted or any(charset not in ("utf-8", "utf8", "us-ascii") for charset in charsets):
        raise Problem(415, f"send the Content-Type {' or '.join(accepted)}, in UTF-8")
    return kind


def _too_large(limit: int, *, close: bool = False) -> Problem:
    headers = {"Connection": "close"} if close else {}
    return Problem(413, f"the body is larger than {limit // 1_048_576} MiB", headers=headers)
