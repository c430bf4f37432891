"""The narrator: says what happens, as it happens, for a person who has never seen any of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Narrator:
    """Plain lines, in colour and with a spinner where there is a terminal for them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        good = console.encoding.lower().startswith("utf")
        self._tick, self._cross = ("✓", "✗") if good else ("ok", "!!")

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        self._console.print(f"[bold]{text}[/]")

    def scene(self, tenant: str, story: str) -> None:
        self._console.print(f"\n[bold cyan]{tenant}[/] {story}")

    def happens(self, text: str) -> None:
        """Something was done."""
        self._line(" ", text)

    def reached(self, text: str) -> None:
        """What was waited for has come."""
        self._line(f"[green]{self._tick}[/]", text)

    def wrong(self, text: str) -> None:
        self._line(f"[red]{self._cross}[/]", f"[red]{text}[/]")

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is waited for, at a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(f"[dim]{text}[/]", spinner_style="dim"):
            yield

    def _line(self, mark: str, text: str) -> None:
        self._console.print(f"[dim]{self.seconds:6.1f} s[/] {mark} {text}")
