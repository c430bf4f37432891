"""Control requests: JSON in, JSON out, and errors that say what to change."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..payments import NotPossible
from ..state import SandboxState

MAX_BODY = 16 * 1024 * 1024
DEFAULT_LIMIT = 200
MAX_LIMIT = 1_000

B = TypeVar("B", bound=BaseModel)
ControlHandler = Callable[[SandboxState, Request], Awaitable[Response]]


class ControlError(Exception):
    """A control request that can't be done. ``fields`` says where a body is wrong."""

    def __init__(self, status: int, message: str, fields: list[str] | None = None) -> None:
        self.status = status
        self.fields = fields
        super().__init__(message)

    def answer(self) -> JSONResponse:
        details = {} if self.fields is None else {"fields": self.fields}
        return JSONResponse({"error": str(self)} | details, self.status)


def control(state: SandboxState, handler: ControlHandler) -> Callable[[Request], Awaitable[Response]]:
    """A route of the control API."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(state, request)
        except ControlError as error:
            return error.answer()
        except NotPossible as error:
            return ControlError(409, str(error)).answer()

    return endpoint


async def body_of(request: Request, shape: type[B]) -> B:
    """The body in the shape it must have.

    Raises:
        ControlError: 400 with the wrong fields, 413 too large.
    """
    return checked(await raw_body(request), TypeAdapter(shape))


def checked(raw: bytes, adapter: TypeAdapter[B]) -> B:
    """JSON in the shape it must have.

    Raises:
        ControlError: 400 with the wrong fields.
    """
    try:
        return adapter.validate_json(raw or b"{}")
    except ValidationError as error:
        raise _unfit(error) from None


def checked_values(values: Mapping[str, str], shape: type[B]) -> B:
    """The fields of a form in the shape they must have.

    Raises:
        ControlError: 400 with the wrong fields.
    """
    try:
        return shape.model_validate_strings(values)
    except ValidationError as error:
        raise _unfit(error) from None


def _unfit(error: ValidationError) -> ControlError:
    fields = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()[:20]]
    return ControlError(400, "the input does not fit", fields)


async def raw_body(request: Request) -> bytes:
    """The body within bounds.

    Raises:
        ControlError: 413.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise ControlError(413, f"a body is at most {MAX_BODY:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def limit_of(request: Request) -> int:
    """``?limit=``, at most ``MAX_LIMIT``.

    Raises:
        ControlError: 400, not such a number.
    """
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise ControlError(400, f"limit is a number from 1 to {MAX_LIMIT}")
    return int(text)
