"""The supervisor: children live as long as it does, and not longer."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.running import ROOT, environment
from tests.processes import alive, eventually
from worker.cli.children import from_scratch
from worker.cli.supervisor import Child, ChildEnded, Supervisor, how_it_ended

SANDBOX = ("sandbox", "--port", "0")


def child(name: str = "one", *, restart: bool = False, **settings: str) -> Child:
    return Child(name, SANDBOX, from_scratch(settings), restart=restart)


@contextmanager
def supervisor(stop_seconds: float = 10.0) -> Iterator[tuple[Supervisor, "queue.Queue[str]"]]:
    lines: queue.Queue[str] = queue.Queue()

    def take(name: str, line: str) -> None:
        lines.put(f"{name}: {line}")

    with Supervisor(on_line=take, on_event=take, stop_seconds=stop_seconds) as running:
        yield running, lines


def test_it_passes_on_what_children_say_with_their_names() -> None:
    with supervisor() as (running, lines):
        running.start(child("sandbox"))
        assert lines.get(timeout=20).startswith("sandbox: The sandbox is at http://127.0.0.1:")


def test_it_stops_them_cleanly_and_waits_for_them() -> None:
    with supervisor() as (running, lines):
        running.start(child())
        lines.get(timeout=20)
        pid = running.pids["one"]
        began = time.monotonic()
    assert not alive(pid)
    assert time.monotonic() - began < 5


def test_one_that_is_killed_is_started_again() -> None:
    with supervisor() as (running, lines):
        running.start(child(restart=True))
        first = running.pids["one"]
        os.kill(first, signal.SIGKILL)

        def again() -> bool:
            running.tend()
            return running.pids.get("one", first) != first

        assert eventually(again)
        said = [lines.get(timeout=20) for _ in range(3)]
        assert "one: was ended by SIGKILL; it is started again in 0.5 s" in said


def test_one_whose_configuration_is_bad_is_not_started_again() -> None:
    with supervisor() as (running, lines):
        running.start(child(restart=True, SEATS_NONSENSE="1"))
        assert running.run(lambda: 0) == 2
        said = []
        while not lines.empty():
            said.append(lines.get())
        assert "one: seats: SEATS_NONSENSE is no setting: remove it" in said
        assert "one: ended with exit code 2" in said


def test_one_that_is_not_to_be_restarted_is_missed() -> None:
    with supervisor() as (running, _):
        running.start(child())
        os.kill(running.pids["one"], signal.SIGKILL)
        assert eventually(lambda: not running.pids)
        with pytest.raises(ChildEnded, match="one was ended by SIGKILL"):
            running.tend()


def test_one_that_does_not_stop_is_killed() -> None:
    with supervisor(stop_seconds=0.3) as (running, lines):
        running.start(child())
        lines.get(timeout=20)
        pid = running.pids["one"]
        os.kill(pid, signal.SIGSTOP)
    assert not alive(pid)


def test_in_a_hurry_it_kills_at_once() -> None:
    with supervisor(stop_seconds=60) as (running, lines):
        for name in ("one", "two"):
            running.start(child(name))
            lines.get(timeout=20)
        pids = list(running.pids.values())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        running.stop(lambda: True)
    assert time.monotonic() - began < 5
    assert not any(map(alive, pids))


PARENT = """
import sys, time
from worker.cli.children import from_scratch
from worker.cli.supervisor import Child, Supervisor
running = Supervisor()
for number in range(2):
    running.start(Child(f"child {number}", ("sandbox", "--port", "0"), from_scratch({})))
print(*running.pids.values(), flush=True)
time.sleep(60)
"""


def test_children_die_with_a_parent_that_is_killed_without_warning() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment({}), cwd=ROOT
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert parent.stdout.readline().startswith("The sandbox is at ")
        assert all(map(alive, pids))
        parent.kill()
        assert eventually(lambda: not any(map(alive, pids)))


def test_how_children_end_is_told_in_words() -> None:
    assert how_it_ended(1) == "ended with exit code 1"
    assert how_it_ended(-15) == "was ended by SIGTERM"
