"""Findings on the screen, in a pipe, as JSON."""

from collections.abc import Sequence

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.cli.consoles import out, plain, print_json
from worker.cli.doctor.findings import Finding, Verdict

_COLOURS = {Verdict.GOOD: "green", Verdict.BETTER: "yellow", Verdict.FIX: "bold red"}


def show(findings: Sequence[Finding]) -> None:
    """A table in a terminal; into a pipe or a file, one line a finding."""
    console = out()
    if console.is_terminal:
        shown = Table(box=None, show_header=False, pad_edge=False)
        for name in ("verdict", "subject"):
            shown.add_column(name, no_wrap=True)
        shown.add_column("seen", overflow="fold")
        for one in findings:
            seen = plain(one.seen)
            if one.remedy:
                seen = Text.assemble(seen, "\n", plain(f"→ {one.remedy}", "italic"))
            shown.add_row(Text(one.verdict, _COLOURS[one.verdict]), plain(one.subject), seen)
        console.print(Padding(shown, (0, 0, 1, 0)))
    else:
        for one in findings:
            remedy = f" → {one.remedy}" if one.remedy else ""
            console.print(plain(f"{one.verdict}: {one.subject}: {one.seen}{remedy}"), soft_wrap=True)
    counts = [sum(one.verdict is verdict for one in findings) for verdict in reversed(Verdict)]
    console.print(", ".join(f"{count} {verdict}" for count, verdict in zip(counts, reversed(Verdict), strict=True)))


def show_json(findings: Sequence[Finding]) -> None:
    """A list, a finding an object."""
    print_json(
        [
            {"subject": one.subject, "verdict": one.verdict.value, "seen": one.seen, "remedy": one.remedy or None}
            for one in findings
        ]
    )
