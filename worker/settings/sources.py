"""Where settings come from: the environment, a TOML file, and files that hold one secret each.

Every value keeps the name the user gave it under, so that an error can say it. Names nobody knows are errors: a
misspelt setting that is silently left out is worse than one that stops the start.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.settings.errors import ConfigError

PREFIX = "SEATS_"

_SECRET_FILE_LIMIT = 64 * 1024
_TOML_LIMIT = 1024 * 1024

# Kubernetes tells every pod about a Service called "seats" or "seats-web" through names like ours. They are not.
_SERVICE_LINK = re.compile(r"SEATS_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)")
_SERVICE_LINK_PORT = re.compile(r"(?:tcp|udp|sctp)://\S*")


@dataclass(frozen=True, slots=True)
class Given:
    """A value (kept out of every repr) and the name it was given under."""

    name: str
    value: object = field(repr=False)


def environment_name(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def read_environment(environ: Mapping[str, str], names: Iterable[str], secrets: Iterable[str]) -> dict[str, Given]:
    """The settings in the environment. An empty variable counts as not set.

    Raises:
        ConfigError: a ``SEATS_`` name that is no setting, a secret given twice, a secret's file that cannot be read.
    """
    entries = {
        name: value
        for name, value in environ.items()
        if name.startswith(PREFIX)
        and not _SERVICE_LINK.fullmatch(name)
        and not (name.endswith("_PORT") and _SERVICE_LINK_PORT.fullmatch(value))
    }
    written = {environment_name(name): name for name in names}
    secret_files = {environment_name(name) + "_FILE": name for name in secrets}
    return _read(entries, written, secret_files, place="")


def read_toml(path: Path, names: Iterable[str], secrets: Iterable[str]) -> dict[str, Given]:
    """The settings in a TOML file: flat keys, named like the variables without the prefix, in lower case.

    Raises:
        ConfigError: the file cannot be read or is not TOML, a key that is no setting, a secret given twice, a secret's
            file that cannot be read.
    """
    shown = str(path)
    try:
        content = path.read_bytes()[: _TOML_LIMIT + 1]
        text = content.decode()
        entries = tomllib.loads(text)
    except OSError as error:
        remedy = "give --config a TOML file that this user may read"
        raise ConfigError(shown, f"cannot be read ({error.strerror})", remedy) from None
    except UnicodeDecodeError:
        raise ConfigError(shown, "is not UTF-8 text", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line \d+, column \d+|at end of document", str(error))
        problem = f"is not valid TOML ({where[0] if where else 'somewhere'})"
        raise ConfigError(shown, problem, 'write lines like name = "value"') from None
    except (ValueError, RecursionError):
        problem = "holds a number of thousands of digits, or thousands of brackets"
        raise ConfigError(shown, problem, 'write lines like name = "value"') from None
    written = {name: name for name in names}
    secret_files = {f"{name}_file": name for name in secrets}
    return _read(entries, written, secret_files, place=f" in {shown}")


def _read(
    entries: Mapping[str, object], written: Mapping[str, str], secret_files: Mapping[str, str], *, place: str
) -> dict[str, Given]:
    given: dict[str, Given] = {}
    for entry, value in entries.items():
        name = written.get(entry) or secret_files.get(entry)
        if name is None:
            raise ConfigError(entry + place, "is no setting", _nearest(entry, [*written, *secret_files]))
        if value == "":
            continue
        if name in given:
            problem = f"says the same as {given[name].name}"
            raise ConfigError(entry + place, problem, "give the secret or the file that holds it, not both")
        given[name] = Given(entry + place, _secret_in(entry + place, value) if entry in secret_files else value)
    return given


def _nearest(entry: str, known: list[str]) -> str:
    # Compared without the prefix, which all of them share and which would make any two look alike.
    bare = {name.removeprefix(PREFIX).lower(): name for name in known}
    near = difflib.get_close_matches(entry.removeprefix(PREFIX).lower(), bare, n=1)
    return f"did you mean {bare[near[0]]}? Otherwise remove it" if near else "remove it"


def _secret_in(name: str, path: object) -> str:
    if not isinstance(path, str):
        raise ConfigError(name, "must be the path of a file", "put it in quotes")
    try:
        with open(path, "rb") as file:
            content = file.read(_SECRET_FILE_LIMIT + 1)
        text = content.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        remedy = "name a file that holds the secret and that this user may read"
        raise ConfigError(name, f"names a file that cannot be read ({why})", remedy) from None
    if not text.strip():
        raise ConfigError(name, "names an empty file", "write the secret into it")
    if len(content) > _SECRET_FILE_LIMIT:
        raise ConfigError(name, "names a file of more than 64 KiB", "name a file that holds the secret alone")
    return text
