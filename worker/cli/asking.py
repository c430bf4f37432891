"""Asking before something is done that can't be undone."""

import sys

from worker.cli.errors import CommandError, UsageProblem
from worker.core.printable import printable


def confirm(question: str, yes: bool) -> None:
    """Return if the answer is yes; ``yes`` is that answer, given beforehand.

    Raises:
        CommandError: it is not, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageProblem("this asks before it goes on, and nobody is here to answer: add --yes if you mean it")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done")
