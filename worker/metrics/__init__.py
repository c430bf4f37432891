"""What is counted and how long things take: one catalogue, and meters that gather it in every process."""

from worker.metrics.meters import Meters

__all__ = ["Meters"]
