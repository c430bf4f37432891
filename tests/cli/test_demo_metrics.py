"""Every metric that the shipped rules and dashboard ask for is there after the demo."""

import re
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.cli.running import started
from tests.monitoring import missing, scraped, total
from tests.processes import eventually

UNKNOWN = ("seats_crovver_calls_total", {"endpoint": "proration-checkout", "outcome": "unknown"})
"""One of the demo's checkout calls has its answer lost."""


def scrape(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.slow
def test_after_the_demo_every_metric_of_the_shipped_files_exists(tmp_path: Path) -> None:
    with started("demo", "--json", "--keep", cwd=tmp_path) as demo:
        assert demo.stdout is not None
        said = ""
        while "  publish " not in said:  # the last of the lines that say what is still running
            line = demo.stdout.readline()
            assert line, said
            said += line
        found = re.search(r"^  (?:web|dashboard) +(http://[^/]+)/", said, re.MULTILINE)
        assert found is not None, said
        # A process hands over what it has counted every second.
        assert eventually(lambda: total(scraped(scrape(found[1])), UNKNOWN[0], **UNKNOWN[1]) == 1)
        text = scrape(found[1])
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    assert missing(text) == []
    samples = scraped(text)
    assert total(samples, "seats_tenants") == 6
    assert total(samples, "seats_upgrades", state="confirmed") == 5
    assert total(samples, "seats_facts_accepted_total", door="events") >= 300
    assert total(samples, "seats_fact_to_decision_seconds_count") >= 300
    assert total(samples, "seats_dead_letters") == 0
