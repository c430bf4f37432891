"""Queue and state on different servers: the state on a server of its own, or on a cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import server_binary
from tests.e2e.crovver import Crovver
from tests.e2e.deployment import Deployment, eventually
from worker.embedded import EmbeddedServer
from worker.publisher import SeatEvents, StateElsewhere

NEW = [f"new_{number}" for number in range(5)]


@pytest.fixture
def state_server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(binary=server_binary("redis")) as running:
        yield running


def run_the_main_job(deployment: Deployment, crovver: Crovver) -> None:
    crovver.add("acme", 10, 8)
    deployment.start_all()
    deployment.join("acme", *NEW)
    deployment.wait_for_state("acme", "awaiting_payment")
    (checkout,) = crovver.checkouts
    crovver.grant(checkout)
    assert deployment.webhook(checkout).status_code == 200
    assert deployment.wait_for_state("acme", "confirmed")["capacityUnits"] == 13
    assert [one["state"] for one in deployment.get("/v1/upgrades")["upgrades"]] == ["confirmed"]
    assert deployment.answers("/readyz") == 200


def test_the_main_job_with_the_state_on_a_server_of_its_own_and_a_publisher_that_is_told_of_it(
    state_server: EmbeddedServer, deployment: Deployment, crovver: Crovver, valkey: EmbeddedServer
) -> None:
    deployment.settings["SEATS_STATE_URL"] = state_server.url
    run_the_main_job(deployment, crovver)
    with SeatEvents.from_url(valkey.url) as misled, pytest.raises(StateElsewhere, match="SEATS_STATE_URL"):
        misled.user_added("acme", "one_more")
    with SeatEvents.from_url(state_server.url) as seats:
        seats.user_added("acme", "one_more")
    eventually(lambda: deployment.tenant("acme")["seatsNeeded"] == 14, what="the publisher's event")


def test_the_main_job_with_the_state_on_a_cluster(
    tmp_path: Path, valkey: EmbeddedServer, cluster: str, crovver: Crovver
) -> None:
    apart = {"SEATS_STATE_URL": cluster, "SEATS_NAMESPACE": "split", "SEATS_MIN_REPLICAS": "0"}
    with Deployment(tmp_path, valkey.url, crovver, **apart) as deployment:
        run_the_main_job(deployment, crovver)
