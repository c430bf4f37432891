"""A web server over the sample fleet: for browsers of tests, and of people (``python -m tests.dashboard.serving``)."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.canaries import Where
from tests.dashboard.sample import seed
from tests.watch import saw
from tests.web.site import OPERATOR, SECRETS, Log
from worker.core.policy import Policy
from worker.embedded import EmbeddedServer
from worker.logs.redaction import redacted
from worker.store.dead_letters import DeadLetters
from worker.store.redis_store import RedisStore
from worker.web.app import create_app
from worker.web.server import WebServer
from worker.web.services import Services


@contextmanager
def served(redis_url: str, namespace: str) -> Iterator[str]:
    """A web server on that state, on a free port; its URL."""
    up = threading.Event()
    servers: list[WebServer] = []
    log = Log()

    def run() -> None:
        store = RedisStore.from_url(redis_url, namespace)
        services = Services(
            store=store, ping_broker=store.ping, dead_letters=DeadLetters(store.client, namespace, redacted),
            policy=Policy(), clock=time.time, log=log, **SECRETS,
        )  # fmt: skip
        app = create_app(services, on_stop=store.aclose)
        servers.append(WebServer(app, "127.0.0.1", 0, lambda _: up.set()))
        servers[0].run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(20), "the web server did not start"
        yield servers[0].url
    finally:
        if servers:
            servers[0].should_exit = True
        thread.join(20)
        saw(Where.LOG, "log of the web app", "\n".join(map(repr, log.entries)))


def fill(redis_url: str, namespace: str) -> None:
    """Put the sample fleet into an empty namespace."""

    async def main() -> None:
        store = RedisStore.from_url(redis_url, namespace)
        try:
            await seed(store)
        finally:
            await store.aclose()

    # Playwright keeps an event loop in the thread of its tests.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(main())).result()


if __name__ == "__main__":
    with EmbeddedServer() as redis:
        fill(redis.url, "sample")
        with served(redis.url, "sample") as url:
            print(f"{url}  operator token: {OPERATOR}")
            threading.Event().wait()
