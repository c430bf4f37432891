"""Every command: how it is called, how it fails."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.running import COMMAND, ROOT, environment, seats
from worker.cli.main import hoisted

COMMANDS = [
    "demo", "up", "web", "worker", "scheduler", "sandbox", "publish", "import", "sweep", "status", "upgrades", "why",
    "approve", "cancel", "retry", "doctor",
]  # fmt: skip


def test_help_lists_every_command(run: Run) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert [word for word in COMMANDS if f"  {word} " not in outcome.out] == []


def test_without_arguments_it_shows_its_help(run: Run) -> None:
    assert run().out == run("--help").out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: seats {command} ")


def test_help_comes_at_once_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from worker.cli.main import main; main(['--help']); "
        "print([name for name in sys.modules if name in "
        "('stripe', 'redis', 'httpx', 'uvicorn', 'dramatiq', 'starlette', 'asyncio')], file=sys.stderr)"
    )
    took = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], env=environment({}), capture_output=True, text=True)
        took.append(time.monotonic() - began)
        assert done.stderr.strip() == "[]"
    assert min(took) < 0.5


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["status", "--debug"], ["--debug", "status"]),
        (["status", "acme", "--config", "x.toml", "--json"], ["--config", "x.toml", "status", "acme", "--json"]),
        (["--config=x.toml", "status"], ["--config=x.toml", "status"]),
        (["why", "--", "--debug"], ["why", "--", "--debug"]),
        (["status", "--config"], ["--config", "status"]),
    ],
)
def test_global_options_may_stand_before_and_after_the_command(given: list[str], meant: list[str]) -> None:
    assert hoisted(given) == meant


def test_a_config_file_counts_wherever_its_option_stands(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("seat_blok = 5\n")
    for arguments in (["--config", str(config), "status"], ["status", "--config", str(config)]):
        outcome = run(*arguments)
        assert outcome.code == 2
        assert (
            outcome.err == f"seats: seat_blok in {config} is no setting: did you mean seat_block? Otherwise remove it\n"
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "no such command 'nonsense': see `seats --help`"),
        (["status", "--nonsense"], "no such option: --nonsense: see `seats status --help`"),
        (["why"], "missing argument 'tenant': see `seats why --help`"),
        (["publish", "joined", "--tenant", "t", "--user", "u"], "say what happened: "),
        (["publish", "added", "--user", "u"], "--tenant is missing: "),
        (["upgrades", "--state", "lost"], "--state 'lost' is no state of an upgrade: "),
        (["web"], "SEATS_REDIS_URL is not set: set it like redis://localhost:6379/0"),
        (["status"], "SEATS_REDIS_URL is not set: "),
        (["status", "--config", "/nowhere.toml"], "/nowhere.toml cannot be read"),
        (["publish", "--file", "nowhere.jsonl"], "invalid value for '--file': file 'nowhere.jsonl' does not exist"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(run: Run, arguments: list[str], said: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"seats: {said}")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


@pytest.mark.parametrize(
    "command", ["status", "upgrades", "sweep", "why T", "approve U", "publish added --tenant T --user U"]
)
def test_without_redis_a_command_says_so_in_a_line_and_never_shows_the_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", "redis://user:hunter22@127.0.0.1:1/0")
    outcome = run(*command.split())
    assert outcome.code == 1
    assert "127.0.0.1:1" in outcome.err
    assert outcome.err.endswith(": check SEATS_REDIS_URL and that the server runs\n")
    assert outcome.err.count("\n") == 1
    assert "hunter22" not in outcome.err


def test_a_worker_without_a_key_names_the_setting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", "redis://127.0.0.1:1/0")
    outcome = run("worker")
    assert outcome.code == 2
    assert outcome.err.startswith("seats: SEATS_CROVVER_API_KEY is not set: ")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    quiet, loud = seats("status", cwd=tmp_path), seats("status", "--debug", cwd=tmp_path)
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.returncode != 0


def test_a_reader_that_leaves_early_is_no_error(redis: str) -> None:
    whole = f"{' '.join(COMMAND)} upgrades --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", whole], env=environment({}), capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_it_runs_from_any_directory(tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").write_text("raise SystemExit(9)")
    assert seats("--help", cwd=tmp_path).returncode == 0


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out.startswith("seats ")


def test_the_json_of_an_empty_deployment(run: Run, redis: str) -> None:
    assert json.loads(run("status", "--json").out) == {"tenants": [], "next": None}
    assert json.loads(run("upgrades", "--json").out) == {"upgrades": [], "next": None}
    assert run("sweep").out == "no tenants yet: nothing to reconcile\n"


@pytest.mark.parametrize("command", [["status", "ghost"], ["why", "ghost"], ["sweep", "--tenant", "ghost"]])
def test_an_unknown_tenant_is_exit_code_1(run: Run, redis: str, command: list[str]) -> None:
    outcome = run(*command)
    assert outcome.code == 1
    assert outcome.err == "seats: no tenant 'ghost' is known: `seats status` lists them\n"


def test_the_checkout_is_the_one_under_test() -> None:
    import worker.cli

    assert Path(worker.cli.__file__).is_relative_to(ROOT)
