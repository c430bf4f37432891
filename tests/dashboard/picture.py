"""Takes the picture of the dashboard that the README shows: ``python -m tests.dashboard.picture [PATH]``.

It plays the demo, keeps it running, has more people join one of its tenants than there are seats, and looks at it.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect

from tests.cli.running import started
from tests.dashboard.browser import chromium, sign_in, window
from worker.publisher import SeatEvents

PICTURE = Path(__file__).with_name("dashboard.png")
TENANT = "acme"
"""Has 9 people and 10 seats when the demo is over."""


def take(path: Path) -> None:
    """Write the picture.

    Raises:
        SystemExit: the demo did not come to its end.
    """
    with tempfile.TemporaryDirectory() as folder, started("demo", "--keep", cwd=Path(folder)) as demo:
        url, token, redis_url = _way_in(demo)
        with SeatEvents.from_url(redis_url) as seats:
            seats.user_added(TENANT, "ada")
            time.sleep(3)
            for user in ("grace", "edsger", "barbara"):
                seats.user_added(TENANT, user)
        with chromium() as browser, window(browser, viewport={"width": 1280, "height": 1000}) as context:
            page = context.new_page()
            sign_in(page, url, token)
            page.goto(f"{url}/tenants/{TENANT}")
            expect(page.get_by_label("Checkout link")).to_be_visible(timeout=15_000)
            page.reload()  # with the chart of this moment
            page.screenshot(path=path)
        demo.terminate()
        demo.wait(30)


def _way_in(demo: "subprocess.Popen[str]") -> tuple[str, str, str]:
    """The dashboard's URL, the operator token and Redis's URL, as the demo prints them."""
    said, way = "", ("", "")
    assert demo.stdout is not None
    for line in demo.stdout:
        said += line
        if found := re.search(r"dashboard +(http\S+?)/ +\(sign in with the operator token (\S+)\)", line):
            way = found[1], found[2]
        if found := re.search(r"redis +(redis://\S+)", line):
            return *way, found[1]
    raise SystemExit(f"the demo said nothing of a dashboard:\n{said}")


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
