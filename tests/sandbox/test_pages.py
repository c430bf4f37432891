"""Promises of the pages a customer and a developer see."""

import re

from .conftest import Driver, Receiver, eventually


def press(sandbox: Driver, page: str, label: str) -> str:
    """Press the button of a page that carries a label; where the browser goes next."""
    html = sandbox.get(page).text
    buttons = re.findall(r'<form method="post" action="([^"]+)">\s*<button[^>]*>([^<]+)</button>', html)
    action = next(action for action, found in buttons if found.startswith(label))
    answer = sandbox.post(action.replace("&amp;", "&"))
    assert answer.status_code == 303
    return str(answer.headers["location"])


def test_the_page_names_tenant_seats_and_amount_and_needs_no_script(sandbox: Driver) -> None:
    sandbox.tenant("<acme & co>", capacity=10)
    answer = sandbox.get(f"/pay/{sandbox.session(15, '<acme & co>', cancelUrl='https://app.example/back')}")
    assert answer.status_code == 200
    assert "&lt;acme &amp; co&gt;" in answer.text
    assert "$2.83" in answer.text
    assert "<dd>15</dd>" in answer.text
    assert 'href="https://app.example/back"' in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    css = sandbox.get("/static/sandbox.css")
    assert css.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in css.text


def test_pay_goes_to_the_success_url(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant(capacity=10)
    session = sandbox.session(15, successUrl="https://app.example/done?s={CHECKOUT_SESSION_ID}")
    assert press(sandbox, f"/pay/{session}", "Pay $2.83") == f"https://app.example/done?s={session}"
    assert sandbox.state()["capacity"] == 15
    assert len(receiver.wait_for(1)) == 1


def test_pay_without_a_success_url_says_thank_you(sandbox: Driver) -> None:
    sandbox.tenant()
    session = sandbox.session()
    assert press(sandbox, f"/pay/{session}", "Pay $") == f"/pay/{session}"
    assert "Thank you" in sandbox.get(f"/pay/{session}").text


def test_pressing_pay_twice_pays_once(sandbox: Driver, receiver: Receiver) -> None:
    sandbox.tenant()
    session = sandbox.session()
    for _ in range(2):
        assert sandbox.post(f"/pay/{session}/pay").status_code == 303
    receiver.wait_for(1)
    listed = sandbox.get("/sandbox/deliveries", params={"sender": "stripe"}).json()["deliveries"]
    assert len(listed) == 1


def test_a_declined_card_shows_and_leaves_the_buttons(sandbox: Driver) -> None:
    sandbox.tenant()
    session = sandbox.session()
    page = press(sandbox, f"/pay/{session}", "Decline")
    assert 'role="alert"' in sandbox.get(page).text
    press(sandbox, page, "Pay $")


def test_a_bank_debit_is_decided_on_the_following_page(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10)
    session = sandbox.session(15)
    following = press(sandbox, f"/pay/{session}", "Pay later")
    assert press(sandbox, following, "The debit fails") == f"/pay/{session}"
    assert "debit failed" in sandbox.get(following).text
    session = sandbox.session(15, successUrl="https://app.example/done")
    following = press(sandbox, f"/pay/{session}", "Pay later")
    assert press(sandbox, following, "The debit succeeds") == "https://app.example/done"
    assert sandbox.state()["capacity"] == 15


def test_an_expired_session_has_no_buttons(sandbox: Driver) -> None:
    sandbox.tenant(checkoutLifetimeSeconds=0.05)
    session = sandbox.session()
    eventually(lambda: sandbox.checkouts()[0]["state"] == "expired")
    html = sandbox.get(f"/pay/{session}").text
    assert "This checkout has expired" in html
    assert "<button" not in html


def test_let_it_expire_expires_it(sandbox: Driver) -> None:
    sandbox.tenant()
    session = sandbox.session()
    press(sandbox, f"/pay/{session}", "Let it expire")
    assert sandbox.checkouts()[0]["state"] == "expired"


def test_unknown_pages_are_404(sandbox: Driver) -> None:
    assert sandbox.get("/pay/cs_test_unknown").status_code == 404
    assert sandbox.post("/pay/cs_test_unknown/pay").status_code == 404
    assert sandbox.get("/invoices/unknown").status_code == 404


def test_an_invoice_is_marked_paid_on_its_page(sandbox: Driver) -> None:
    sandbox.tenant(capacity=10, provider="esewa")
    proration = sandbox.checkout(15).json()["data"]["prorationId"]
    assert "Rs 2.83" in sandbox.get(f"/invoices/{proration}").text
    assert press(sandbox, f"/invoices/{proration}", "Mark as paid") == f"/invoices/{proration}"
    assert sandbox.state()["capacity"] == 15


def test_the_index_lists_tenants_and_acts_on_their_checkouts(sandbox: Driver) -> None:
    assert "No tenants yet" in sandbox.get("/").text
    made = sandbox.post("/tenants", data={"id": "acme", "capacity": "10", "taken": "8", "provider": "stripe"})
    assert made.status_code == 303
    sandbox.session(15)
    assert "8 of 10 seats" in sandbox.get("/").text
    assert press(sandbox, "/", "Pay") == "/"
    assert "8 of 15 seats" in sandbox.get("/").text
    assert sandbox.post("/tenants", data={"id": "", "capacity": "1"}).status_code == 400
    assert sandbox.post("/tenants", data={"id": "x", "capacity": "many"}).status_code == 400
