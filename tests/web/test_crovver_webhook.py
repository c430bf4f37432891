"""POST /webhooks/crovver: signed hints to look at a tenant."""

import json
from typing import Any

import pytest

from tests.web.site import MICROS, Site, crovver_headers
from worker.core.facts import HintFact
from worker.core.tenant import Tenant

EVENT = {"id": "wh_1", "type": "subscription.updated", "data": {"external_tenant_id": "acme", "capacity_units": 15}}


def send(site: Site, event: object, headers: dict[str, str] | None = None) -> Any:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    headers = crovver_headers(body) if headers is None else headers
    return site.request("POST", "/webhooks/crovver", content=body, headers=headers)


def test_news_of_a_known_tenant_has_it_looked_at(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    assert (send(site, EVENT).status_code, send(site, EVENT).json()) == (200, {"received": True})
    assert site.inbox("acme")[0] == HintFact("crovver webhook subscription.updated", MICROS, "wh_1")
    assert site.due() == ["acme"]


@pytest.mark.parametrize("data", [{"external_tenant_id": "stranger"}, {}, None, []])
def test_news_of_nobody_here_is_acknowledged_and_not_stored(site: Site, data: object) -> None:
    assert send(site, {**EVENT, "data": data}).status_code == 200
    assert (site.inbox("stranger"), site.due()) == ([], [])


@pytest.mark.parametrize("signature", [None, "", "sha256=00", "sha256=\xff", "00"])
def test_an_unsigned_or_forged_webhook_is_refused_and_nothing_is_stored(site: Site, signature: str | None) -> None:
    site.put_tenant(Tenant("acme"))
    headers: Any = {} if signature is None else {"X-Crovver-Signature": signature.encode("latin-1")}
    assert send(site, EVENT, headers).status_code == 400
    assert send(site, EVENT, crovver_headers(json.dumps(EVENT).encode(), "another secret")).status_code == 400
    assert site.inbox("acme") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_signed_nonsense_is_refused(site: Site, body: bytes) -> None:
    assert send(site, body).status_code == 400


def test_an_8_mib_webhook_is_refused(site: Site) -> None:
    assert send(site, b" " * 8 * 1_048_576).status_code == 413
