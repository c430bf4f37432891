"""The verdict: what the scenario promised, against what the sandbox counted and the operator API shows."""

from dataclasses import dataclass

from rich.table import Table

from worker.cli.demo.play import Play, StoryBroken
from worker.cli.demo.scenario import NO_UPGRADE, Actor
from worker.cli.loopback import Unanswered


@dataclass(frozen=True, slots=True)
class Result:
    """One tenant's story as it ended. ``problems`` are empty where it ended as promised."""

    actor: Actor
    needed: int | None
    capacity: int | None
    checkout_calls: int | None
    upgrade: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, object]:
        actor = self.actor
        return {
            "tenant": actor.id,
            "story": actor.story,
            "seatsNeeded": {"before": actor.taken, "after": self.needed},
            "capacityUnits": {"before": actor.capacity, "after": self.capacity},
            "checkoutCalls": self.checkout_calls,
            "checkoutCallsExpected": actor.expect.checkout_calls,
            "upgrade": self.upgrade,
            "ending": actor.expect.ending if self.passed else None,
            "passed": self.passed,
            "problems": list(self.problems),
        }


def judge(play: Play, actor: Actor, broken: str | None) -> Result:
    """How a tenant ended; ``broken`` is what went wrong while its story was played."""
    problems = [broken] if broken is not None else []
    try:
        shown, calls = play.tenant(actor.id), play.checkout_calls(actor.id)
        own_capacity = play.sandbox_tenant(actor.id).get("capacity")
    except (StoryBroken, Unanswered) as error:
        return Result(actor, None, None, None, "?", (*problems, f"its end can't be seen: {error}"))
    expect = actor.expect
    upgrade = (shown.get("upgrade") or {}).get("state", NO_UPGRADE)
    for name, found, wanted in (
        ("seats needed", shown.get("seatsNeeded"), expect.needed),
        ("seats paid for", shown.get("capacityUnits"), expect.capacity),
        ("seats paid for, as the sandbox has it", own_capacity, expect.capacity),
        ("checkout calls, as the sandbox counted", calls, expect.checkout_calls),
        ("upgrade", upgrade, expect.upgrade),
    ):
        if found != wanted:
            problems.append(f"{name}: {found}, not {wanted}")
    return Result(actor, shown.get("seatsNeeded"), shown.get("capacityUnits"), calls, upgrade, tuple(problems))


def result_table(results: list[Result]) -> Table:
    """The table that anyone understands."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("workspace", "what happened", "people", "seats", "checkouts", "how it ended", ""):
        table.add_column(name, justify="right" if name in ("checkouts",) else "left")
    for result in results:
        actor = result.actor
        ending = actor.expect.ending if result.passed else "; ".join(result.problems)
        table.add_row(
            f"[bold cyan]{actor.id}[/]",
            actor.story,
            _change(actor.taken, result.needed),
            _change(actor.capacity, result.capacity),
            "?" if result.checkout_calls is None else str(result.checkout_calls),
            ending,
            "[green]PASS[/]" if result.passed else "[bold red]FAIL[/]",
        )
    return table


def _change(before: int, after: int | None) -> str:
    if after is None:
        return f"{before} → ?"
    return str(before) if before == after else f"{before} → {after}"
