"""Answers: JSON, never cached (they may hold payable links), never sniffed."""

import json
from collections.abc import Mapping

from starlette.responses import Response

from worker.core.journal import Json

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def answer(
    content: Mapping[str, Json],
    status: int = 200,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON answer."""
    body = _ENCODER.encode(content).encode("ascii")
    return Response(body, status, {**_HEADERS, **(headers or {})}, media_type)
