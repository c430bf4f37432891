"""One call of a public API, read within bounds."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request

MAX_BODY = 1024 * 1024
MAX_SUMMARY = 300
_TENANT_NAMES = ("requestingEntityId", "externalTenantId", "tenantId")


@dataclass(frozen=True, slots=True)
class PublicCall:
    """A call, read. ``body`` is the JSON object that was sent, empty if there was none or it was not one."""

    method: str
    query: QueryParams
    headers: Headers
    body: Mapping[str, object]
    path: Mapping[str, str]
    base_url: str

    @property
    def tenant(self) -> str | None:
        """The tenant it names, by whichever of the three names."""
        named = (self.query.get(name) or self.body.get(name) for name in _TENANT_NAMES)
        return next((value for value in named if isinstance(value, str) and value), None)

    @property
    def summary(self) -> str:
        """What was asked for, in short, without any key."""
        public = "&".join(f"{name}={value}" for name, value in self.query.multi_items() if name != "publicKey")
        text = json.dumps(dict(self.body), ensure_ascii=False) if self.body else public
        return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"


async def read_call(request: Request, public_base_url: str | None) -> PublicCall | None:
    """Read a request; None if its body is larger than ``MAX_BODY`` or never came whole."""
    raw = await _read(request)
    if raw is None:
        return None
    body: object = None
    with suppress(ValueError, RecursionError):
        body = json.loads(raw) if raw else None
    return PublicCall(
        method=request.method,
        query=request.query_params,
        headers=request.headers,
        body=body if isinstance(body, dict) else {},
        path=request.path_params,
        base_url=(public_base_url or str(request.base_url)).rstrip("/"),
    )


async def _read(request: Request) -> bytes | None:
    chunks, size = [], 0
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                return None
            chunks.append(chunk)
        return b"".join(chunks)
    return None
