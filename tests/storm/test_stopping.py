"""Processes are told to stop in the middle of their work: they finish what is under way, and begin nothing."""

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import INGEST, eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

SLOW = 3.0
"""Seconds that Crovver takes for a checkout. A stopping worker would give it 45."""


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file, each of which has tenants of its own."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("stopping")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver) as storm:
        yield storm.start()
        assert storm.ended == [], "a process did not wait to be told"
    crovver.close()


def test_a_worker_told_to_stop_in_the_middle_of_a_call_saves_how_it_ended(storm: Storm, row: Row) -> None:
    tenant, late = row.tenants[:2]
    storm.crovver.lasting["checkout"] = "slow"
    storm.crovver.slow_seconds = SLOW
    row.join(tenant, "ada", "bob")
    eventually(lambda: storm.crovver.checkouts_of(tenant), 60, "the call")
    told = storm.log("worker").count("worker stopping")
    storm.process("worker").send_signal(signal.SIGTERM)
    eventually(lambda: storm.log("worker").count("worker stopping") > told, what="the worker to have heard")
    row.join(late, "ada", "bob")
    began = time.monotonic()
    assert storm.stop("worker") == 0
    assert time.monotonic() - began < 45
    assert not [asked for _, _, asked in storm.crovver.calls if late in asked.values()], "it took new work"
    storm.crovver.lasting.clear()
    storm.start("worker")
    storm.deployment.wait_for_state(tenant, "awaiting_payment", 60)
    assert [one.capacity for one in storm.crovver.checkouts_of(tenant)] == [6]
    row.begin()
    row.accept(20)
    row.weathered()


def test_workers_are_replaced_one_by_one_while_calls_are_under_way(storm: Storm, row: Row) -> None:
    storm.crovver.lasting["checkout"] = "slow"
    storm.crovver.slow_seconds = 0.5
    storm.start("worker2").ready()
    row.begin()
    row.accept(10)
    assert storm.stop("worker") == 0
    storm.start("worker").ready("worker")
    row.accept(10)
    assert storm.stop("worker2") == 0
    storm.crovver.lasting.clear()
    row.weathered()


def test_the_door_closes_and_opens_while_events_come_in(storm: Storm, row: Row) -> None:
    row.begin()
    for _ in range(2):
        row.accept(10)
        with _half_a_request(storm, row) as request:
            storm.process("web").send_signal(signal.SIGTERM)
            time.sleep(0.5)
            request.sendall(b"]")
            assert request.recv(4096).startswith(b"HTTP/1.1 202 "), "the request under way was not finished"
        assert storm.stop("web") == 0
        time.sleep(0.3)
        storm.start("web")
    row.accept(10)
    row.weathered()


def test_schedulers_stand_in_for_each_other_and_are_all_away_for_a_while(storm: Storm, row: Row) -> None:
    storm.start("scheduler2").ready()
    row.begin()
    row.accept(10)
    assert storm.stop("scheduler") == 0
    row.accept(10)
    assert storm.stop("scheduler2") == 0
    row.accept(10)
    storm.start("scheduler")
    row.weathered()


def _half_a_request(storm: Storm, row: Row) -> socket.socket:
    """A connection over which all but the last byte of an empty batch was sent."""
    connection = socket.create_connection(("127.0.0.1", storm.deployment.port), timeout=20)
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {INGEST}\r\ncontent-length: 2\r\n"
    connection.sendall(head.encode() + b"content-type: application/cloudevents-batch+json\r\n\r\n[")
    time.sleep(0.2)
    return connection
