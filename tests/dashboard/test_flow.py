"""The whole loop with real processes, seen through the dashboard: too many users, approved, paid, confirmed."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.canaries import INGEST, OPERATOR, Where
from tests.cli.running import started
from tests.dashboard.browser import chromium, sign_in, window
from tests.watch import saw
from worker.cli.loopback import free_port

SETTINGS = {
    "SEATS_UPGRADE_MODE": "approval",
    "SEATS_SETTLE_SECONDS": "0.2",
    "SEATS_INGEST_TOKENS": INGEST,
    "SEATS_OPERATOR_TOKEN": OPERATOR,
}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a deployment with the sandbox in Crovver's place, as `seats up` starts it."""
    port = free_port()
    with started("up", "--port", str(port), cwd=tmp_path, settings=SETTINGS) as up:
        said = _until(up, "Seat Reconciler is up")
        said += _until(up, "Sign in")
        assert f"open the dashboard: http://127.0.0.1:{port}/" in said
        yield f"http://127.0.0.1:{port}"
        up.terminate()
        rest = up.communicate(timeout=60)[0]
        saw(Where.COMMAND, "seats up", said + rest)
        assert not re.search(r"/pay/cs_|" + OPERATOR, said + rest), "a secret or a payable link was logged"


def _until(process: "subprocess.Popen[str]", text: str) -> str:
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it never said {text!r}:\n{said}")


def join(web: str, *users: str) -> None:
    events = [
        {
            "specversion": "1.0", "id": f"evt_{user}", "source": "flow", "type": "user.added",
            "data": {"tenantId": "acme", "userId": user},
        }
        for user in users
    ]  # fmt: skip
    answer = httpx.post(f"{web}/v1/events", json=events, headers={"Authorization": f"Bearer {INGEST}"})
    assert answer.status_code == 202


@pytest.mark.slow
def test_an_upgrade_is_approved_paid_and_confirmed_while_the_page_stays_open(web: str) -> None:
    # The sandbox's tenant "acme" has 3 seats, all taken.
    join(web, "ada", "grace")
    with chromium() as browser, window(browser) as context:
        page = context.new_page()
        sign_in(page, web, OPERATOR)
        expect(page.get_by_role("rowheader", name="acme")).to_be_visible(timeout=30_000)
        page.get_by_role("link", name="acme").click()
        expect(page.get_by_text("5 users need a seat")).to_be_visible(timeout=30_000)
        expect(page.locator(".numbers")).to_contain_text("167 %")
        expect(page.get_by_text("Waits for approval")).to_be_visible(timeout=30_000)
        expect(page.get_by_role("link", name="Approvals 1 waiting")).to_be_visible()
        page.evaluate("window.marker = 'never loaded again'")

        page.get_by_role("link", name="Approve").click()
        page.get_by_role("dialog").get_by_role("button", name="Approve").click()
        expect(page.get_by_text("Approved. The checkout is asked for in a moment.")).to_be_visible()
        expect(page.get_by_role("dialog")).to_be_hidden()

        link = page.get_by_role("link", name="Open the checkout in a new tab")
        with context.expect_page() as opened:
            link.click(timeout=30_000)
        checkout = opened.value
        assert checkout.evaluate("[document.referrer, window.opener]") == ["", None]
        checkout.get_by_role("button", name=re.compile("^Pay ")).first.click()
        expect(checkout.get_by_text("the payment went through")).to_be_visible()

        paid_at = time.monotonic()
        expect(page.locator(".timeline").get_by_text("Confirmed: Crovver shows the seats")).to_be_visible(
            timeout=30_000
        )
        print(f"confirmed on the open page {time.monotonic() - paid_at:.1f} s after the payment")
        expect(page.locator(".numbers")).to_contain_text("100 %")
        expect(page.get_by_label("Checkout link")).to_have_count(0)
        expect(page.get_by_role("link", name="Approvals", exact=True)).to_be_visible()
        expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
        assert page.evaluate("window.marker") == "never loaded again"

        # Back from the checkout's page, as the payer's browser would come: still signed in.
        checkout.evaluate("url => { location.href = url }", f"{web}/tenants/acme")
        expect(checkout.locator(".timeline").get_by_text("Confirmed: Crovver shows the seats")).to_be_visible(
            timeout=15_000
        )
