"""Ids in paths. Paths are matched as they were sent, and each id is decoded by itself, so that it may hold a slash."""

from typing import Final
from urllib.parse import quote, unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.types import Scope

LONGEST_ID: Final = 255


class IdConvertor(Convertor[str]):
    """One segment of a path, percent-decoded."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value, errors="surrogateescape")

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("id", IdConvertor())


def match_as_sent(scope: Scope) -> None:
    """Have the router see the path before percent-decoding, where the server tells it."""
    raw = scope.get("raw_path")
    scope["path"] = raw.decode("latin-1") if raw else quote(scope["path"])


def id_in_path(request: Request, name: str) -> str | None:
    """An id of the path; None where it is none that could ever have been stored."""
    value = request.path_params[name]
    assert isinstance(value, str)
    return value if storable(value) else None


def storable(ident: str) -> bool:
    """1 to 255 characters that are UTF-8, free of control characters, and not only spaces: what ``Ident`` takes."""
    fits = 1 <= len(ident) <= LONGEST_ID and not ident.isspace()
    return fits and not any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in ident)
