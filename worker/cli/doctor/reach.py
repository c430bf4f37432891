"""Whether a TCP port can be reached, and in plain words why not."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

CONNECT_SECONDS = 4.0


async def unreachable(host: str, port: int) -> str | None:
    """Connect and hang up. Why that failed; None where it worked."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, UnicodeError) as error:
        return why(error) or "no connection could be made"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


def why(error: BaseException) -> str | None:
    """What broke a connection, found in an error or behind it; None where nothing there tells."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError):
            said = getattr(cause, "verify_message", None) or cause.reason or "no reason given"
            return f"the TLS handshake failed ({said})"
        if isinstance(cause, socket.gaierror | UnicodeError):
            return "the host name can't be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    return "connecting took too long" if any(isinstance(cause, TimeoutError) for cause in _chain(error)) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
