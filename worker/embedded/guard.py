"""What ends the server when the process it belongs to has ended without doing so."""

import contextlib
import os
import subprocess
import weakref
from pathlib import Path
from typing import IO

# The guard: a shell that sleeps in `read` until the pipe from its parent closes, however the parent ends, and then ends
# the server and removes the temporary directory. Linux could do without it (PR_SET_PDEATHSIG), but that signal comes
# when the *thread* that started the server ends, needs Python code between fork and exec, which threads make unsafe,
# and does not exist on macOS. The line "done" tells the guard that all has been cleaned up properly.
_SCRIPT = """
trap '' HUP INT TERM
read -r word
[ "$word" = done ] && exit
kill -TERM "$1" && kill -CONT "$1"
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$1" || break
    sleep 0.1
done
kill -KILL "$1"
rm -rf -- "$2"
"""


class Guard:
    """Ends a server, and removes its temporary directory, when this process ends without having done so."""

    def __init__(self, pid: int, home: Path) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "seats-guard", str(pid), str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._pipe: IO[bytes] | None = self._process.stdin
        _guards.add(self)

    def dismiss(self) -> None:
        """Tell it that its work has been done."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.write(b"done\n")
                self._pipe.close()
            self._pipe = None
        self._process.wait()

    def let_go(self) -> None:
        """Close the pipe without a word."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.close()
            self._pipe = None


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


def _let_go_in_forked_child() -> None:
    # A forked child has the pipes too, and would keep them open, and so the servers running, beyond its parent's end.
    for guard in _guards:
        guard.let_go()


os.register_at_fork(after_in_child=_let_go_in_forked_child)
