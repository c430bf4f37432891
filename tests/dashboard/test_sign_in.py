"""Who gets in, who does not, and what every answer carries."""

import hashlib
import re
from importlib.resources import files

import pytest

from tests.dashboard.browser import OURS, Visitor
from tests.dashboard.conftest import Open
from tests.web.site import OPERATOR, Site, an_upgrade, looked
from worker.core.tenant import Tenant
from worker.core.upgrade import State
from worker.web.dashboard.session import COOKIE, LIFETIME_SECONDS
from worker.web.guesses import EACH

PAGES = ["/", "/tenants/acme", "/upgrades", "/approvals", "/payments", "/dead-letters", "/alerts"]


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/static/dashboard.css"])
def test_without_an_operator_token_there_is_no_dashboard(open_site: Open, path: str) -> None:
    site = open_site(operator_token=None)
    assert site.request("GET", path).status_code == 404
    assert site.request("POST", path, headers=OURS).status_code == 404


@pytest.mark.parametrize("path", [*PAGES, "/tenants/a%2Fb?cursor=1-0", "/upgrades/upg_0/approve"])
def test_whoever_is_not_signed_in_is_sent_to_sign_in_and_back(site: Site, path: str) -> None:
    visitor = Visitor(site)
    answer = visitor.get(path)
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where.startswith("/sign-in")
    assert "acme" not in visitor.get(path).text
    hidden = re.search(r'name="next" value="([^"]*)"', visitor.get(where).text)
    assert hidden
    assert hidden[1] == path
    assert visitor.sign_in(next=hidden[1]).headers["location"] == path


def test_the_session_is_a_signed_cookie_that_scripts_and_other_sites_cannot_use(site: Site) -> None:
    answer = Visitor(site).sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    parts = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name == COOKIE
    assert parts >= {"httponly", "samesite=strict", "path=/", f"max-age={LIFETIME_SECONDS}"}
    assert "secure" not in parts
    assert OPERATOR not in answer.headers["set-cookie"]


@pytest.mark.parametrize("headers", [{"X-Forwarded-Proto": "https"}, {"Origin": "https://seats.test"}])
def test_over_https_the_cookie_never_leaves_for_http(site: Site, headers: dict[str, str]) -> None:
    answer = Visitor(site).post("/sign-in", {"token": OPERATOR}, {**OURS, **headers})
    assert "; secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "wrong", OPERATOR[:-1], OPERATOR + "x", OPERATOR.upper(), "é" * 600])
def test_a_wrong_token_gets_nowhere(site: Site, token: str) -> None:
    visitor = Visitor(site)
    answer = visitor.sign_in(token)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "That is not the operator token." in answer.text
    assert visitor.get("/").status_code == 303
    assert token not in str(site.log.entries) or not token


def test_failed_sign_ins_are_limited_even_for_the_right_token(site: Site) -> None:
    visitor = Visitor(site)
    for number in range(EACH):
        assert visitor.sign_in(f"wrong {number}").status_code == 403
    answer = visitor.sign_in()
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers


def test_a_session_ends_after_half_a_day(site: Site, visitor: Visitor) -> None:
    assert visitor.get("/").status_code == 200
    site.clock += LIFETIME_SECONDS
    assert visitor.get("/").status_code == 303


def test_signing_out_takes_the_cookie_away(visitor: Visitor) -> None:
    answer = visitor.post("/sign-out", {"form_token": visitor.form_token()})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert re.match(rf'{COOKIE}=""; .*Max-Age=0', answer.headers["set-cookie"])


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(site: Site, visitor: Visitor) -> None:
    copy = Visitor(site)
    copy.cookies = dict(visitor.cookies)
    other = Visitor(site)
    other.sign_in()
    form_token = copy.form_token()
    visitor.post("/sign-out", {"form_token": visitor.form_token()})
    assert copy.get("/").status_code == 303
    assert copy.post("/sign-out", {"form_token": form_token}).headers["location"] == "/sign-in"
    assert copy.get("/sign-in").status_code == 200
    assert other.get("/").status_code == 200


def test_whoever_is_signed_in_already_need_not_sign_in(visitor: Visitor) -> None:
    answer = visitor.get("/sign-in?next=%2Fapprovals")
    assert (answer.status_code, answer.headers["location"]) == (303, "/approvals")


