"""The ceiling: no queue at all. One plain pipelined client hands batches of 100 events to a script that folds them into
the same rosters; what it sends was made ready before."""

from collections.abc import Iterator, Sequence

import redis

from tests.benchmarks.peers import job
from tests.benchmarks.workload import Workload

BATCH = 100
IN_FLIGHT = 20
"""Batches sent before the first answer is read."""

FOLD_BATCH = """
local roster, users = KEYS[1], {}
for i = 1, #ARGV, 2 do
    users[#users + 1] = ARGV[i]
end
local known = redis.call('HMGET', roster, unpack(users))
local newest, changes = {}, {}
for i = 1, #users do
    local user, entry = users[i], ARGV[2 * i]
    local old = newest[user] or known[i]
    if not old or entry > old then
        newest[user] = entry
    end
end
for user, entry in pairs(newest) do
    changes[#changes + 1] = user
    changes[#changes + 1] = entry
end
if #changes > 0 then
    redis.call('HSET', roster, unpack(changes))
end
"""

Batch = tuple[str, Sequence[str]]
"""A roster's key, and user, entry, user, entry, …"""


def batches(workload: Workload) -> list[Batch]:
    """All events, in batches of one tenant each."""
    return list(_batches(workload))


def _batches(workload: Workload) -> Iterator[Batch]:
    for tenant in workload.names():
        facts = workload.facts(tenant)
        for start in range(0, len(facts), BATCH):
            words: list[str] = []
            for fact in facts[start : start + BATCH]:
                added = fact.membership == "added"
                words += [fact.user, job.entry(added, fact.at, fact.id, fact.email, fact.name)]
            yield job.key(tenant), words


def apply(client: "redis.Redis", ready: Sequence[Batch]) -> None:
    """Send them all, and return when all are folded."""
    script = client.register_script(FOLD_BATCH)
    for start in range(0, len(ready), IN_FLIGHT):
        pipe = client.pipeline(transaction=False)
        for key, words in ready[start : start + IN_FLIGHT]:
            script([key], words, client=pipe)
        pipe.execute()
