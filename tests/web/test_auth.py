"""Who may do what: every route against every way of being nobody."""

from typing import Any

import pytest
from starlette.routing import Route

from tests.web.conftest import Open
from tests.web.site import INGEST, OPERATOR, SECRETS, Site

INGEST_ROUTES = [("POST", "/v1/events"), ("PUT", "/v1/tenants/acme/roster")]
OPERATOR_ROUTES = [
    ("GET", "/v1/tenants"),
    ("GET", "/v1/tenants/acme"),
    ("GET", "/v1/tenants/acme/journal"),
    ("POST", "/v1/tenants/acme/reconcile"),
    ("GET", "/v1/credits/acme"),
    ("POST", "/v1/credits/acme/read"),
    ("GET", "/v1/upgrades"),
    ("GET", "/v1/upgrades/upg_1"),
    ("POST", "/v1/upgrades/upg_1/approve"),
    ("POST", "/v1/upgrades/upg_1/cancel"),
    ("POST", "/v1/upgrades/upg_1/retry"),
    ("GET", "/v1/dead-letters"),
    ("GET", "/v1/dead-letters/msg_1"),
    ("POST", "/v1/dead-letters/msg_1/requeue"),
    ("POST", "/v1/dead-letters/msg_1/discard"),
]
SIGNED_ROUTES = [("POST", "/webhooks/stripe"), ("POST", "/webhooks/crovver")]
OPEN_ROUTES = [("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/openapi.json")]
EVERY_ROUTE = [*INGEST_ROUTES, *OPERATOR_ROUTES, *SIGNED_ROUTES, *OPEN_ROUTES]


def test_this_table_holds_every_route(site: Site) -> None:
    routes = [route for route in site.app.routes if isinstance(route, Route)]
    assert len(routes) == len(EVERY_ROUTE)


@pytest.mark.parametrize(("method", "path"), [*INGEST_ROUTES, *OPERATOR_ROUTES])
def test_nobody_gets_in_without_the_right_token(site: Site, method: str, path: str) -> None:
    ingest = (method, path) in INGEST_ROUTES
    right, other = (INGEST, OPERATOR) if ingest else (OPERATOR, INGEST)
    wrong: list[Any] = [
        None, "", "Bearer", "Bearer ", f"Basic {right}", right, f"Bearer {right}x", f"Bearer {right[:-1]}",
        f"Bearer {other}", f"Bearer {right.upper()}", b"Bearer \xff\xfe", f"Bearer {right} {right}", f"Bearer,{right}",
    ]  # fmt: skip
    for header in wrong:
        answer = site.request(method, path, headers={} if header is None else {"Authorization": header})
        assert answer.status_code == 401, header
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert right not in answer.text
    assert site.request(method, path, headers={"Authorization": f"Bearer {right}"}).status_code != 401
    assert site.request(method, f"{path}?token={right}").status_code == 401


@pytest.mark.parametrize(
    ("left_out", "routes"),
    [
        ("ingest_tokens", INGEST_ROUTES),
        ("operator_token", OPERATOR_ROUTES),
        ("stripe_secrets", SIGNED_ROUTES[:1]),
        ("crovver_secret", SIGNED_ROUTES[1:]),
    ],
)
def test_a_route_whose_secret_is_not_set_is_not_there(
    open_site: Open, left_out: str, routes: list[tuple[str, str]]
) -> None:
    site = open_site(**{left_out: type(SECRETS[left_out])() if left_out != "crovver_secret" else None})
    for method, path in routes:
        for asked in (method, "GET", "DELETE"):
            for headers in ({}, {"Authorization": f"Bearer {OPERATOR}"}, {"Authorization": "Bearer "}):
                assert site.request(asked, path, headers=headers).status_code == 404
    of_one = {("GET", "/v1/tenants/acme"), ("GET", "/v1/upgrades/upg_1"), ("GET", "/v1/dead-letters/msg_1")}
    for method, path in set(EVERY_ROUTE) - set(routes) - of_one:
        assert site.request(method, path).status_code != 404


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
def test_a_wrong_method_is_refused_naming_the_right_one(site: Site, method: str, path: str) -> None:
    answer = site.request("DELETE", path)
    assert answer.status_code == 405
    assert method in answer.headers["allow"]
    assert answer.json()["status"] == 405


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/events/", "/v2/events", "/index.html", "/v1/tenants/", "/%", "/v1%2Fevents"]
)
def test_an_unknown_path_is_a_problem_document(site: Site, path: str) -> None:
    answer = site.request("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


def test_secrets_are_in_no_repr(site: Site) -> None:
    shown = repr(site.services)
    assert not any(
        secret in shown for secret in (INGEST, OPERATOR, *SECRETS["stripe_secrets"], SECRETS["crovver_secret"])
    )
