"""What the engine tells its observer: how late each fact from outside was decided on, and which upgrades moved."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.engine.world import World
from worker.core.facts import HintFact
from worker.core.times import SECOND
from worker.core.upgrade import State


class Recorder:
    def __init__(self) -> None:
        self.lags: list[int] = []
        self.traces: list[str] = []
        self.states: list[State] = []

    def decided(self, lags: Sequence[int], traces: Sequence[str]) -> None:
        self.lags += lags
        self.traces += traces

    def moved(self, state: State) -> None:
        self.states.append(state)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def world(recorder: Recorder) -> World:
    world = World()
    world.ports = replace(world.ports, observer=recorder)
    world.subscribe("t", 10, 8)
    return world


def test_each_fact_from_outside_is_told_once_with_its_own_lag(world: World, recorder: Recorder) -> None:
    world.join("t", "ada")
    world.at += 3 * SECOND
    world.join("t", "grace")
    world.at += 2 * SECOND
    world.run()
    assert recorder.lags == [5 * SECOND, 2 * SECOND]
    world.wait(3600)
    assert recorder.lags == [5 * SECOND, 2 * SECOND]


def test_it_is_told_which_requests_brought_what_was_decided_on(world: World, recorder: Recorder) -> None:
    for trace in ("00-a-1-01", "", "00-b-2-01", "00-a-1-01"):
        world.do(world.store.append({"t": [HintFact("test", 1, "hint")]}, trace=trace))
    world.run()
    assert recorder.traces == ["00-a-1-01", "00-b-2-01"]


def test_the_outcomes_of_its_own_calls_are_no_news(world: World, recorder: Recorder) -> None:
    world.join("t", *(f"new_{number}" for number in range(5)))
    world.run()
    assert len(recorder.lags) == 5
    world.at += SECOND
    world.pay(world.crovver.payables[0])
    world.run()
    assert len(recorder.lags) == 6
    assert recorder.states[:2] == [State.REQUESTING, State.AWAITING_PAYMENT]
    assert recorder.states[-1] is State.CONFIRMED
    assert len(set(recorder.states)) == len(recorder.states)


def test_a_fact_that_waits_through_a_failed_save_keeps_its_age(world: World, recorder: Recorder) -> None:
    world.join("t", "ada")
    world.run()
    recorder.lags.clear()
    world.join("t", "grace")
    world.at += 40 * SECOND
    # Someone else saves between this pass's load and its save, once.
    taken = world.store.commit

    async def beaten(*passed: object) -> bool:
        world.store.commit = taken  # type: ignore[method-assign]
        return False

    world.store.commit = beaten  # type: ignore[assignment]
    world.run()
    assert recorder.lags == [40 * SECOND]
