"""How often Crovver is asked, whatever number of events comes."""

from dataclasses import replace

import pytest

from tests.engine.world import World
from worker.core.times import SECOND
from worker.engine.ports import Pace


def world_of(capacity: int, taken: int) -> World:
    world = World()
    world.ports = replace(world.ports, pace=Pace())
    world.subscribe("t", capacity, taken)
    return world


@pytest.mark.parametrize("events", [1, 10, 1_000])
@pytest.mark.parametrize("taken", [0, 50, 100])
@pytest.mark.parametrize("spread", [0, 20], ids=["at once", "over twenty seconds"])
def test_a_burst_of_any_number_of_events_costs_two_reads_at_most(events: int, taken: int, spread: int) -> None:
    world = world_of(5_000, taken)
    for number in range(events):
        world.join("t", f"new-{number}")
        if spread and number % max(1, events // 10) == 0:
            world.wait(spread / 10)
    world.wait(60)
    assert world.crovver.reads <= 2
    assert world.loaded().counts.needed == taken + events


@pytest.mark.parametrize("events", [10, 1_000])
def test_and_so_does_one_that_leads_to_a_purchase(events: int) -> None:
    world = world_of(5, 5)
    world.join("t", *(f"new-{number}" for number in range(events)))
    world.run()
    assert world.crovver.checkout_calls == [("t", 5 + events)]
    assert world.crovver.reads <= 2


def test_a_tenant_of_five_thousand_is_read_whole_once_and_then_by_the_page() -> None:
    world = world_of(6_000, 5_000)
    world.look("t")
    world.run()
    assert world.crovver.reads <= 60
    for number in range(3):
        world.at += 60 * SECOND
        before = world.crovver.reads
        world.crovver.subscriptions["t"].seats[f"new-{number}"] = (True, world.at)
        world.join("t", f"new-{number}")
        world.run()
        assert world.crovver.reads - before <= 3
