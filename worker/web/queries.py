"""Query parameters of lists."""

import re
from enum import StrEnum
from typing import Final, TypeVar

from starlette.requests import Request

from worker.web.paths import storable
from worker.web.problems import Problem

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200

# Bounded so that what they name fits the 64-bit numbers of Redis.
_UPGRADE_CURSOR: Final = re.compile(r"[0-9]{1,16}-[0-9]{1,9}")
# Before 0-0 there is nothing, and Redis says so with an error.
_JOURNAL_CURSOR: Final = re.compile(r"(?!0+-0+\Z)[0-9]{1,19}-[0-9]{1,19}")
_DEAD_LETTER_CURSOR: Final = re.compile(r"[0-9]{1,16}-.{1,512}", re.DOTALL)

Choice = TypeVar("Choice", bound=StrEnum)


def limit(request: Request) -> int:
    """``limit``: how many rows a page has."""
    text = request.query_params.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= LARGEST_LIMIT:
        raise bad_parameter("limit", f"a whole number from 1 to {LARGEST_LIMIT}")
    return int(text)


def choice(request: Request, name: str, choices: type[Choice]) -> Choice | None:
    """A parameter that is one of a few words; None where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError:
        raise bad_parameter(name, f"one of {', '.join(choices)}") from None


def flag(request: Request, name: str) -> bool:
    """A parameter that is true or false; false where it is not given."""
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise bad_parameter(name, "true or false")
    return text in ("true", "1")


def tenant_cursor(request: Request) -> str | None:
    """``cursor`` of a list of tenants: the last id of the page before."""
    text = request.query_params.get("cursor")
    if text is not None and not storable(text):
        raise bad_parameter("cursor", "the next of an earlier answer")
    return text


def upgrade_cursor(request: Request) -> str | None:
    return _cursor(request, _UPGRADE_CURSOR)


def journal_cursor(request: Request) -> str | None:
    return _cursor(request, _JOURNAL_CURSOR)


def dead_letter_cursor(request: Request) -> str | None:
    return _cursor(request, _DEAD_LETTER_CURSOR)


def _cursor(request: Request, form: re.Pattern[str]) -> str | None:
    text = request.query_params.get("cursor")
    if text is not None and not form.fullmatch(text):
        raise bad_parameter("cursor", "the next of an earlier answer")
    return text


def bad_parameter(name: str, wanted: str) -> Problem:
    return Problem(
        400, f"the query parameter {name} must be {wanted}", kind="bad-parameter", members={"parameter": name}
    )
