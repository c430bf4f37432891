"""The reconcile actor: whatever happens in it, it raises nothing, and one wake-up is one outcome."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.test_meters import Sink
from worker.actors.broker import make_broker
from worker.actors.observing import Observing
from worker.actors.reconcile import declare_reconcile
from worker.crovver.calls import Call, Endpoint
from worker.engine.ports import Pace
from worker.engine.reconcile import Done
from worker.metrics import Meters
from worker.store.errors import StoreUnavailable
from worker.telemetry import NoSpans


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        (Done(SimpleNamespace(), 1), "settled"),  # type: ignore[arg-type]
        (Done(None, 0), "contended"),
        (StoreUnavailable("away"), "put_off"),
        (RuntimeError("a bug"), "failed"),
    ],
)
def test_every_end_of_a_wake_up_is_counted(ends: Any, outcome: str) -> None:
    async def reconcile(wake: object) -> Done:
        if isinstance(ends, Exception):
            raise ends
        assert isinstance(ends, Done)
        return ends

    reconciler: Any = SimpleNamespace(reconcile=reconcile, ports=SimpleNamespace(pace=Pace(), store=None))
    meters = Meters()
    actor: Any = declare_reconcile(make_broker("redis://127.0.0.1:1", "outcomes"), reconciler, meters, NoSpans())

    async def main() -> dict[str, int]:
        await actor.fn.__wrapped__("t", "1")
        sink = Sink()
        await meters.flush(sink)
        return await sink.counts()

    assert asyncio.run(main()) == {f'["seats_reconciles_total","{outcome}"]': 1}


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [("ok", 200, "ok"), ("refused", 404, "refused"), ("refused", 401, "unauthorized"), ("refused", 403, "unauthorized"),
     ("unknown", None, "unknown"), ("cancelled", None, "cancelled")],
)  # fmt: skip
def test_a_key_that_is_not_accepted_is_told_from_a_refusal(outcome: str, status: int | None, told: str) -> None:
    async def main() -> dict[str, int]:
        meters, sink = Meters(), Sink()
        Observing(meters, NoSpans()).called(Call(Endpoint.ALLOCATIONS, outcome, status, 0.04))
        await meters.flush(sink)
        return await sink.counts()

    assert asyncio.run(main()) == {
        f'["seats_crovver_calls_total","allocations","{told}"]': 1,
        '["seats_crovver_call_seconds","allocations","0.05"]': 1,
        '["seats_crovver_call_seconds","allocations","sum"]': 40_000,
    }
