"""HTTP to Crovver, and the one module of the project that knows httpx.

It promises one of three ends for every exchange: an ``Answer`` (its status is certain, its body perhaps flawed),
``Unsent`` (the request provably never left) or ``Cut`` (it may have arrived). Nothing is ever sent twice from here.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import httpx

from worker.crovver.bodies import MAX_BODY, BodyFlaw, Inflater
from worker.crovver.retry_after import retry_after

# httpcore raises these while it waits for a connection, connects or shakes hands: before the first byte of a request.
# Everything else, a write error included, may come after Crovver has read it all.
_PROVABLY_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``*_total`` bound a whole exchange, so that an answer that drips byte by byte ends too."""

    connect: float = 5.0
    pool: float = 5.0
    read: float = 15.0
    checkout: float = 30.0
    read_total: float = 30.0
    checkout_total: float = 60.0


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. ``flaw`` says why the body can't be used, None where it arrived whole."""

    status: int
    body: bytes
    flaw: str | None = None
    retry_after: int | None = None


class Unsent(Exception):
    """The request never left."""


class Cut(Exception):
    """The request may have arrived; no status came back."""


class Transport:
    """Two httpx clients for one base URL: reads share kept-alive connections, every write gets a fresh one.

    A server may close a kept-alive connection in the very moment a request is written to it. For a read that costs a
    retry; for a checkout it would leave an upgrade in the dark, so a POST pays for its own connection and such a
    race cannot happen.

    Raises:
        ValueError: the base URL is not an absolute http(s) URL without credentials, query and fragment.
    """

    def __init__(self, *, base_url: str, headers: Mapping[str, str], timeouts: Timeouts, max_connections: int) -> None:
        self._base = _checked(base_url)
        self._timeouts = timeouts
        # Loading trust stores takes a while, and a plain http address never shakes hands.
        context = _tls() if self._base.startswith("https:") else False
        everywhere = {"accept": "application/json", "accept-encoding": "gzip", "user-agent": "seat-reconciler"}

        def client(read: float, limits: httpx.Limits, extra: Mapping[str, str]) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                headers={**everywhere, **headers, **extra},
                # One tenant's cookies must not travel with the next tenant's call.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                verify=context,
                http2=False,
                follow_redirects=False,
                trust_env=False,
                limits=limits,
                timeout=httpx.Timeout(connect=timeouts.connect, pool=timeouts.pool, read=read, write=read),
            )

        self._reads = client(
            timeouts.read,
            httpx.Limits(
                max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=5.0
            ),
            {},
        )
        self._writes = client(
            timeouts.checkout,
            httpx.Limits(max_connections=max_connections, max_keepalive_connections=0),
            {"connection": "close", "content-type": "application/json"},
        )

    async def get(self, target: str) -> Answer:
        """Read ``target`` (path and query).

        Raises:
            Unsent, Cut: no status came back.
        """
        return await self._exchange(self._reads, "GET", target, None, self._timeouts.read_total)

    async def post(self, target: str, body: bytes) -> Answer:
        """Send JSON to ``target``, once.

        Raises:
            Unsent, Cut: no status came back.
        """
        return await self._exchange(self._writes, "POST", target, body, self._timeouts.checkout_total)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._reads.aclose()
        await self._writes.aclose()

    async def _exchange(
        self, client: httpx.AsyncClient, method: str, target: str, body: bytes | None, total: float
    ) -> Answer:
        head: httpx.Response | None = None
        unsent: str | None = None
        flaw = ""
        try:
            async with (
                asyncio.timeout(total),
                client.stream(method, self._base + target, content=body) as response,
            ):
                head = response
                return Answer(response.status_code, await _read(response), None, _wait(response))
        except _PROVABLY_UNSENT as error:
            unsent = _why_unsent(error)
        except BodyFlaw as error:
            flaw = error.reason
        except httpx.TimeoutException:
            flaw = "nothing more arrived in time"
        except TimeoutError:
            flaw = f"it took longer than {total:g} s in all"
        except httpx.RequestError:
            flaw = "the connection was cut before the answer was complete"
        except Exception as error:  # after a POST, whatever it was, the outcome is unknown
            flaw = f"the exchange broke off ({type(error).__name__})"
        # Raised out here so that no httpx exception, whose request holds the key, stays attached as a context.
        if unsent is not None:
            raise Unsent(unsent)
        if head is not None:
            return Answer(head.status_code, b"", flaw, _wait(head))
        raise Cut(flaw)


async def _read(response: httpx.Response) -> bytes:
    inflater = Inflater(response.headers.get("content-encoding", ""), limit=MAX_BODY)
    parts = [inflater.feed(raw) async for raw in response.aiter_raw()]
    inflater.finish()
    return b"".join(parts)


def _wait(response: httpx.Response) -> int | None:
    return retry_after(response.headers.get("retry-after"), date=response.headers.get("date"))


def _why_unsent(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "connecting took too long"
    if isinstance(error, httpx.PoolTimeout):
        return "no connection became free in time"
    # httpx says "All connection attempts failed"; the reason a person can act on lies at the end of the chain.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"the TLS handshake failed: {getattr(cause, 'verify_message', None) or cause.reason or 'no reason'}"
        if isinstance(cause, socket.gaierror):
            return "the host name of its base URL could not be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return "no connection could be made"


def _tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    # And the system's own store or SSL_CERT_FILE: a self-hosted Crovver may have a private authority.
    context.load_default_certs()
    return context


def _checked(base_url: str) -> str:
    rule = "the Crovver base URL must look like https://app.crovver.com, without user name, query and fragment"
    try:
        parts = urlsplit(base_url)
        sound = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        raise ValueError(rule) from None
    if not sound or not base_url.isascii() or not base_url.isprintable() or " " in base_url:
        raise ValueError(rule)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or "?" in base_url or "#" in base_url:
        raise ValueError(rule)
    return base_url.rstrip("/")
