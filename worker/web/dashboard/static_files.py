"""The style sheet and the scripts: a handful of files, read once, addressed by what is in them."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES: Final = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "htmx.LICENSE.txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    mark: str


@cache
def _files() -> dict[str, _File]:
    folder = files("worker.web.dashboard").joinpath("static")
    bodies = {name: folder.joinpath(name).read_bytes() for name in _TYPES}
    return {name: _File(body, _TYPES[name], hashlib.sha256(body).hexdigest()[:16]) for name, body in bodies.items()}


def address(name: str) -> str:
    """Where a file is; another address once it has changed, so that browsers may keep it."""
    return f"/static/{name}?v={_files()[name].mark}"


async def _serve(request: Request) -> Response:
    found = _files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    kept = "public, max-age=31536000, immutable" if request.query_params.get("v") == found.mark else "no-cache"
    return Response(found.body, headers={"Cache-Control": kept, "ETag": f'"{found.mark}"'}, media_type=found.media_type)


ROUTES: Final = [Route("/static/{name}", _serve, methods=["GET"])]
"""They hold no secret, and the sign-in page needs them: nobody is asked who they are."""
