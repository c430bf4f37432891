"""The answers of things that are broken."""

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from .faults import Fault, FaultKind

_GATEWAY_PAGE = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body><h1>502 Bad Gateway</h1></body>\n</html>\n"


def answer_of(fault: Fault) -> Response:
    """What the caller gets instead of the real answer."""
    match fault.kind:
        case FaultKind.TOO_MANY:
            after = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            return JSONResponse({"success": False, "error": "Too many requests"}, fault.status or 429, after)
        case FaultKind.HTML:
            return HTMLResponse(_GATEWAY_PAGE, fault.status or 502)
        case FaultKind.REDIRECT:
            return RedirectResponse("/sign-in", fault.status or 302)
        case FaultKind.GARBAGE:
            return Response('{"success": true, "data": {"prorationId', fault.status or 200, None, "application/json")
        case FaultKind.EMPTY:
            return Response(b"", fault.status or 200)
        case _:
            error = {"message": "Internal server error", "code": "INTERNAL_ERROR"}
            return JSONResponse({"success": False, "data": None, "error": error}, fault.status or 500)
