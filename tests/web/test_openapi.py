"""/openapi.json describes what there is."""

import re
from typing import Any

from starlette.routing import Route

from tests.web.site import Site
from worker.web.openapi import document


def operations(spec: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): about for path, item in spec["paths"].items() for method, about in item.items()}


def test_it_is_served_to_anyone(site: Site) -> None:
    answer = site.request("GET", "/openapi.json")
    assert (answer.status_code, answer.json()) == (200, document())
    assert answer.json()["openapi"].startswith("3.1")


def test_every_route_is_described_and_nothing_else(site: Site) -> None:
    routes = {
        (method, re.sub(r":id\}", "}", route.path))
        for route in site.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(operations(document())) == routes


def test_every_reference_leads_somewhere() -> None:
    spec = document()
    names = set(re.findall(r"#/components/schemas/(\w+)", str(spec)))
    assert names <= set(spec["components"]["schemas"])
    assert "$defs" not in str(spec)


def test_every_operation_has_an_id_of_its_own_and_says_who_may_call_it() -> None:
    found = operations(document())
    assert len({about["operationId"] for about in found.values()}) == len(found)
    schemes = document()["components"]["securitySchemes"]
    for (_, path), about in found.items():
        secured = path.startswith(("/v1/", "/webhooks/"))
        assert bool(about.get("security")) == secured
        assert all(name in schemes for item in about.get("security", []) for name in item)


def test_every_status_code_is_told() -> None:
    found = {key: set(about["responses"]) for key, about in operations(document()).items()}
    assert found["POST", "/v1/events"] == {"202", "400", "401", "404", "408", "413", "415", "500", "503"}
    assert found["PUT", "/v1/tenants/{tenantId}/roster"] >= {"202", "400", "401", "404", "409", "413", "415", "503"}
    assert found["POST", "/webhooks/stripe"] >= {"200", "400", "404", "413", "503"}
    assert found["POST", "/v1/upgrades/{upgradeId}/approve"] == {"202", "401", "404", "409", "500", "503"}
    assert found["GET", "/readyz"] >= {"200", "503"}
