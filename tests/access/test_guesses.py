"""Guessing the operator token is limited at both of its doors, and nobody is locked out by somebody else's guesses."""

import httpx
import pytest

from tests.dashboard.browser import OURS
from tests.web.conftest import Open
from tests.web.site import INGEST_AUTH, OPERATOR, OPERATOR_AUTH, Site, an_event
from worker.web.guesses import ADDRESSES, EACH, KNOWN_SECONDS, WINDOW_SECONDS, Guesses


def fill(guesses: Guesses, address: str, now: float = 0, many: int = EACH) -> None:
    for number in range(many):
        guesses.wrong(address, b"guess %d" % number, now)


def test_an_address_has_a_few_tries_a_minute() -> None:
    guesses = Guesses()
    for second in range(EACH):
        assert guesses.wait("192.0.2.1", second) == 0
        guesses.wrong("192.0.2.1", b"%d" % second, second)
    assert guesses.wait("192.0.2.1", 10) == pytest.approx(WINDOW_SECONDS - 10)
    assert guesses.wait("192.0.2.2", 10) == 0
    assert guesses.wait("192.0.2.1", WINDOW_SECONDS) == 0


def test_the_same_wrong_token_again_is_no_other_guess() -> None:
    guesses = Guesses()
    for second in range(1000):
        guesses.wrong("192.0.2.1", b"the token of last year", second)
    assert guesses.wait("192.0.2.1", 1000) == 0
    fill(guesses, "192.0.2.1", 1000, EACH - 1)
    assert guesses.wait("192.0.2.1", 1000) > 0


def test_addresses_of_one_customer_count_as_one() -> None:
    guesses = Guesses()
    for number in range(EACH):
        guesses.wrong(f"2001:db8:1:2::{number}", b"%d" % number, 0)
    assert guesses.wait("2001:db8:1:2:ffff::1", 1) > 0
    assert guesses.wait("2001:db8:1:3::1", 1) == 0
    assert guesses.wait("no address", 1) == 0


def test_any_number_of_guessing_addresses_takes_bounded_memory_and_locks_nobody_else_out() -> None:
    guesses = Guesses()
    for number in range(ADDRESSES + 50):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        guesses.wrong(address, b"x", 0)
        guesses.right(address, 0)
    fill(guesses, "10.9.9.9", 0, 10 * EACH)
    assert guesses.wait("192.0.2.9", 1) == 0
    assert (len(guesses._wrong), len(guesses._known), len(guesses._wrong["10.9.9.9"])) == (ADDRESSES, ADDRESSES, EACH)


def test_an_address_is_known_for_a_while() -> None:
    guesses = Guesses()
    guesses.right("192.0.2.1", 0)
    assert guesses.is_known("192.0.2.1", KNOWN_SECONDS - 1)
    assert not guesses.is_known("192.0.2.1", KNOWN_SECONDS)
    assert not guesses.is_known("192.0.2.2", 0)


def test_no_token_that_was_tried_is_kept() -> None:
    guesses = Guesses()
    guesses.wrong("192.0.2.1", b"right elsewhere", 0)
    assert b"right elsewhere" not in repr(vars(guesses)).encode()


class From:
    """Requests from one address."""

    def __init__(self, site: Site, address: str) -> None:
        self.site = site
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(site.app, client=(address, 40_000)), base_url="http://seats.test"
        )

    def bearer(self, token: str, path: str = "/v1/tenants") -> httpx.Response:
        return self._run("GET", path, headers={"Authorization": f"Bearer {token}"})

    def sign_in(self, token: str) -> httpx.Response:
        return self._run("POST", "/sign-in", data={"token": token}, headers=OURS)

    def publish(self, headers: dict[str, str]) -> httpx.Response:
        return self._run("POST", "/v1/events", json=an_event(), headers=headers)

    def _run(self, method: str, path: str, **options: object) -> httpx.Response:
        ours, self.site.client = self.site.client, self.client
        try:
            return self.site.request(method, path, **options)
        finally:
            self.site.client = ours


def test_guesses_over_the_api_are_limited_by_address(site: Site) -> None:
    thief, operator = From(site, "192.0.2.1"), From(site, "192.0.2.2")
    statuses = [thief.bearer(f"guess-{number}").status_code for number in range(EACH + 5)]
    assert statuses == [401] * EACH + [429] * 5
    refused = thief.bearer(OPERATOR)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_SECONDS
    for path in ("/v1/upgrades", "/v1/dead-letters", "/v1/upgrades/upg_1"):
        assert thief.bearer("another", path).status_code == 429
    assert operator.bearer(OPERATOR).status_code == 200


def test_the_form_and_the_api_have_one_limit_together(site: Site) -> None:
    thief, operator = From(site, "192.0.2.1"), From(site, "192.0.2.2")
    for number in range(EACH):
        thief.bearer(f"guess-{number}") if number % 2 else thief.sign_in(f"guess-{number}")
    assert (thief.sign_in(OPERATOR).status_code, thief.bearer(OPERATOR).status_code) == (429, 429)
    assert (operator.sign_in(OPERATOR).status_code, operator.bearer(OPERATOR).status_code) == (303, 200)


def test_where_the_right_token_is_at_work_it_goes_on_whoever_else_guesses_there(site: Site) -> None:
    proxy = From(site, "192.0.2.1")
    assert proxy.bearer(OPERATOR).status_code == 200
    for number in range(3 * EACH):
        assert proxy.bearer(f"guess-{number}").status_code == 401
        assert proxy.bearer(OPERATOR).status_code == 200
    # Not so the form: that anybody at this address has signed in is no reason to let others there guess.
    assert proxy.sign_in(OPERATOR).status_code == 429


def test_many_addresses_that_guess_lock_nobody_out(site: Site) -> None:
    for last in range(60):
        thief = From(site, f"198.51.100.{last}")
        for number in range(3):
            thief.sign_in(f"guess-{number}")
    operator = From(site, "192.0.2.2")
    assert (operator.sign_in(OPERATOR).status_code, operator.bearer(OPERATOR).status_code) == (303, 200)


def test_a_script_with_an_old_token_keeps_nobody_out(site: Site) -> None:
    office = From(site, "192.0.2.1")
    for _ in range(10 * EACH):
        assert office.bearer("operator-token-of-last-year").status_code == 401
    assert office.bearer(OPERATOR).status_code == 200


def test_nobody_can_keep_events_out(site: Site) -> None:
    host_app = From(site, "192.0.2.1")
    for number in range(10 * EACH):
        assert host_app.publish({"Authorization": f"Bearer guess-{number}"}).status_code == 401
        assert host_app.bearer(f"guess-{number}").status_code in (401, 429)
    assert host_app.publish(INGEST_AUTH).status_code == 202


def test_no_token_at_all_is_no_guess(site: Site) -> None:
    stranger = From(site, "192.0.2.1")
    for header in ("", "Bearer", "Bearer ", "Basic eDp5") * EACH:
        assert stranger._run("GET", "/v1/tenants", headers={"Authorization": header}).status_code == 401
    assert stranger.bearer(OPERATOR).status_code == 200


def test_a_guess_costs_no_call_to_the_store(open_site: Open) -> None:
    """What a stranger sends is answered without it: 401 also while the store is away."""
    away = open_site("redis://127.0.0.1:1/0")
    stranger = From(away, "192.0.2.1")
    assert [stranger.bearer("guess").status_code, stranger.sign_in("guess").status_code] == [401, 403]
    assert away.request("GET", "/v1/tenants", headers=OPERATOR_AUTH).status_code == 503
