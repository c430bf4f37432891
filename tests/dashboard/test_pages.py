"""What pages show, and that nothing on them is taken for more than text."""

import re
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.dashboard.browser import Visitor
from tests.dashboard.conftest import Open
from tests.dashboard.sample import LINK, NAMES, TRICKY, seed
from tests.web.site import an_upgrade, looked
from worker.core.facts import OperatorAction, OperatorFact
from worker.core.tenant import Status, Tenant
from worker.core.upgrade import State
from worker.web.dashboard import words


@pytest.fixture
def fleet(open_site: Open) -> Visitor:
    """A visitor of the sample fleet."""
    site = open_site(clock=time.time)
    site.do(lambda _: seed(site.store))
    visitor = Visitor(site)
    visitor.sign_in()
    return visitor


def tenants_on(visitor: Visitor, path: str) -> list[str]:
    """The tenants that a page lists, as their links name them."""
    return re.findall(r'<th scope="row"><a href="/tenants/([^"]*)">', visitor.get(path).text)


def test_an_empty_deployment_says_what_to_do(visitor: Visitor) -> None:
    assert "No tenant is known yet" in visitor.text("/")
    assert "Nothing waits for approval" in visitor.text("/approvals")
    assert "Every payment that came has found its upgrade" in visitor.text("/payments")
    assert "No message has given up" in visitor.text("/dead-letters")
    assert "There has been nothing to tell" in visitor.text("/alerts")
    assert "There is none like that" in visitor.text("/upgrades")
    assert "Nothing is stuck" in visitor.text("/upgrades?state=stuck")


def test_the_overview_counts_what_matters(fleet: Visitor) -> None:
    text = fleet.text("/")
    for words_ in (
        "9 Tenants", "2 Over capacity", "1 Near capacity", "3 Upgrading", "1 Wait for approval", "1 Stuck upgrades",
        "3 Unmatched payments", "1 Dead letters",
    ):  # fmt: skip
        assert words_ in text
    assert "1\N{EN DASH}9 of 9" in text


def test_tenants_are_found_by_status_by_beginning_and_in_three_orders(fleet: Visitor) -> None:
    everyone = sorted(NAMES, key=str.encode)
    assert tenants_on(fleet, "/") == [quote(name, safe="") for name in everyone]
    assert tenants_on(fleet, "/?status=near_capacity") == ["globex"]
    assert tenants_on(fleet, "/?q=u") == ["umbrella"]
    assert tenants_on(fleet, f"/?q={quote('evil/')}") == [quote(TRICKY, safe="")]
    fullest = tenants_on(fleet, "/?sort=fullest")
    assert fullest[0] == quote(TRICKY, safe="")
    assert set(fullest[-2:]) == {"massive", "vandelay"}
    assert tenants_on(fleet, "/?sort=changed")[0] == quote(TRICKY, safe="")
    assert tenants_on(fleet, "/?status=upgrading&sort=fullest") == ["umbrella", "soylent", "hooli"]
    assert "No tenant is like that" in fleet.text("/?q=zzz")


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=99999999999", "?page=x", "?status=x", "?sort=x", "?q=%00", "?q=" + "x" * 999, "?q=%FF"]
)
def test_an_address_that_makes_no_sense_is_no_error(fleet: Visitor, query: str) -> None:
    assert fleet.get("/" + query).status_code == 200


def test_pages_go_both_ways(visitor: Visitor) -> None:
    for number in range(120):
        visitor.site.put_tenant(Tenant(f"t{number:03}", look=looked(1, 2)))
    first, second, third = (tenants_on(visitor, f"/?page={number}") for number in (1, 2, 3))
    assert first + second + third == [f"t{number:03}" for number in range(120)]
    links = dict(re.findall(r'rel="(prev|next)" href="([^"]*)"', visitor.get("/?page=2&status=ok").text))
    assert {name: link.replace("&amp;", "&") for name, link in links.items()} == {
        "prev": "/?status=ok",
        "next": "/?status=ok&page=3",
    }
    assert 'rel="next"' not in visitor.get("/?page=3").text
    assert "fewer pages than that" in visitor.text("/?page=9")


def test_a_tenant_that_is_over_capacity_says_why_and_what_drifts(fleet: Visitor) -> None:
    text = fleet.text("/tenants/initech")
    for part in (
        "Over capacity", "Seats needed 11", "Capacity 10", "110 %", "3 in a row came to nothing", "card_declined",
        "Capacity exceeded", "new-0 new-1 new-2", "left-0 left-1", "Retry", "Seats over time",
    ):  # fmt: skip
        assert part in text, part


