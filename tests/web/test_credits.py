"""The operator API's credits."""

from tests.web.conftest import Open
from tests.web.site import MICROS as NOW
from tests.web.site import Site
from tests.web.test_tenants import fits
from worker.core.credits import CreditPool, Credits, LimitBehavior
from worker.core.facts import HintFact
from worker.core.policy import Policy
from worker.core.tenant import Tenant
from worker.core.times import HOUR
from worker.web import schemas

AT = "2026-09-21T14:13:20.000Z"
POOL = CreditPool("api", "API calls", 850, 500, 1350, 1000, LimitBehavior.SOFT, NOW, 15)


def test_the_balances_are_told_as_they_were_read_last(site: Site) -> None:
    site.put_tenant(Tenant("acme", credits=Credits((POOL,), NOW, NOW)))
    told = site.operate("GET", "/v1/credits/acme")
    assert told.status_code == 200
    assert told.json() == {
        "tenantId": "acme",
        "readAt": AT,
        "trouble": None,
        "pools": {
            "api": {
                "poolKey": "api",
                "displayName": "API calls",
                "baseRemaining": 850,
                "addonRemaining": 500,
                "total": 1350,
                "limit": 1000,
                "limitBehavior": "soft",
                "nextExpiry": AT,
                "usagePercent": 15,
            }
        },
    }
    fits(schemas.Credits, told.json())


def test_balances_never_read_are_none(site: Site) -> None:
    site.put_tenant(Tenant("acme"))
    told = site.operate("GET", "/v1/credits/acme").json()
    assert (told["readAt"], told["pools"]) == (None, {})
    fits(schemas.Credits, told)
    assert site.operate("GET", "/v1/credits/nobody").status_code == 404


def test_they_are_read_on_request_where_they_are_read_at_all(site: Site, open_site: Open) -> None:
    watching = open_site(policy=Policy(credits_every=HOUR))
    watching.put_tenant(Tenant("acme"))
    answer = watching.operate("POST", "/v1/credits/acme/read")
    assert (answer.status_code, answer.json()) == (202, {"tenantId": "acme", "accepted": 1})
    [fact] = watching.inbox("acme")
    assert isinstance(fact, HintFact)
    assert (fact.credits, watching.due()) == (True, ["acme"])
    site.put_tenant(Tenant("acme"))
    refused = site.operate("POST", "/v1/credits/acme/read")
    assert refused.status_code == 409
    assert "SEATS_CREDITS_EVERY" in refused.json()["detail"]
    assert site.inbox("acme") == []
