"""`seats demo`: the whole loop, live, with nothing installed or configured."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.children import shell_name
from worker.cli.common import Common
from worker.cli.errors import CommandError, Interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from worker.cli.demo.narrator import Narrator
    from worker.cli.demo.scenario import Scenario
    from worker.cli.demo.stage import Stage
    from worker.cli.demo.verdict import Result


def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; the story goes to standard error.")
    ] = False,
) -> None:
    """See the whole loop at work, with nothing to set up.

    Plays a scenario on real processes, an embedded Valkey and a make-believe Crovver, shows it as it happens, and
    judges its end: exit code 1 if anything ended otherwise than it should. Reads no settings, and is over in a minute.
    """
    from worker.cli.consoles import err, out
    from worker.cli.demo.narrator import Narrator
    from worker.cli.demo.scenario import read_scenario
    from worker.cli.demo.stage import Stage
    from worker.cli.local import ended_line
    from worker.cli.stopping import StopRequests
    from worker.cli.supervisor import ChildEnded
    from worker.embedded import find_binary
    from worker.settings import shipped_config

    scenario = read_scenario(shipped_config("demo.toml"))
    find_binary()
    console, log = (err() if as_json else out()), err()
    narrator = Narrator(console)

    def show(name: str, line: str) -> None:
        log.print(f"{name}: {line}", markup=False, style="dim")

    with StopRequests() as requests:
        stage = Stage(scenario.settle_seconds, requests, show if Common.of(context).debug else None)
        try:
            with ExitStack() as running:
                narrator.title(scenario.title)
                with narrator.waiting("starting Valkey, sandbox, web, worker and scheduler …"):
                    running.enter_context(stage)
                passed = _perform(stage, scenario, narrator, console, as_json)
                if keep:
                    _keep(stage, console)
                with narrator.waiting("stopping …"):
                    running.close()
        except ChildEnded as ended:
            raise CommandError(ended_line(ended, stage.last_lines(ended.name))) from ended
    if not passed:
        raise typer.Exit(1)


def _perform(stage: Stage, scenario: Scenario, narrator: Narrator, console: Console, as_json: bool) -> bool:
    """Play everything, judge it, show the judgement; whether all is well."""
    from worker.cli.consoles import print_json
    from worker.cli.demo.verdict import result_table

    narrator.happens(f"up and running: {', '.join(stage.processes)}")
    results = _play_all(stage, scenario, narrator, scenario.pause_seconds if console.is_terminal else 0)
    passed = all(result.passed for result in results)
    seconds = narrator.seconds
    console.print()
    console.print(result_table(results))
    console.print()
    good = sum(result.passed for result in results)
    word = "[bold green]PASS[/]" if passed else "[bold red]FAIL[/]"
    console.print(f"{word} {good} of {len(results)} ended as they should, in {seconds:.0f} s.")
    if not passed:
        for name in ("web", "worker", "scheduler", "sandbox"):
            for line in stage.last_lines(name)[-5:]:
                console.print(f"{name}: {line}", markup=False, style="dim")
    if as_json:
        print_json(
            {"passed": passed, "seconds": round(seconds, 1), "tenants": [result.as_json() for result in results]}
        )
    return passed


def _play_all(stage: Stage, scenario: Scenario, narrator: Narrator, pause: float) -> list[Result]:
    from worker.cli.demo.play import Play, StoryBroken
    from worker.cli.demo.verdict import judge

    play = Play(stage, narrator, scenario.patience, pause)
    broken: dict[str, str] = {}
    for actor in scenario.tenants:
        try:
            play.play(actor)
        except StoryBroken as error:
            broken[actor.id] = str(error)
            narrator.wrong(str(error))
    played = [actor for actor in scenario.tenants if actor.id not in broken]
    try:
        play.look_again(played)
    except StoryBroken as error:
        narrator.wrong(str(error))
        broken.update({actor.id: str(error) for actor in played})
    return [judge(play, actor, broken.get(actor.id)) for actor in scenario.tenants]


def _keep(stage: Stage, console: Console) -> None:
    """Leave it running until somebody stops it."""
    console.print("\nStill running, until Ctrl-C:")
    sign_in = f"(sign in with the operator token {stage.operator_token})"
    console.print(f"  dashboard  {stage.web}/  {sign_in}", soft_wrap=True)
    console.print(f"  sandbox    {stage.sandbox}")
    console.print(f"  redis      {stage.redis_url}")
    publish = f"{shell_name()} publish added --tenant acme --user ada"
    console.print(f"  publish    SEATS_REDIS_URL={stage.redis_url} {publish}", soft_wrap=True)
    try:
        while True:
            stage.patience.until(lambda: False, 3600.0)
    except Interrupted:
        console.print("stopping …")
