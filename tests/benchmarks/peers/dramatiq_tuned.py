"""dramatiq tuned for this job: orjson, only the middleware that retries, a short poll, and a long prefetch."""

from typing import Any

import dramatiq
import orjson
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries

from tests.benchmarks.peers import job


class FastEncoder(dramatiq.Encoder):
    def encode(self, data: Any) -> bytes:
        return orjson.dumps(data)

    def decode(self, data: bytes) -> Any:
        return orjson.loads(data)


dramatiq.set_encoder(FastEncoder())
broker = RedisBroker(url=job.url(), middleware=[Retries()])  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)
fold = dramatiq.actor(actor_name="fold")(job.folder())

if (workload := job.asked_to_fill()) is not None:
    for event in job.events(workload):
        fold.send(*event)