def test_credits_growth_and_history_are_shown(fleet: Visitor) -> None:
    text = fleet.text("/tenants/acme")
    for part in (
        "AI credits 170 1,000 88 %",
        "stops",
        "goes on",
        "+0.5 a day",
        "Confirmed: Crovver shows the seats",
        "Older entries",
    ):
        assert part in text, part
    older = re.search(r'href="(/tenants/acme/journal\?cursor=[^"]*)"', fleet.get("/tenants/acme").text)
    assert older
    assert "User events: 1 added" in fleet.text(older[1])


def test_the_link_is_shown_only_while_it_waits_to_be_paid(fleet: Visitor) -> None:
    page = fleet.get("/tenants/umbrella").text
    assert LINK.replace("&", "&amp;") in page
    assert f'href="{LINK.replace("&", "&amp;")}" target="_blank" rel="noopener noreferrer"' in page
    for path in ("/", "/upgrades", "/approvals", "/tenants/acme", "/tenants/initech", "/tenants/umbrella/journal"):
        assert "checkout.stripe.test" not in fleet.get(path).text


def test_a_link_that_is_no_web_address_is_nothing_to_click_on(visitor: Visitor) -> None:
    upgrade = an_upgrade("upg_0", State.AWAITING_PAYMENT)
    assert upgrade.checkout is not None
    bad = replace(upgrade, checkout=replace(upgrade.checkout, url="javascript:alert(1)"))
    visitor.site.put_tenant(Tenant("t", look=looked(1, 1), upgrades=(bad,)))
    assert "javascript:" not in visitor.get("/tenants/t").text


def test_ids_are_text_and_nothing_else(fleet: Visitor) -> None:
    for path in ("/", f"/tenants/{quote(TRICKY, safe='')}", f"/tenants/{quote(TRICKY, safe='')}/reconcile"):
        page = fleet.get(path).text
        assert "<b>" not in page
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "\u202e" not in page.partition("<main")[2]
        assert "U+202E" in page
        assert "49" not in page.partition("{{7*7}}")[0][-20:]
    text = fleet.text(f"/tenants/{quote(TRICKY, safe='')}")
    assert "<script>alert(1)</script>" in text
    assert "rtl" in text


