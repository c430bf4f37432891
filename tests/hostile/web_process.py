"""A real `seats web`: its URL, its process, what it logs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.canaries import INGEST, OPERATOR, STRIPE_SECRET
from tests.cli.running import environment
from tests.hostile.counting import resident
from tests.processes import eventually

_MAIN = "import sys; from worker.cli.main import main; sys.exit(main())"
CROVVER_SECRET = "crovver-secret-of-a-process"


@dataclass(frozen=True, slots=True)
class Web:
    """A web process that is up. ``memory`` is what it held then."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    memory: int

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def growth(self) -> float:
        """MiB that it holds more than at first."""
        return (resident(self.process.pid) - self.memory) / 1_048_576

    def entries(self) -> list[dict[str, object]]:
        """What it has logged, an object a line."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def web_process(
    redis_url: str, directory: Path, settings: Mapping[str, str] | None = None, first: str = ""
) -> Iterator[Web]:
    """`seats web` on a free port, which has to stop cleanly at the end. ``first`` is Python that it begins with."""
    given = {
        "SEATS_REDIS_URL": redis_url,
        "SEATS_INGEST_TOKENS": INGEST,
        "SEATS_OPERATOR_TOKEN": OPERATOR,
        "SEATS_STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        "SEATS_CROVVER_WEBHOOK_SECRET": CROVVER_SECRET,
        "SEATS_LOG_FORMAT": "json",
        **(settings or {}),
    }
    log = directory / "web.log"
    with log.open("wb") as out:
        command = [sys.executable, "-P", "-c", f"{first}\n{_MAIN}", "web", "--host", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen(command, cwd=directory, env=environment(given), stdout=out, stderr=out)
    try:
        eventually(lambda: bool(_url(log)) or process.poll() is not None, 60)
        assert _url(log), log.read_text()
        yield Web(process, _url(log), log, resident(process.pid))
        assert process.poll() is None, log.read_text()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def _url(log: Path) -> str:
    for line in log.read_text().splitlines():
        if line.startswith("{") and '"web ready"' in line:
            return str(json.loads(line)["url"])
    return ""