@pytest.mark.parametrize(
    "where",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "evil.test",
        "/a\r\nSet-Cookie: x=y",
        "javascript:1",
        "/ü",
        "",
    ],
)
def test_signing_in_leads_to_pages_of_ours_alone(site: Site, where: str) -> None:
    answer = Visitor(site).sign_in(next=where)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "null"}, {"Origin": "http://evil.test"}, {**OURS, "Sec-Fetch-Site": "cross-site"}]
)
def test_nobody_is_signed_in_by_a_page_of_somebody_else(site: Site, headers: dict[str, str]) -> None:
    answer = Visitor(site).post("/sign-in", {"token": OPERATOR}, headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_link_in_a_message_arrives_although_the_cookie_is_strict(site: Site, visitor: Visitor) -> None:
    """The browser holds the cookie back, so the page is asked for once more, from a page of ours."""
    stranger = Visitor(site)
    answer = stranger.get("/tenants/a%2Fb", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/tenants/a%2Fb">' in answer.text
    assert stranger.get("/tenants/a%2Fb", **{"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert visitor.get("/", **{"Sec-Fetch-Site": "cross-site"}).text.count("Overview") > 0


def test_a_page_that_is_open_is_sent_to_sign_in_when_its_session_ends(site: Site) -> None:
    answer = Visitor(site).get("/", **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"], answer.text) == (401, "/sign-in", "")


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/tenants/nobody", "/upgrades/nothing/approve"])
def test_every_page_is_guarded_by_its_headers(site: Site, visitor: Visitor, path: str) -> None:
    site.put_tenant(Tenant("acme", look=looked(1, 2)))
    answer = visitor.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=|\sstyle=|<style|hx-on|javascript:", answer.text)


class TestForms:
    """What changes something needs a session, our own page, and the form's token: each of them."""

    PATH = "/tenants/acme/reconcile"

    @pytest.fixture(autouse=True)
    def tenant(self, site: Site) -> None:
        site.put_tenant(Tenant("acme", look=looked(1, 2)))
        site.due()

    def test_with_all_three_it_is_done(self, site: Site, visitor: Visitor) -> None:
        assert visitor.act(self.PATH).status_code == 303
        assert len(site.inbox("acme")) == 1

    @pytest.mark.parametrize("token", [None, "", "0" * 64, "é"])
    def test_without_the_form_token_nothing_is(self, site: Site, visitor: Visitor, token: str | None) -> None:
        answer = visitor.post(self.PATH, {"other": ""} if token is None else {"form_token": token})
        assert answer.status_code == 403
        assert site.inbox("acme") == []

    def test_the_form_token_of_another_session_does_not_do(self, site: Site, visitor: Visitor) -> None:
        other = Visitor(site)
        other.sign_in()
        answer = visitor.post(self.PATH, {"form_token": other.form_token()})
        assert answer.status_code == 403
        assert site.inbox("acme") == []

    @pytest.mark.parametrize(
        "headers", [{}, {"Origin": "http://evil.test"}, {"Origin": "null"}, {**OURS, "Sec-Fetch-Site": "cross-site"}]
    )
    def test_from_another_site_nothing_is(self, site: Site, visitor: Visitor, headers: dict[str, str]) -> None:
        answer = visitor.post(self.PATH, {"form_token": visitor.form_token()}, headers)
        assert answer.status_code == 403
        assert "did not come from a page of this dashboard" in answer.text
        assert site.inbox("acme") == []

    def test_without_a_session_nothing_is(self, site: Site, visitor: Visitor) -> None:
        answer = Visitor(site).post(self.PATH, {"form_token": visitor.form_token()})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert site.inbox("acme") == []

    def test_the_operator_token_as_a_bearer_is_no_way_round(self, site: Site) -> None:
        answer = Visitor(site).post(self.PATH, {}, {**OURS, "Authorization": f"Bearer {OPERATOR}"})
        assert answer.status_code == 303
        assert site.inbox("acme") == []

    def test_a_get_asks_and_does_nothing(self, site: Site, visitor: Visitor) -> None:
        assert "Reconcile this tenant now?" in visitor.text(self.PATH)
        assert site.inbox("acme") == []

    def test_a_cookie_is_no_way_into_the_api(self, visitor: Visitor) -> None:
        assert visitor.get("/v1/tenants").status_code == 401
        assert visitor.post("/v1/tenants/acme/reconcile", {"form_token": visitor.form_token()}).status_code == 401

    def test_a_form_that_is_none_is_refused(self, visitor: Visitor) -> None:
        answer = visitor.site.request(
            "POST",
            self.PATH,
            content=b"{}",
            headers={**OURS, "Content-Type": "application/json", "Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"},
        )
        assert answer.status_code == 415
        many = visitor.post(self.PATH, {f"field{number}": "x" for number in range(50)})
        assert many.status_code == 400


def test_the_api_and_its_problems_are_as_they_were(site: Site, visitor: Visitor) -> None:
    site.put_tenant(Tenant("t", upgrades=(an_upgrade("upg_0", State.CONFIRMED),)))
    for method, path, status in (("GET", "/nowhere", 404), ("POST", "/v1/tenants", 405), ("GET", "/v1/events", 405)):
        answer = site.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    page = visitor.post("/approvals", {"form_token": visitor.form_token()})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (405, "text/html")


@pytest.mark.parametrize("name", ["dashboard.css", "dashboard.js", "htmx.min.js", "icon.svg", "htmx.LICENSE.txt"])
def test_files_are_served_to_anyone_and_kept_by_their_mark(site: Site, name: str) -> None:
    answer = site.request("GET", f"/static/{name}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    mark = answer.headers["etag"].strip('"')
    kept = site.request("GET", f"/static/{name}?v={mark}").headers["cache-control"]
    assert "immutable" in kept
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["htmx.sha256", "..%2Fapp.py", "%2e%2e", "nothing.js"])
def test_no_other_file_is_served(site: Site, name: str) -> None:
    assert site.request("GET", f"/static/{name}").status_code == 404


def test_htmx_is_what_its_authors_released() -> None:
    folder = files("worker.web.dashboard").joinpath("static")
    digest, name = folder.joinpath("htmx.sha256").read_text().split()
    assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest
    assert b"4.0.1" in folder.joinpath(name).read_bytes()
