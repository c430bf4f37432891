"""The ceiling: no queue at all. One plain pipelined client hands batches of 100 events, as the host app has written
them, to a script that reads them and folds them into the same rosters.

And what a server does where even the reading was done before the clock starts: it is handed finished entries. Nobody
who gets events can be that quick; it tells how much of the ceiling is JSON.
"""

import json
from collections.abc import Iterator, Sequence

import redis

from tests.benchmarks.peers import job
from tests.benchmarks.workload import Workload, cloud_event
from worker.core.facts import UserFact

BATCH = 100
IN_FLIGHT = 20
"""Batches sent before the first answer is read."""

FOLD_EVENTS = """
local roster, users, entries = KEYS[1], {}, {}
for i = 1, #ARGV do
    local event = cjson.decode(ARGV[i])
    local data = event.data
    users[i] = data.userId
    local said = { event.type == 'user.added', data.email, data.name }
    entries[i] = event.time .. ' ' .. event.id .. ' ' .. cjson.encode(said)
end
local known = redis.call('HMGET', roster, unpack(users))
local newest, changes = {}, {}
for i = 1, #users do
    local old = newest[users[i]] or known[i]
    if not old or entries[i] > old then
        newest[users[i]] = entries[i]
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
"""Times are all written alike, so that the newer of two entries is the greater."""

FOLD_ENTRIES = """
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
"""A roster's key, and events, or user, entry, user, entry, …"""


def batches(workload: Workload) -> list[Batch]:
    """All events as JSON, in batches of one tenant each."""
    return [
        (job.key(tenant), [json.dumps(cloud_event(tenant, fact), separators=(",", ":")) for fact in facts])
        for tenant in workload.names()
        for facts in _parted(workload.facts(tenant))
    ]


def finished(workload: Workload) -> list[Batch]:
    """The entries that all events make, in batches of one tenant each."""
    return list(_finished(workload))


def _parted(facts: Sequence[UserFact]) -> Iterator[Sequence[UserFact]]:
    return (facts[start : start + BATCH] for start in range(0, len(facts), BATCH))


def _finished(workload: Workload) -> Iterator[Batch]:
    for tenant in workload.names():
        for facts in _parted(workload.facts(tenant)):
            words: list[str] = []
            for fact in facts:
                added = fact.membership == "added"
                words += [fact.user, job.entry(added, fact.at, fact.id, fact.email, fact.name)]
            yield job.key(tenant), words


def apply(client: "redis.Redis", ready: Sequence[Batch], fold: str = FOLD_EVENTS) -> None:
    """Send them all, and return when all are folded."""
    script = client.register_script(fold)
    for start in range(0, len(ready), IN_FLIGHT):
        pipe = client.pipeline(transaction=False)
        for key, words in ready[start : start + IN_FLIGHT]:
            script([key], words, client=pipe)
        pipe.execute()
