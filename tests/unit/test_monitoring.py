"""The shipped alert rules and dashboard, as files. That their metrics exist, the processes' own tests say."""

import re

import pytest

from tests.monitoring import Selector, dashboard, dashboard_expressions, missing, rules, scraped, selectors, total


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", [Selector("up")]),
        ("absent(a_b) > 1", [Selector("a_b")]),
        ('sum by (job) (max by (job, x) (rate(a{x=~"b|c", y!="d"}[10m]))) / on (job) z > 0.2',
         [Selector("a", (("x", "=~", "b|c"), ("y", "!=", "d"))), Selector("z")]),
        ("histogram_quantile(0.99, max by (le) (rate(a_bucket[10m]))) unless on (job) b == 0",
         [Selector("a_bucket"), Selector("b")]),
        ("label_values(a, job)", [Selector("a")]),
    ],
)  # fmt: skip
def test_what_an_expression_reads_is_found(expression: str, found: list[Selector]) -> None:
    assert selectors(expression) == found


def test_what_a_scrape_lacks_is_told() -> None:
    lacking = missing('# TYPE seats_upgrades gauge\nseats_upgrades{state="paid"} 1\n')
    assert "seats_tenants" in lacking
    assert "seats_upgrades" not in lacking
    assert "seats_upgrades{state=confirmed}" in lacking
    assert "seats_alerts_total" in lacking


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) > 10
    for rule in found:
        assert rule["alert"].startswith("Seats")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert all(text.endswith(".") for text in rule["annotations"].values())
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_one_refused_key_does_not_wake_anybody() -> None:
    """The alert fires only where it goes on: what is counted is out of the window by then."""
    (rule,) = [rule for rule in rules() if rule["alert"] == "SeatsCrovverKeyNotAccepted"]
    window = re.search(r"\[(\d+)m\]", rule["expr"])
    assert window is not None
    assert int(window[1]) <= int(rule["for"].removesuffix("m"))


def test_alerts_that_wait_without_a_failure_are_told_of() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == "SeatsAlertsWait"]
    assert [one.metric for one in selectors(rule["expr"])] == [
        "seats_alerts_oldest_pending_seconds",
        "seats_alert_channel_failing_seconds",
    ]


def test_every_expression_stands_several_web_processes_that_serve_the_same_sums() -> None:
    for expression in [*(rule["expr"] for rule in rules()), *dashboard_expressions()]:
        if expression.startswith(("absent(", "label_values(")):
            continue
        bare = re.sub(r"max(?: by \([^)]*\))? ?\((?:[^()]|\([^()]*\))*\)", "", re.sub(r"\{[^}]*\}", "", expression))
        assert selectors(bare) == [], expression


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
        assert panel["targets"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert {"datasource", "job"} == {variable["name"] for variable in board["templating"]["list"]}
    assert all('job="$job"' in target["expr"] for panel in panels for target in panel["targets"])


def test_samples_are_added_up_by_label() -> None:
    samples = scraped('a{x="1",y="1"} 1\na{x="1",y="2"} 2\na{x="2",y="2"} 4\n')
    assert (total(samples, "a"), total(samples, "a", x="1"), total(samples, "a", x="1", y="2")) == (7, 3, 2)
    with pytest.raises(AssertionError, match="no b"):
        total(samples, "b")
