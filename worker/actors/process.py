"""One worker process: dramatiq's worker threads in front of one event loop that does the work."""

import os
import signal
import threading
from dataclasses import replace
from types import FrameType

# Read by dramatiq when it is imported: how long a consumer waits before it comes back after a lost connection (ms).
os.environ.setdefault("dramatiq_restart_delay", "1000")

import structlog
from dramatiq import Worker

from worker.actors.alerts import declare_alerts
from worker.actors.broker import make_broker
from worker.actors.connections import store_of
from worker.actors.discretion import hide_arguments
from worker.actors.flusher import Flusher
from worker.actors.observing import Observing
from worker.actors.reconcile import declare_reconcile
from worker.actors.seat_events import declare_seat_events
from worker.actors.watchdog import Watchdog
from worker.actors.wiring import courier_of, ports_of
from worker.engine.reconcile import Reconciler
from worker.metrics import Meters
from worker.settings import Settings
from worker.settings.derive import micros
from worker.store.guard import Remembered, StateGuard
from worker.telemetry import Spans, telemetry

log = structlog.get_logger(__name__)

IDLE_THREAD_MS = 250
"""How often an idle thread looks whether it is to stop. A message wakes it at once; consumers wait by themselves."""

STOP_WITHIN = 45.0
"""Seconds a stopping process gives the calls it has under way; what is not done then is resumed by others."""


def run(settings: Settings, threads: int) -> int:
    """Work until SIGTERM or SIGINT; then take no new work, finish what is under way, and return 0.

    Raises:
        ConfigError: a setting that a worker needs is missing.
    """
    with telemetry(settings, "worker") as spans:
        return _run(settings, threads, spans)


def _run(settings: Settings, threads: int, spans: Spans) -> int:
    hide_arguments()
    url = settings.require_redis()
    store = store_of(settings)
    meters = Meters()
    remembered = Remembered()
    ports = ports_of(settings, store, Observing(meters, spans), concurrency=max(threads, 4))
    ports = replace(ports, guard=StateGuard(store, remembered))
    courier = courier_of(settings, store, meters)
    broker = make_broker(url, settings.namespace)
    declare_reconcile(broker, Reconciler(ports), meters, spans)
    declare_seat_events(broker, store, micros(settings.settle_seconds), meters)
    declare_alerts(broker, courier)
    # One more for each channel: one that hangs takes no thread from tenants, and none from another channel.
    worker = Worker(broker, worker_threads=threads + len(courier.channels), worker_timeout=IDLE_THREAD_MS)
    # No more than can be worked on: what waits in here could be taken by a process that has threads free. dramatiq's
    # own twice as many is for consumers that sleep while they are full; these are told when there is room.
    worker.queue_prefetch = worker.worker_threads
    watchdog = Watchdog(worker)
    flusher = Flusher(meters, remembered, lambda: store_of(settings))
    stop = threading.Event()

    def stopping(signum: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, stopping)
    signal.signal(signal.SIGINT, stopping)
    worker.start()
    watchdog.start()
    flusher.start()
    log.info("worker ready", threads=threads, mode=ports.policy.mode.value)
    while not stop.wait(1.0):
        pass
    # At once, and not only when each thread has been told: whoever reads the next line may count on it.
    broker.stopping.set()
    log.info("worker stopping")
    watchdog.stop()
    _end_after(STOP_WITHIN)
    worker.stop(timeout=int(STOP_WITHIN * 1000))
    flusher.stop()
    broker.close()
    log.info("worker stopped")
    return 0


def _end_after(seconds: float) -> None:
    """End the process even if something in it never does."""
    timer = threading.Timer(seconds + 2.0, os._exit, args=(1,))
    timer.daemon = True
    timer.start()
