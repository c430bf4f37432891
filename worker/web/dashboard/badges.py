"""What waits for people, told on every page."""

import asyncio

from worker.core.upgrade import State
from worker.store.interface import Census
from worker.web.dashboard.render import Badges
from worker.web.services import Services


async def count(services: Services) -> tuple[Census, Badges]:
    """How many there are of everything, and the part of it that waits for people.

    Raises:
        StoreError: the store or the broker could not be used.
    """
    census, dead = await asyncio.gather(services.store.census(), services.dead_letters.count())
    return census, Badges(census.upgrades.get(State.AWAITING_APPROVAL, 0), census.parked, sum(dead.values()))
