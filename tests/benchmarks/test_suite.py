"""The suite runs, and what it yields is well-formed. Nothing here asserts how fast anything is."""

import json
import math
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.__main__ import lines, main, measure
from tests.benchmarks.figures import Goal, figure
from tests.benchmarks.harness import Bench, Skipped
from tests.benchmarks.peers.lineup import Peer
from tests.benchmarks.plots import draw
from tests.benchmarks.workload import Workload, event_size


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """A small run, as ``--json`` writes it."""
    bench = Bench(rounds=1, small=True, say=lambda line: None)
    found: dict[str, Any] = json.loads(json.dumps(measure(bench, ["apply", "decide", "growth"])))
    return found


def figures(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in report["subjects"].values():
        yield from each


def test_every_subject_yields_figures_that_are_numbers_within_their_spread(report: dict[str, Any]) -> None:
    assert all(report["subjects"][name] for name in ("apply", "decide", "growth"))
    for one in figures(report):
        assert math.isfinite(one["value"]), one
        assert 0 <= one["low"] <= one["value"] <= one["high"], one
        assert one["unit"], one
        assert one["rounds"] == 1, one


def test_the_machine_and_its_noise_are_named(report: dict[str, Any]) -> None:
    assert report["machine"]["cpu"]
    assert report["machine"]["server"]
    assert report["noise"]["loops"] > 0
    assert report["skipped"] == report["broken"] == {}


def test_what_does_not_depend_on_the_machine_reaches_its_goal(report: dict[str, Any]) -> None:
    counts = [one for one in figures(report) if one["unit"] in ("reads", "bytes") and one["goal"] is not None]
    assert len(counts) >= 8
    for one in counts:
        assert Goal(**one["goal"]).met(one["value"]), one
    calls = {one["name"]: one["value"] for one in figures(report) if one["unit"] == "calls"}
    assert calls == {
        "1 event a tenant": 100,
        "10 events a tenant": 10,
        "100 events a tenant": 1,
        "10 events a tenant, one by one, on one look": 10,
    }


def test_the_pictures_are_svg_and_name_what_they_show(report: dict[str, Any], tmp_path: Path) -> None:
    drawn = draw(report, tmp_path)
    assert len(drawn) > 8
    for path in drawn:
        picture = xml.parse(path).getroot()
        words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
        group = words[0]
        names = {one["name"] for one in figures(report) if one["group"] == group}
        assert names, path
        assert names <= set(words), path


def test_variants_take_turns_and_each_round_begins_with_another_one() -> None:
    seen: list[str] = []
    bench = Bench(rounds=3, say=lambda line: None)

    def ran(name: str, value: float) -> float:
        seen.append(name)
        return value * len(seen)

    found = bench.compare(
        "g", {"a": lambda: ran("a", 2.0), "b": lambda: ran("b", 1.0)}, unit="x", against=["b"],
        goals={"a": {"b": Goal(least=5)}},
    )  # fmt: skip
    assert seen == ["a", "b", "b", "a", "a", "b"]
    assert (found[0].value, found[0].low, found[0].high) == (8.0, 2.0, 10.0)
    assert [ratio.to for ratio in found[0].ratios] == ["b"]
    assert found[0].ratios[0].value == pytest.approx(10 / 6)
    assert not found[0].goals_met
    assert found[1].ratios == ()


def test_what_cannot_run_says_why_and_the_rest_goes_on() -> None:
    said: list[str] = []
    bench = Bench(rounds=2, say=said.append)
    peer = Peer("p", "p", (), "", needs=("no_such_package_anywhere",))

    def missing() -> float:
        peer.check()
        return 1.0

    found = bench.compare("g", {"there": lambda: 1.0, "missing": missing}, unit="x")
    assert [one.name for one in found] == ["there"]
    assert found[0].rounds == 2
    assert "no_such_package_anywhere not installed" in bench.skipped["missing"]
    assert len(said) == 1


def test_a_figure_is_read_with_its_goal() -> None:
    one = figure("g", "ours", [10.0, 12.0, 11.0], "events/s", against={"theirs": [1.0, 1.0, 1.0]}, goal=Goal(least=11))
    text = "\n".join(lines([one]))
    assert "11 events/s" in text
    assert "[≥ 11: yes]" in text
    assert "11 times theirs (10 to 12)" in text


def test_the_workload_is_the_same_each_time_and_knows_its_outcome() -> None:
    load = Workload(2, 200)
    tenant = load.names()[1]
    assert load.facts(tenant) == load.facts(tenant) != load.facts(load.names()[0])
    assert len(list(load.messages())) == load.total == 400
    assert event_size() == 235
    expected = load.expected(tenant)
    assert set(expected) == {fact.user for fact in load.facts(tenant)}
    last = max((fact for fact in load.facts(tenant)), key=lambda fact: (fact.at, fact.id))
    assert expected[last.user] == (last.membership == "added", last.id)


def test_a_subject_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["aply"])
    assert refused.value.code == 2
    assert "no such subject: aply" in capsys.readouterr().err


def test_a_subject_may_be_left_out_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.benchmarks import growth

    def run(bench: Bench) -> list[Any]:
        raise Skipped("there is no room")

    monkeypatch.setattr(growth, "run", run)
    report = measure(Bench(rounds=1, small=True, say=lambda line: None), ["growth"])
    assert report["subjects"] == {}
    assert report["skipped"] == {"growth": "there is no room"}


def test_a_subject_that_breaks_is_told_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.benchmarks import decide, growth

    def broken(bench: Bench) -> list[Any]:
        raise RuntimeError("it broke")

    monkeypatch.setattr(decide, "run", broken)
    monkeypatch.setattr(growth, "run", lambda bench: [figure("g", "a", [1.0], "x")])
    report = measure(Bench(rounds=1, small=True, say=lambda line: None), ["decide", "growth"])
    assert report["broken"] == {"decide": "RuntimeError: it broke"}
    assert list(report["subjects"]) == ["growth"]
