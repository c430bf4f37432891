"""dramatiq as it comes: its own middleware, encoder and prefetch, one message an event."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers import job

broker = RedisBroker(url=job.url())  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)
fold = dramatiq.actor(actor_name="fold")(job.folder())

if (workload := job.asked_to_fill()) is not None:
    for event in job.events(workload):
        fold.send(*event)
