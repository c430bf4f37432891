"""The server of the state stands still for longer than anybody waits for an answer: twice, under load."""

import os
import signal
import time

from tests.storm import servers
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

FROZEN = 15.0
WEBHOOKS_WAIT = 5.0
"""Seconds: a webhook's sender wants an answer within them."""


def test_frozen_for_15_seconds_twice(storm: Storm, row: Row, valkey: EmbeddedServer) -> None:
    storm.start().ready()
    row.begin()
    for _ in range(2):
        row.accept(20)
        os.kill(valkey.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert servers.refused_at_the_door(row)
        assert time.monotonic() - began < WEBHOOKS_WAIT + 5, "the door does not wait for long"
        time.sleep(max(0.0, FROZEN - (time.monotonic() - began)))
        os.kill(valkey.pid, signal.SIGCONT)
    row.weathered()
