"""taskiq on a Redis stream, its broker that acknowledges, read 100 messages at a time; orjson, no results."""

import asyncio

import redis.asyncio
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from tests.benchmarks.peers import job
from tests.benchmarks.workload import Workload

broker = RedisStreamBroker(url=job.url(), xread_count=100).with_serializer(ORJSONSerializer())
script = redis.asyncio.Redis.from_url(job.url()).register_script(job.FOLD)


async def fold_event(
    tenant: str, user: str, added: bool, at: int, ident: str, email: str | None, name: str | None
) -> None:
    await script([job.key(tenant)], [user, job.entry(added, at, ident, email, name)])


fold = broker.task(task_name="fold")(fold_event)


async def fill(workload: Workload) -> None:
    await broker.startup()
    for event in job.events(workload):
        await fold.kiq(*event)
    await broker.shutdown()


if (workload := job.asked_to_fill()) is not None:
    asyncio.run(fill(workload))
