"""What `seats what-if` prints: what happened, the same replayed, and the other policy, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.cli.consoles import out, plain, print_json, table
from worker.core.figures import Figures, total
from worker.core.policy import Policy
from worker.core.times import DAY, HOUR, MINUTE, SECOND, format_instant
from worker.core.what_if import ASSUMPTIONS, WhatIf

if TYPE_CHECKING:
    from worker.cli.what_if import Answer
    from worker.core.journal import Json

NAMED = 5
UNITS = ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes"), (SECOND, "seconds"))


def print_answer(answer: Answer, changes: dict[str, str], as_json: bool) -> None:
    """The whole answer, as a table for a person or as JSON for a program."""
    rows = list(answer.tenants.values())
    whole = WhatIf(
        total(row.happened for row in rows), total(row.replayed for row in rows), total(row.other for row in rows)
    )
    unlike = [tenant for tenant, row in answer.tenants.items() if row.replayed != row.happened]
    if as_json:
        print_json(_json(answer, whole, unlike))
        return
    console = out()
    name = ", ".join(f"{name} {value}" for name, value in changes.items())
    count = len(rows)
    whose = plain(f"tenant {next(iter(answer.tenants))}") if count == 1 else f"{count:,} tenants"
    console.print(f"{whose}, {format_instant(min(answer.starts.values()))} to {format_instant(answer.until)}\n")
    columns = ("happened", "replayed as it is", name)
    shown = table("", *columns, numbers=columns)
    for title, cells in _rows(whole):
        shown.add_row(title, *cells)
    console.print(shown)
    console.print()
    if unlike:
        more = f" and {len(unlike) - NAMED:,} more" if len(unlike) > NAMED else ""
        who = ", ".join(unlike[:NAMED]) + more
        console.print(
            plain(f"Replayed as it is, the past comes out otherwise for {who}: trust the last column no further.")
        )
    else:
        console.print("Replayed as it is, the past comes out as it was.")
    console.print("Assumed:")
    for sentence in ASSUMPTIONS:
        console.print(f"- {sentence}")


def _rows(whole: WhatIf) -> list[tuple[str, list[str]]]:
    each = (whole.happened, whole.replayed, whole.other)

    def row(title: str, cell: Callable[[Figures], str]) -> tuple[str, list[str]]:
        return title, [cell(figures) for figures in each]

    kinds = sorted({kind for figures in each for kind in figures.alerts})
    return [
        row("checkouts", lambda figures: f"{figures.checkouts:,}"),
        row("seats bought", lambda figures: f"{figures.seats:,}"),
        row("seats at the end", lambda figures: "?" if figures.capacity is None else f"{figures.capacity:,}"),
        row("alerts", lambda figures: f"{sum(figures.alerts.values()):,}"),
        *((f"  {kind.replace('_', ' ')}", [f"{figures.alerts.get(kind, 0):,}" for figures in each]) for kind in kinds),
        row("highest use", lambda figures: "?" if figures.peak is None else f"{figures.peak:.0f} %"),
        _times("time over capacity, {}", [figures.short for figures in each]),
        _times("seats over capacity, seat-{}", [figures.seats_short for figures in each]),
        _times("seats paid for, not needed, seat-{}", [figures.seats_unused for figures in each]),
    ]


def _times(title: str, lengths: list[int]) -> tuple[str, list[str]]:
    """A row of times in the largest unit that leaves one of them at 2 or more."""
    size, unit = next(((size, unit) for size, unit in UNITS if max(lengths) >= 2 * size), UNITS[-1])
    return title.format(unit), [f"{length / size:,.1f}" for length in lengths]


def _json(answer: Answer, whole: WhatIf, unlike: list[str]) -> dict[str, Json]:
    tenants: list[Json] = [
        {"tenantId": tenant, "since": format_instant(answer.starts[tenant]), **_columns(row)}
        for tenant, row in answer.tenants.items()
    ]
    return {
        "since": format_instant(min(answer.starts.values())),
        "until": format_instant(answer.until),
        "policy": _policy(answer.present),
        "otherPolicy": _policy(answer.other),
        **_columns(whole),
        "replayDiffers": [*unlike],
        "assumptions": [*ASSUMPTIONS],
        "tenants": tenants,
    }


def _policy(policy: Policy) -> dict[str, Json]:
    return {
        "mode": policy.mode.value,
        "block": policy.block,
        "headroom": policy.headroom,
        "cap": policy.cap,
        "warnAt": [*policy.warn_at],
    }


def _columns(row: WhatIf) -> dict[str, Json]:
    return {"happened": _figures(row.happened), "replayed": _figures(row.replayed), "whatIf": _figures(row.other)}


def _figures(figures: Figures) -> dict[str, Json]:
    return {
        "checkouts": figures.checkouts,
        "seatsBought": figures.seats,
        "seatsAtTheEnd": figures.capacity,
        "alerts": {**figures.alerts},
        "highestUsePercent": figures.peak,
        "secondsOverCapacity": figures.short / SECOND,
        "seatSecondsOverCapacity": figures.seats_short / SECOND,
        "seatSecondsUnused": figures.seats_unused / SECOND,
    }
