"""The stage: everything a demo runs on, as real processes, and nothing of it left behind."""

from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.cli.children import from_scratch
from worker.cli.local import Patience, token
from worker.cli.loopback import HOST, free_port
from worker.cli.processes import SANDBOX_API_KEY
from worker.cli.stopping import StopRequests
from worker.cli.supervisor import Child, Supervisor
from worker.embedded import EmbeddedServer

LINES_KEPT = 200


class Stage:
    """An embedded Valkey, the sandbox, the web, a worker and a scheduler; a context manager.

    Nothing of the user's environment or settings reaches them: their environment is made from nothing, and they work in
    a directory of their own. ``on_line`` is shown what they log.
    """

    def __init__(
        self, settle_seconds: float, requests: StopRequests, on_line: Callable[[str, str], None] | None = None
    ) -> None:
        self.ingest_token, self.operator_token = token("ingest"), token("operator")
        self.web, self.sandbox = f"http://{HOST}:{free_port()}", f"http://{HOST}:{free_port()}"
        self._settle_seconds = settle_seconds
        self._lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=LINES_KEPT))
        self._shown = on_line
        self._valkey = EmbeddedServer()
        self._supervisor = Supervisor(on_line=self._on_line, stop_seconds=5.0)
        self._requests = requests
        self.patience = Patience(self._supervisor, requests)
        self._cleanup = ExitStack()

    @property
    def redis_url(self) -> str:
        return self._valkey.url

    @property
    def processes(self) -> dict[str, int]:
        """The process id of each of them."""
        return {"valkey": self._valkey.pid, **self._supervisor.pids}

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            cleanup.enter_context(self._valkey)
            cleanup.callback(self._stop)
            self._start()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def last_lines(self, name: str) -> list[str]:
        """What a process logged last."""
        return list(self._lines[name])

    def _start(self) -> None:
        environment = from_scratch(self._settings())
        sandbox_port = self.sandbox.rpartition(":")[2]
        for name, arguments in (
            ("sandbox", ("sandbox", "--port", sandbox_port, "--no-hints")),
            ("web", ("web",)),
            ("worker", ("worker",)),
            ("scheduler", ("scheduler",)),
        ):
            self._supervisor.start(Child(name, arguments, environment, cwd=self._home()))
        self.patience.until_up("the sandbox", self.sandbox)
        self.patience.until_up("the web", self.web)

    def _settings(self) -> dict[str, str]:
        return {
            "SEATS_REDIS_URL": self._valkey.url,
            "SEATS_CROVVER_BASE_URL": self.sandbox,
            "SEATS_CROVVER_API_KEY": SANDBOX_API_KEY,
            "SEATS_CROVVER_WEBHOOK_SECRET": token("crovver"),
            "SEATS_STRIPE_WEBHOOK_SECRETS": f"whsec_{token('stripe')}",
            "SEATS_INGEST_TOKENS": self.ingest_token,
            "SEATS_OPERATOR_TOKEN": self.operator_token,
            "SEATS_SETTLE_SECONDS": f"{self._settle_seconds:g}",
            "SEATS_HOST": HOST,
            "SEATS_PORT": self.web.rpartition(":")[2],
            "SEATS_WORKER_THREADS": "4",
            "SEATS_LOG_FORMAT": "console",
        }

    def _home(self) -> Path:
        """Where the processes work: it goes with the server's data, and holds no config/settings.toml."""
        return self._valkey.data_dir

    def _stop(self) -> None:
        asked = self._requests.count
        self._supervisor.stop(lambda: self._requests.count > max(asked, 1))

    def _on_line(self, name: str, line: str) -> None:
        self._lines[name].append(line)
        if self._shown is not None:
            self._shown(name, line)
