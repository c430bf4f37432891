"""A child that ends with its parent, however that one ends.

The parent holds the other end of the child's standard input and never writes to it. When the parent is gone, even by
SIGKILL, the system closes that end, and the child stops as if it had been sent SIGTERM. (Linux's PR_SET_PDEATHSIG would
fire when the parent's *thread* ends, and macOS has nothing like it.)
"""

import os
import signal
import sys
import threading
import time

WITH_PARENT = "--with-parent"
"""The first argument of a child that is to end with its parent; no option of any command."""

STOP_SECONDS = 50.0
"""How long a child may take to stop cleanly once its parent is gone."""


def end_with_parent() -> None:
    """Have this process stopped when its standard input closes."""
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
    threading.Thread(target=_watch, args=(descriptor,), name="parent", daemon=True).start()


def _watch(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os._exit(1)