@pytest.mark.parametrize(
    "path",
    [
        "/tenants/nobody",
        "/tenants/%00",
        "/tenants/%FF",
        "/tenants/" + "x" * 300,
        "/tenants/nobody/journal",
        "/upgrades/nothing",
    ],
)
def test_what_is_not_known_is_a_page_that_says_so(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert "is not known here" in answer.text


def test_upgrades_are_listed_by_state_and_stuck_ones_with_their_problem(fleet: Visitor) -> None:
    assert len(tenants_on(fleet, "/upgrades")) == 5
    assert tenants_on(fleet, "/upgrades?state=awaiting_payment") == ["umbrella"]
    assert tenants_on(fleet, "/upgrades?state=nonsense") == tenants_on(fleet, "/upgrades")
    assert tenants_on(fleet, "/upgrades?state=stuck") == ["soylent"]
    assert "nobody knows whether the call reached Crovver" in fleet.text("/upgrades?state=stuck")
    assert tenants_on(fleet, "/approvals") == ["hooli"]
    assert fleet.get("/upgrades/upg_pay").headers["location"] == "/tenants/umbrella"


def test_upgrades_go_on_on_the_next_page(visitor: Visitor) -> None:
    for number in range(60):
        upgrade = an_upgrade(f"upg_{number}", State.AWAITING_PAYMENT, created_at=1_000_000 * (number + 1))
        visitor.site.put_tenant(Tenant(f"t{number:02}", upgrades=(upgrade,)))
    first = tenants_on(visitor, "/upgrades?state=awaiting_payment")
    link = re.search(
        r'href="(/upgrades\?state=awaiting_payment&amp;cursor=[^"]*)"',
        visitor.get("/upgrades?state=awaiting_payment").text,
    )
    assert link
    assert first + tenants_on(visitor, link[1].replace("&amp;", "&")) == [
        f"t{number:02}" for number in reversed(range(60))
    ]


def test_queues_are_shown(fleet: Visitor) -> None:
    payments, letters, alerts = fleet.text("/payments"), fleet.text("/dead-letters"), fleet.text("/alerts")
    assert "evt_stray0" in payments
    assert "cs_test_stray2" in payments
    assert "user_added" in letters
    assert "ValueError: no such thing" in letters
    assert "Capacity exceeded" in alerts
    assert "needed 11 , capacity 10" in alerts


def test_a_dead_letter_is_requeued_or_dropped_after_a_question(fleet: Visitor) -> None:
    assert "Drop this message for good?" in fleet.text("/dead-letters/dead_1/discard")
    assert fleet.act("/dead-letters/dead_1/discard").headers["location"] == "/dead-letters?done=discard"
    assert "Dropped." in fleet.text("/dead-letters?done=discard")
    assert "No message has given up" in fleet.text("/dead-letters")
    gone = fleet.act("/dead-letters/dead_1/requeue")
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("action", "tenant", "upgrade"),
    [("approve", "hooli", "upg_wait"), ("cancel", "umbrella", "upg_pay"), ("retry", "initech", "upg_failed")],
)
def test_a_decision_is_asked_about_then_taken(fleet: Visitor, action: str, tenant: str, upgrade: str) -> None:
    site = fleet.site
    path = f"/upgrades/{upgrade}/{action}"
    assert f'href="{path}"' in fleet.get(f"/tenants/{tenant}").text
    assert "?" in fleet.text(path)
    answer = fleet.act(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tenants/{tenant}?done={action}")
    (fact,) = site.inbox(tenant)
    assert isinstance(fact, OperatorFact)
    assert (fact.action, fact.upgrade) == (OperatorAction(action), upgrade)
    assert 'class="notice good"' in fleet.get(answer.headers["location"]).text


def test_a_decision_that_does_not_fit_is_a_readable_page(fleet: Visitor) -> None:
    for answer in (fleet.get("/upgrades/upg_pay/approve"), fleet.act("/upgrades/upg_pay/approve")):
        assert answer.status_code == 409
        assert "Can&#39;t approve an upgrade that is awaiting_payment; possible now: cancel" in answer.text
    assert fleet.site.inbox("umbrella") == []


def test_htmx_is_answered_with_what_is_new_and_nothing_else(fleet: Visitor) -> None:
    asked = {"HX-Request": "true"}
    part = fleet.get("/tenants/acme", **asked).text
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part
    assert '<svg class="chart' not in part
    assert 'hx-swap-oob="outerMorph"' in part
    assert fleet.get("/tenants/acme/chart", **asked).text.lstrip().startswith('<div id="chart"')
    question = fleet.get("/upgrades/upg_wait/approve", **asked).text
    assert "<html" not in question
    done = fleet.post(
        "/upgrades/upg_wait/approve", {"form_token": fleet.form_token()}, {**{"Sec-Fetch-Site": "same-origin"}, **asked}
    )
    assert (done.status_code, done.headers["hx-retarget"], done.headers["hx-trigger"]) == (200, "#notice", "acted")
    refused = fleet.post(
        "/upgrades/upg_pay/approve", {"form_token": fleet.form_token()}, {**{"Sec-Fetch-Site": "same-origin"}, **asked}
    )
    assert (refused.status_code, refused.headers["hx-retarget"]) == (409, "#notice")
    assert "hx-trigger" not in refused.headers


def test_a_store_that_is_away_is_a_page_that_says_so(open_site: Open) -> None:
    site = open_site("redis://127.0.0.1:1/0")
    visitor = Visitor(site)
    assert visitor.sign_in().status_code == 303
    answer = visitor.get("/")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (503, "text/html")
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert "127.0.0.1" not in answer.text


def test_a_bug_is_a_page_with_a_reference(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    site = open_site()
    visitor = Visitor(site)
    visitor.sign_in()

    async def broken() -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(site.store, "census", broken)
    answer = visitor.get("/")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (500, "text/html")
    assert answer.headers["x-request-id"] in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("distance", "said"),
    [
        (0, "just now"),
        (-4_000_000, "just now"),
        (-59_000_000, "59 s ago"),
        (-3_600_000_000, "1 h ago"),
        (90_000_000, "in 1 min"),
        (-86_400_000_000 * 40, "40 d ago"),
    ],
)
def test_moments_are_told_from_now(distance: int, said: str) -> None:
    assert words.relative(distance) == said


def test_prose_makes_moments_and_code_and_nothing_else() -> None:
    made = words.prose("<b> read 2026-05-01T10:00:00.123Z, `seats retry <x>` at 2026-99-99T10:00:00Z\u202e", 0)
    assert "&lt;b&gt; read <time datetime=" in made
    assert "<code>seats retry &lt;x&gt;</code>" in made
    assert "2026-99-99T10:00:00Z" in made
    assert "U+202E" in made


def test_every_status_and_state_has_a_name() -> None:
    assert set(words.STATUSES) == set(Status)
    assert set(words.STATES) == set(State)
    assert len({name for name, _ in words.STATUSES.values()}) == len(Status)
