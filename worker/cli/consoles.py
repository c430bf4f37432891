"""Where a command's output goes: tables and lines for a person, JSON for a program."""

import json
import os
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.core.printable import printable

_WIDE = 1_000


def out() -> Console:
    """Standard output. Into a pipe or a file it is wide, so that nothing is cut off to fit a screen nobody has."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error: progress and remarks."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(stderr=stderr, width=width, highlight=False)


def plain(text: str, style: str = "") -> Text:
    """Text from outside: no markup in it counts, and no control character of it reaches the terminal."""
    return Text(printable(text), style=style)


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns of ``numbers`` are aligned to the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made


def print_link(about: str, link: str) -> None:
    """A link in one piece, so that it can be copied."""
    out().print(plain(f"{about}: {link}"), soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON document on standard output, with the same characters escaped as in ``plain``."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))
