"""Crovver takes calls and never answers, or can't be found at all."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import eventually
from tests.storm.crovver import StormCrovver
from tests.storm.harness import Storm
from tests.storm.row import Row
from worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """One deployment for all rows of this file. Reads are given up after 2.5 s, calls after 5."""
    crovver = StormCrovver()
    folder = tmp_path_factory.mktemp("away")
    with EmbeddedServer(appendfsync="always") as valkey, Storm(folder, valkey.url, crovver, hurry=6.0) as storm:
        yield storm.start().ready()
    crovver.close()


def unreachable(storm: Storm, row: Row) -> list[str]:
    return [tenant for tenant in row.tenants if storm.deployment.tenant(tenant).get("status") == "unreachable"]


def test_crovver_hangs_on_reads_and_then_on_calls(storm: Storm, row: Row) -> None:
    storm.crovver.lasting = {"read": "hang", "checkout": "hang"}
    row.begin()
    row.payer.resting.set()
    eventually(lambda: unreachable(storm, row), 60, "a tenant to be unreachable")
    assert not storm.crovver.open_of(row.tenants), "bought without a look"
    storm.crovver.lasting.pop("read")
    unknown = eventually(lambda: row.upgrades("unknown"), 60, "a call with no known outcome")
    row.accept(10)
    assert len(storm.crovver.checkouts_of(unknown[0])) == 1
    storm.crovver.lasting.clear()
    row.payer.resting.clear()
    row.weathered()


def test_its_host_is_not_known_until_the_setting_is_mended(storm: Storm, row: Row) -> None:
    right = storm.deployment.settings["SEATS_CROVVER_BASE_URL"]
    storm.deployment.settings["SEATS_CROVVER_BASE_URL"] = "http://crovver.invalid"
    assert storm.stop("worker") == 0
    storm.start("worker")
    row.begin()
    dark = eventually(lambda: unreachable(storm, row), 60, "a tenant to be unreachable")
    why = storm.deployment.seats("why", dark[0]).stdout
    assert "the host name of its base URL could not be resolved" in why
    row.accept(10)
    assert not [asked for _, _, asked in storm.crovver.calls if set(row.tenants) & set(asked.values())]
    storm.deployment.settings["SEATS_CROVVER_BASE_URL"] = right
    assert storm.stop("worker") == 0
    storm.start("worker")
    row.weathered(90)
