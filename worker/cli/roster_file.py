"""Files of a tenant's full user list: CSV with a header, or a JSON object a line."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from worker.core.facts import RosterUser
from worker.core.roster import MOST_USERS
from worker.events import Email, Ident, Name, details, field_of, reason_of

LARGEST_FILE: Final = 64 * 1024 * 1024
_COLUMNS: Final = {
    "userid": "userId", "user_id": "userId", "id": "userId", "user": "userId",
    "email": "email", "name": "name",
}  # fmt: skip


class _Row(TypedDict):
    userId: Ident
    email: NotRequired[Email]
    name: NotRequired[Name]


_ROW: Final[TypeAdapter[_Row]] = TypeAdapter(_Row)


class BadRoster(Exception):
    """A file that is no user list. ``problems`` are lines for a person, each naming where."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems[:3]))


def read_roster(path: Path) -> tuple[RosterUser, ...]:
    """Everyone in the file.

    Raises:
        BadRoster: it can't be understood, or names a user twice.
        OSError: it can't be read.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise BadRoster([f"is larger than {LARGEST_FILE // 1024 // 1024} MiB"])
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRoster(["is not UTF-8 text"]) from None
    rows = _json_rows(text) if path.suffix.lower() in (".jsonl", ".ndjson", ".json") else _csv_rows(text)
    users: dict[str, int] = {}
    found: list[RosterUser] = []
    problems: list[str] = []
    for line, row in rows:
        if isinstance(row, str):
            problems.append(f"line {line}: {row}")
            continue
        try:
            checked = _ROW.validate_python({name: value for name, value in row.items() if value not in (None, "")})
        except ValidationError as error:
            problems += [f"line {line}: {field_of(one['loc'])} {reason_of(one)}" for one in details(error)]
            continue
        user = checked["userId"]
        if user in users:
            problems.append(f"line {line}: user {user!r} stands in line {users[user]} already")
            continue
        users[user] = line
        found.append(RosterUser(user, checked.get("email"), checked.get("name")))
    if len(found) > MOST_USERS:
        problems.append(f"names more than {MOST_USERS:,} users")
    if problems:
        raise BadRoster(problems)
    return tuple(found)


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Rows by their line; a text in place of a row says what is wrong with it."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        names = [_COLUMNS.get(name.strip().lower(), "") for name in header]
        if "userId" not in names:
            raise BadRoster(["line 1: no column userId (or user_id, id, user): the first line names the columns"])
        if names.count("userId") > 1:
            raise BadRoster(["line 1: more than one column names the user: keep one of userId, user_id, id, user"])
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                yield reader.line_num, f"has {len(row)} cells where the header has {len(header)}"
                continue
            yield reader.line_num, {name: cell.strip() for name, cell in zip(names, row, strict=True) if name}
    except csv.Error as error:
        raise BadRoster([f"is not CSV that can be read: {error}"]) from None


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "is not JSON"
            continue
        if not isinstance(value, dict):
            yield number, 'must be a JSON object like {"userId": "ada"}'
            continue
        yield number, {known: cell for name, cell in value.items() if (known := _COLUMNS.get(name.lower()))}
