"""What `seats demo` and `seats up` run on this machine: ports, tokens, and children that are waited for."""

import secrets
import time
from collections.abc import Callable

from worker.cli.errors import CommandError, Interrupted
from worker.cli.loopback import answers
from worker.cli.stopping import StopRequests
from worker.cli.supervisor import ChildEnded, Supervisor


def token(kind: str) -> str:
    """A secret that is good for this run alone and says what it is."""
    return f"dev_{kind}_{secrets.token_urlsafe(18)}"


class Patience:
    """Waits for things while children are tended and requests to stop are heard."""

    def __init__(self, supervisor: Supervisor, requests: StopRequests, poll_seconds: float = 0.05) -> None:
        self._supervisor = supervisor
        self._requests = requests
        self._poll = poll_seconds

    def until(self, truth: Callable[[], bool], seconds: float) -> bool:
        """Whether it became true in time.

        Raises:
            Interrupted: the user has had enough.
            ChildEnded: a process that should run does not.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            if truth():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(self._poll)

    def check(self) -> None:
        """Tend the children, and hear whether to stop; raises like `until`."""
        if self._requests.count:
            raise Interrupted("stopped")
        self._supervisor.tend()

    def until_up(self, name: str, url: str, seconds: float = 30.0) -> None:
        """Wait until a child answers at its ``/healthz``.

        Raises:
            CommandError: it does not.
        """
        if not self.until(lambda: answers(f"{url}/healthz"), seconds):
            raise CommandError(f"{name} did not answer at {url} within {seconds:g} s: try again with --debug")


def ended_line(ended: ChildEnded, last_lines: list[str]) -> str:
    """A line for a child that ended: its own last words say why."""
    said = next((line for line in reversed(last_lines) if line.strip()), "")
    return f"{ended}: {said}" if said else str(ended)
