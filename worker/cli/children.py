"""How another `seats` process is started: its command line and its environment."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from worker.cli.parent import WITH_PARENT

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ROOT = Path(__file__).resolve().parents[2]


def command_line(arguments: Sequence[str]) -> list[str]:
    """This very program with other arguments, to be ended with this process.

    ``-P`` keeps the working directory, which may hold a package of the same name, off the module path.
    """
    return [sys.executable, "-P", "-m", "worker.cli", WITH_PARENT, *arguments]


def inherited(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with some changes."""
    return {**_findable(os.environ.copy()), **changes}


def from_scratch(settings: Mapping[str, str]) -> dict[str, str]:
    """An environment that holds nothing of the user's settings: the system's basics and what is given."""
    return {**_findable({name: os.environ[name] for name in _KEPT if name in os.environ}), **settings}


def _findable(environment: dict[str, str]) -> dict[str, str]:
    """The environment in which a child imports the same package, in a checkout that is not installed as well."""
    environment["PYTHONUNBUFFERED"] = "1"
    if _ROOT.name not in ("site-packages", "dist-packages"):
        others = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *others])
    return environment


def shell_name() -> str:
    """How a person at a shell starts this program: `seats`, or as a module where it is not on the PATH."""
    import shutil

    return "seats" if shutil.which("seats") else f"{sys.executable} -m worker.cli"
