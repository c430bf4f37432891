"""What the engine and the Crovver client tell, as metrics and traces."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from worker.core.times import SECOND
from worker.core.upgrade import State
from worker.crovver.calls import Call
from worker.metrics import Meters
from worker.metrics.catalogue import CROVVER_CALLS, CROVVER_SECONDS, LAG, UPGRADE_MOVES
from worker.telemetry import Spans

NOT_ACCEPTED: Final = (401, 403)


class Observing:
    """An ``engine.ports.Observer``, and an ``on_call`` of ``CrovverClient``."""

    def __init__(self, meters: Meters, spans: Spans) -> None:
        self._meters = meters
        self._spans = spans

    def decided(self, lags: Sequence[int], traces: Sequence[str]) -> None:
        # Facts that came in one batch share their time: a burst of thousands costs a few steps.
        for lag, times in Counter(lags).items():
            self._meters.observe(LAG.name, lag / SECOND, times)
        self._spans.link(traces)

    def moved(self, state: State) -> None:
        self._meters.count(UPGRADE_MOVES.name, state=state.value)

    def called(self, call: Call) -> None:
        """One HTTP attempt at Crovver."""
        # Told apart, because a tenant without a subscription is refused every day, and a key that is not accepted any
        # more stops everything.
        outcome = "unauthorized" if call.status in NOT_ACCEPTED else call.outcome
        endpoint, failed = call.endpoint.value, call.outcome != "ok"
        self._meters.count(CROVVER_CALLS.name, endpoint=endpoint, outcome=outcome)
        self._meters.observe(CROVVER_SECONDS.name, call.seconds, endpoint=endpoint)
        self._spans.ended(f"crovver {endpoint}", call.seconds, failed=failed, outcome=outcome, status=call.status or 0)
