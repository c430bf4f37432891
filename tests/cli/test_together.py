"""The commands that run processes: they work, they stop when told, and they leave nothing behind."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.running import descendants, environment, seats, started
from tests.processes import alive, eventually
from worker.cli.loopback import free_port, is_free


def first_line(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Its output up to a line that matches."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return line
    raise AssertionError(f"it never said {pattern!r}:\n{said}")


def all_gone(pids: set[int]) -> bool:
    return not any(map(alive, pids))


@pytest.mark.slow
def test_the_demo_ends_as_it_should_whatever_the_user_has_set(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text("nonsense = 1\n")
    (tmp_path / "tmp").mkdir()
    given = {"SEATS_REDIS_URL": "redis://127.0.0.1:1", "SEATS_UPGRADE_MODE": "alert", "TMPDIR": str(tmp_path / "tmp")}
    done = seats("demo", "--json", cwd=tmp_path, settings=given)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["passed"] is True
    assert summary["seconds"] < 60
    calls = {row["tenant"]: row["checkoutCalls"] for row in summary["tenants"]}
    assert calls == {"acme": 0, "globex": 1, "initech": 2, "everest": 1, "hooli": 1, "umbrella": 1}
    assert {row["tenant"]: row["capacityUnits"]["after"] for row in summary["tenants"]}["hooli"] == 348
    assert all(row["passed"] and not row["problems"] for row in summary["tenants"])
    assert "PASS 6 of 6" in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_demo_that_is_stopped_half_way_leaves_nothing_behind(tmp_path: Path, sent: int, code: int) -> None:
    with started("demo", cwd=tmp_path, settings={"TMPDIR": str(tmp_path)}) as demo:
        first_line(demo, "globex")
        below = descendants(demo.pid)
        assert len(below) >= 5
        demo.send_signal(sent)
        assert demo.wait(30) == code
        assert eventually(lambda: not any(map(alive, below)))
        assert eventually(lambda: list(tmp_path.iterdir()) == [])


@pytest.mark.slow
def test_a_demo_that_is_kept_runs_until_ctrl_c(tmp_path: Path) -> None:
    with started("demo", "--keep", cwd=tmp_path) as demo:
        first_line(demo, "Still running")
        command = first_line(demo, "publish").strip().removeprefix("publish").strip()
        done = subprocess.run(
            ["bash", "-c", command], env=environment({}), cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stdout == "published: ada joined acme\n"
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0


def test_without_a_server_to_embed_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    for command in ("demo", "up"):
        outcome = run(command)
        assert outcome.code == 1
        assert "seat-reconciler[embedded]" in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_up_prints_commands_that_work_and_finds_its_data_again(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    for _ in range(2):
        with started("up", "--port", str(port), "--data", str(data), cwd=tmp_path) as up:
            first_line(up, "Seat Reconciler is up")
            curl = first_line(up, r"^  curl ").strip()
            publish, status = (first_line(up, f"^  SEATS_REDIS_URL.*{word}").strip() for word in ("publish", "status"))
            below = descendants(up.pid)
            ran = [
                subprocess.run(["bash", "-c", line], env=environment({}), cwd=tmp_path, capture_output=True, text=True)
                for line in (curl, publish)
            ]
            assert "202 Accepted" in ran[0].stdout
            assert ran[1].stdout == "published: grace joined acme\n"

            def bought(line: str = status) -> bool:
                words = [*shlex.split(line)[:-1], "--json"]
                shown = subprocess.run(
                    words[1:], env=environment(dict([words[0].split("=", 1)])), capture_output=True, text=True
                )
                return shown.returncode == 0 and (json.loads(shown.stdout)["upgrade"] or {})["newCapacity"] == 5

            assert eventually(bought)
            up.send_signal(signal.SIGINT)
            assert up.wait(30) == 0
        assert eventually(partial(all_gone, below))
        assert is_free(port)


def test_up_says_that_a_port_is_taken(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("up", "--port", str(port))
    assert outcome.code == 1
    assert outcome.err == f"seats: port {port} is taken: choose another with --port, or stop what listens there\n"


def test_data_belongs_to_the_embedded_server_alone(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEATS_REDIS_URL", "redis://127.0.0.1:1")
    outcome = run("up", "--data", str(tmp_path))
    assert outcome.code == 2
    assert outcome.err.startswith("seats: --data is for the embedded Valkey, but SEATS_REDIS_URL is set")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["sandbox --port 0", "web --port 0", "worker", "scheduler", "worker --processes 2"])
def test_a_process_that_is_told_to_stop_ends_well(redis: str, tmp_path: Path, command: str, sent: int) -> None:
    settings = {
        "SEATS_REDIS_URL": redis, "SEATS_CROVVER_API_KEY": "sk_test_x", "SEATS_CROVVER_BASE_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    with started(*command.split(), cwd=tmp_path, settings=settings) as process:
        first_line(process, "ready|The sandbox is at|startup complete")
        below = descendants(process.pid)
        process.send_signal(sent)
        assert process.wait(30) == 0
        assert eventually(lambda: not any(map(alive, below)))


def test_worker_processes_that_die_are_replaced_and_end_with_the_first_one(redis: str, tmp_path: Path) -> None:
    settings = {"SEATS_REDIS_URL": redis, "SEATS_CROVVER_API_KEY": "sk_test_x"}
    with started("worker", "--processes", "2", cwd=tmp_path, settings=settings) as parent:
        assert eventually(lambda: len(descendants(parent.pid)) == 2)
        victim = min(descendants(parent.pid))
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: len(descendants(parent.pid) - {victim}) == 2)
        first_line(parent, "started again as process")
        below = descendants(parent.pid)
        parent.kill()
        parent.wait()
        assert eventually(lambda: not any(map(alive, below)))


def test_an_address_that_is_taken_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("sandbox", "--port", str(port))
    assert outcome.code == 1
    assert outcome.err == (
        f"seats: can't listen on 127.0.0.1 port {port} (Address already in use): choose another --host or --port\n"
    )


WRONG = """
title = "A promise that is not kept."
settle_seconds = 0.1
patience = 10
[[tenants]]
id = "acme"
story = "has room"
capacity = 10
taken = 7
steps = [
    { do = "join", users = 2, say = "{needed} people" },
    { do = "settle", say = "{looks}" },
]
expect = { needed = 9, capacity = 12, checkout_calls = 1, upgrade = "confirmed", ending = "bought" }
"""


@pytest.mark.slow
def test_a_demo_that_ends_otherwise_than_promised_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenario = tmp_path / "demo.toml"
    scenario.write_text(WRONG)
    monkeypatch.setattr("worker.settings.shipped_config", lambda name: scenario)
    outcome = run("demo", "--json")
    assert outcome.code == 1
    (row,) = json.loads(outcome.out)["tenants"]
    assert row["problems"] == [
        "seats paid for: 10, not 12",
        "seats paid for, as the sandbox has it: 10, not 12",
        "checkout calls, as the sandbox counted: 0, not 1",
        "upgrade: none, not confirmed",
    ]
    assert "FAIL 0 of 1 ended as they should" in outcome.err


def test_a_scenario_that_makes_no_sense_is_told_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenario = tmp_path / "demo.toml"
    scenario.write_text(WRONG.replace('do = "settle"', 'do = "celebrate"'))
    monkeypatch.setattr("worker.settings.shipped_config", lambda name: scenario)
    outcome = run("demo")
    assert outcome.code == 1
    assert outcome.err.startswith(f"seats: {scenario} is no scenario: tenants.0.steps.1.do: ")
