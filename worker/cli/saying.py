"""Single lines of a command's output, for whose sake nothing heavy is loaded."""

import sys

from worker.core.printable import printable


def say(line: str) -> None:
    """A line on standard output. Ids and names in it may be anybody's: none can steer a terminal or look like more."""
    print(printable(line))


def remark(line: str) -> None:
    """A line on standard error, as safe."""
    print(printable(line), file=sys.stderr, flush=True)
