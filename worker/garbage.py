"""Python's garbage collector, set up for processes that make much and leave hardly any cycles."""

import gc
from typing import Final

COLLECT_AFTER: Final = 50_000
"""Objects made and not yet freed after which the collector runs. Python's own 700 is met many times in one batch."""


def collect_less() -> None:
    """Have the collector leave alone what was loaded until now, and not run in the middle of every batch.

    It took half of the time in which batches of events were taken in, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
