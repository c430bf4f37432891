"""Crovver answers, but not as asked: half, HTML, redirects, ten megabytes, other types, too many calls."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.e2e.crovver import Fault
from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer

MOST_MORE_MEMORY = 64 << 20
"""Bytes that a worker may grow by while tens of huge answers come in; four at once would be more, were they kept."""


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file, each of which has tenants of its own."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("answers")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver, hurry=3.0) as storm:
        yield storm.start().ready()
    crovver.close()


class Elsewhere:
    """Another server, which remembers who came by."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.heard.append(f"{self.command} {self.path} {self.headers.get('authorization')}")
                self.send_error(404)

            do_POST = do_GET

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def strike(storm: Storm, row: Row, fault: Fault) -> None:
    """Have a fault befall all reads until a tenant is unreachable, then the first checkout calls."""
    storm.crovver.lasting = {"read": fault, "checkout": fault}
    row.payer.resting.set()
    row.begin()
    dark = eventually(lambda: statuses(storm, row, "unreachable"), 60, "a tenant to be unreachable")
    assert not [one for one in storm.crovver.checkouts if one.tenant in row.tenants], "bought without a look"
    assert storm.deployment.tenant(dark[0])["upgrade"] is None
    storm.crovver.lasting.pop("read")
    unknown = eventually(lambda: row.upgrades("unknown"), 60, "a call with no known outcome")
    assert len(storm.crovver.checkouts_of(unknown[0])) == 1
    row.accept(10)
    assert row.upgrades("unknown")
    assert len(storm.crovver.checkouts_of(unknown[0])) == 1
    storm.crovver.lasting.clear()
    row.payer.resting.clear()
    row.weathered()


def statuses(storm: Storm, row: Row, status: str) -> list[str]:
    return [tenant for tenant in row.tenants if storm.deployment.tenant(tenant).get("status") == status]


@pytest.mark.parametrize("fault", ["cut", "html", "odd"])
def test_answers_that_make_no_sense(storm: Storm, row: Row, fault: Fault) -> None:
    strike(storm, row, fault)


def test_redirects_to_itself_and_elsewhere_are_not_followed(storm: Storm, row: Row) -> None:
    elsewhere = Elsewhere()
    try:
        storm.crovver.lasting["read"] = "302"
        before = len(storm.crovver.calls)
        row.join(row.tenants[0], "ada", "bob")
        eventually(lambda: statuses(storm, row, "unreachable"), 60, "a tenant to be unreachable")
        assert len(storm.crovver.calls) - before <= 12, "it runs in circles"
        storm.crovver.redirect_to = elsewhere.url
        strike(storm, row, "302")
        assert elsewhere.heard == []
    finally:
        storm.crovver.redirect_to = ""
        elsewhere.close()


def test_answers_of_ten_megabytes_are_not_kept_in_memory(storm: Storm, row: Row) -> None:
    before = storm.resident("worker")
    storm.crovver.lasting["read"] = "huge"
    peak = 0
    row.begin()
    calls = len(storm.crovver.calls)

    def many() -> bool:
        nonlocal peak
        peak = max(peak, storm.resident("worker"))
        return len(storm.crovver.calls) - calls >= 15

    eventually(many, 60, "15 huge answers")
    assert statuses(storm, row, "unreachable")
    storm.crovver.lasting = {"checkout": "huge"}
    unknown = eventually(lambda: row.upgrades("unknown"), 60, "a call with no known outcome")
    assert unknown
    storm.crovver.lasting.clear()
    row.weathered()
    peak = max(peak, storm.resident("worker"))
    assert peak - before < MOST_MORE_MEMORY, f"{(peak - before) >> 20} MiB more"
    assert storm.times_ended("worker") == 0


def test_rate_limits_under_load(storm: Storm, row: Row) -> None:
    storm.crovver.lasting = {"checkout": "429"}
    row.begin()
    waiting = eventually(lambda: row.upgrades("requesting"), 60, "a call that was turned away")
    turned_away = len([path for method, path, _ in storm.crovver.calls if method == "POST"])
    row.accept(20)
    again = len([path for method, path, _ in storm.crovver.calls if method == "POST"])
    assert again - turned_away < 40, "turned away, it does not wait"
    assert not storm.crovver.open_of(waiting)
    storm.crovver.lasting = {"read": "429"}
    row.accept(20)
    storm.crovver.lasting.clear()
    row.weathered()
