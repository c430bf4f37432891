"""What commands print: ids and others' words can't steer a terminal, hide in it, or be taken for markup."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, Run, _no_settings_of_ours, run, with_state
from tests.hostile.nasty import ANYTHING, LETTER, TENANT, UPGRADE, USER, seed
from worker.cli.doctor.findings import fix
from worker.cli.doctor.render import show, show_json
from worker.embedded import EmbeddedServer

__all__ = ["_no_settings_of_ours", "run"]


@pytest.fixture(scope="module")
def nasty() -> Iterator[str]:
    """The server of a deployment full of traps."""
    with EmbeddedServer() as server:
        with_state(server.url, seed)
        yield server.url


@pytest.fixture
def there(nasty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", nasty)


def harmless(outcome: Outcome) -> str:
    """All that was printed, of which nothing is more than it looks."""
    printed = outcome.out + outcome.err
    assert {char for char in printed if not char.isprintable()} <= {"\n"}, ascii(printed)
    assert "Traceback (most" not in printed
    return printed


READING = {
    "status": ["status"],
    "status of one": ["status", TENANT],
    "upgrades": ["upgrades"],
    "why": ["why", TENANT],
    "credits": ["credits", TENANT, "--stored"],
    "dead letters": ["dead-letters"],
    "dead letter": ["dead-letters", "show", LETTER],
}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_tables(run: Run, command: list[str]) -> None:
    outcome = run(*command)
    printed = harmless(outcome)
    assert outcome.code == 0, printed
    assert "\\u202e" in printed
    # As it stands, not as rich would read it.
    assert "[bold red]x[/]" in printed


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_json(run: Run, command: list[str]) -> None:
    outcome = run(*command, "--json")
    harmless(outcome)
    assert outcome.code == 0
    assert "\u202e" in json.dumps(json.loads(outcome.out), ensure_ascii=False)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    "command",
    [
        ["publish", "added", "--tenant", TENANT, "--user", TENANT],
        ["publish", "removed", "--tenant", TENANT, "--user", f"x{ANYTHING}"],
        ["publish", "added", "--tenant", TENANT, "--user", "u", "--time", ANYTHING],
        ["status", f"x{ANYTHING}"],
        ["status", ANYTHING.replace("\x00", "") + "\udcff"],
        ["why", f"x{TENANT}"],
        ["upgrades", "--state", ANYTHING],
        ["upgrades", "--cursor", ANYTHING],
        ["approve", ANYTHING],
        ["cancel", UPGRADE, "--no-wait"],
        ["retry", UPGRADE, "--no-wait"],
        ["sweep", "--tenant", TENANT, "--no-wait"],
        ["dead-letters", "show", ANYTHING],
        ["dead-letters", ANYTHING],
        ["forget", TENANT, "--user", USER, "--yes"],
        ["forget", TENANT, "--user", f"none{ANYTHING}", "--yes"],
        ["forget", f"none{ANYTHING}", "--yes"],
        ["what-if", "--policy", f"block={ANYTHING}"],
        ["--config", f"{ANYTHING}.toml", "status"],
        [ANYTHING],
        ["status", f"--{ANYTHING}"],
    ],
    ids=lambda command: ascii(" ".join(command))[1:30],
)
def test_lines_and_errors(run: Run, command: list[str]) -> None:
    outcome = run(*command)
    assert outcome.code in (0, 1, 2)
    assert harmless(outcome).strip()


@pytest.mark.usefixtures("there")
def test_files(run: Run, tmp_path: Path) -> None:
    good = {"type": "added", "tenant": TENANT, "user": TENANT}
    bad = [{**good, "user": ANYTHING}, {**good, ANYTHING: 1}, {**good, "type": ANYTHING}, {**good, "time": ANYTHING}]
    events = tmp_path / f"{TENANT.replace('/', '')[:60]}.jsonl"
    events.write_text("\n".join(map(json.dumps, bad)))
    assert "nothing of the file was sent" in harmless(run("publish", "--file", str(events)))
    events.write_text(json.dumps(good))
    assert "published 1 events" in harmless(run("publish", "--file", str(events)))
    events.write_text(json.dumps({"userId": TENANT}) + "\n" + json.dumps({"userId": TENANT}))
    assert "stands in line 1 already" in harmless(run("import", str(events), "--tenant", TENANT))
    events.write_text(json.dumps({"userId": TENANT}))
    assert f"1 users of {'evil'}" in harmless(run("import", str(events), "--tenant", TENANT, "--force"))


def test_import_takes_the_ids_that_the_door_takes(run: Run, there: None, tmp_path: Path) -> None:
    roster = tmp_path / "roster.jsonl"
    roster.write_text('{"userId": "u"}')
    for tenant in ("a\u200db", "\u202e", "\U0001f468\u200d\U0001f469"):
        assert run("import", str(roster), "--tenant", tenant).code == 0
    for tenant, problem in (("", "must not be empty"), ("a\x1b", "control characters"), ("x" * 256, "at most 255")):
        refused = run("import", str(roster), "--tenant", tenant)
        assert (refused.code, problem in refused.err) == (2, True), refused.err


@pytest.mark.parametrize("shown", [show, show_json])
def test_findings_of_the_doctor(capsys: pytest.CaptureFixture[str], shown: Callable[..., None]) -> None:
    shown([fix(f"s{ANYTHING}", f"seen {ANYTHING}", f"do {ANYTHING}")])
    said = capsys.readouterr()
    assert "[bold red]x[/]" in harmless(Outcome(0, said.out, said.err))


def test_on_a_screen_nothing_but_our_own_colours(there: None, tmp_path: Path) -> None:
    script = shutil.which("script")
    if script is None:
        pytest.skip("no script(1) here to make a terminal")
    import os
    import re
    import subprocess
    import sys

    from tests.cli.running import ROOT

    command = f"{sys.executable} -P -m worker.cli status"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    ran = subprocess.run([script, "-qec", command, "/dev/null"], env=env, cwd=tmp_path, capture_output=True, timeout=60)
    printed = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\r", "", ran.stdout.decode())
    assert "evil" in printed
    assert {char for char in printed if not char.isprintable()} <= {"\n"}, ascii(printed)
