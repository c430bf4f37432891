"""The peers that are there, how each is started, and whether it can be."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.benchmarks.harness import Skipped

PACKAGE = "tests.benchmarks.peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """A worker on one core. ``command`` is what comes after ``python -m``; ``needs`` must be installed for it."""

    name: str
    module: str
    command: tuple[str, ...]
    note: str
    needs: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises ``Skipped`` where it can't run here."""
        missing = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if missing:
            raise Skipped(f"{', '.join(missing)} not installed: pip install -e '.[bench]'")


def _dramatiq(module: str, threads: int) -> tuple[str, ...]:
    return ("dramatiq", "--processes", "1", "--threads", str(threads), f"{PACKAGE}.{module}")


STOCK = Peer("dramatiq, stock", "dramatiq_stock", _dramatiq("dramatiq_stock", 8), "as it comes, 8 threads")
TUNED = Peer(
    "dramatiq, tuned",
    "dramatiq_tuned",
    _dramatiq("dramatiq_tuned", 4),
    "orjson, one middleware, prefetch 1,000, poll 10 ms, 4 threads: the best of 1, 2, 4 and 8",
    settings={"dramatiq_queue_prefetch": "1000", "dramatiq_worker_timeout": "10"},
)
CELERY = Peer(
    "Celery",
    "celery_app",
    (
        *("celery", "-A", f"{PACKAGE}.celery_app", "worker", "--pool", "solo", "--loglevel", "warning"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
    "late acknowledgement, prefetch 100, no results, pool solo: the best of solo, threads and prefork",
    needs=("celery",),
)
TASKIQ = Peer(
    "taskiq",
    "taskiq_app",
    (
        *("taskiq", "worker", "--workers", "1", "--max-async-tasks", "100", "--max-prefetch", "100"),
        *("--ack-type", "when_executed", "--log-level", "WARNING", f"{PACKAGE}.taskiq_app:broker"),
    ),
    "a stream with acknowledgement, 100 messages a read and 100 tasks at once, orjson, no results",
    needs=("taskiq", "taskiq_redis"),
)
PEERS = (STOCK, TUNED, CELERY, TASKIQ)
