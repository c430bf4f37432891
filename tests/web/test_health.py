"""/healthz and /readyz."""

import asyncio

import pytest

from tests.web.conftest import Open
from tests.web.site import Site
from tests.web.test_tenants import fits
from worker.store.errors import StoreUnavailable
from worker.store.interface import Backlog
from worker.web import health, schemas


def test_a_working_deployment_is_healthy_and_ready(site: Site) -> None:
    assert site.request("GET", "/healthz").json() == {"status": "ok"}
    answer = site.request("GET", "/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "broker": True,
        "state": True,
        "backlog": True,
    }
    schemas.Ready.model_validate(answer.json())
    fits(schemas.Health, {"status": "ok"})
    assert site.request("HEAD", "/healthz").status_code == 200


def test_a_broker_that_is_away_makes_it_not_ready_though_the_state_is_there(open_site: Open) -> None:
    async def away() -> None:
        raise StoreUnavailable("Error 111 connecting to 10.1.2.3:6379")

    site = open_site(ping_broker=away)
    answer = site.request("GET", "/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert [answer.json()["checks"][name]["ok"] for name in ("broker", "state")] == [False, True]
    assert "10.1.2.3" not in answer.text
    assert "10.1.2.3" in str(site.log.entries)
    assert site.request("GET", "/healthz").status_code == 200


def test_a_broker_that_never_answers_makes_it_not_ready_in_bounded_time(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)

    async def hangs() -> None:
        await asyncio.sleep(3600)

    assert open_site(ping_broker=hangs).request("GET", "/readyz").status_code == 503


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (60, 200), (61, 503)])
def test_work_that_has_waited_for_over_a_minute_is_stuck(site: Site, seconds: int, status: int) -> None:
    async def backlog() -> Backlog:
        return Backlog(due=3, leased=1, oldest=seconds * 1_000_000)

    site.store.backlog = backlog  # type: ignore[method-assign]
    answer = site.request("GET", "/readyz")
    assert answer.status_code == status
    shown = answer.json()["checks"]["backlog"]
    assert (shown["due"], shown["leased"], shown["oldestSeconds"]) == (3, 1, seconds)
