"""How many instructions the core takes to fold an event and to decide, as callgrind counts them.

They are the same on every run. Limits are of one release of Python, and a tenth above what was counted when they were
last set.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = (3, 11)
MOST = {"fold": 38_000, "decide": 560_000}
TIMES = {"fold": 1_000, "decide": 100}

pytestmark = [
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
    pytest.mark.skipif(sys.version_info[:2] != PYTHON, reason="the limits are those of Python 3.11"),
]


def count(what: str, times: int) -> int:
    """Instructions of a process that does it so many times."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, "-s", "-m", "tests.costs.instructions", what, str(times)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1])


@pytest.fixture(scope="module")
def start() -> int:
    """What the process takes that does nothing."""
    return count("decide", 0)


@pytest.mark.parametrize("what", MOST)
def test_no_more_instructions_than_when_the_limits_were_set(start: int, what: str) -> None:
    taken = (count(what, TIMES[what]) - start) / TIMES[what]
    print(f"{what}: {taken:,.0f} instructions")
    assert taken <= MOST[what]
