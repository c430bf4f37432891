"""Forms: small, urlencoded, and each name once."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from worker.web.bodies import media_type, read_body
from worker.web.problems import Problem

LARGEST_FORM: Final = 1_048_576
MOST_FIELDS: Final = 20


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        Problem: 413 too long, 408 too slow, 415 no form, 400 it can't be read.
    """
    media_type(request, ("application/x-www-form-urlencoded",))
    body = await read_body(request, LARGEST_FORM)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Problem(400, "the form can't be read") from None
