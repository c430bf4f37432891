"""The way of a public call: counted when it arrives, broken if a fault is due, answered."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .answers import Refused
from .breakage import answer_of
from .calls import Call
from .connection import drop, gone
from .faults import Endpoint, Fault, FaultKind
from .public_call import PublicCall, read_call
from .state import SandboxState

Handler = Callable[[SandboxState, PublicCall], Response]
"""Answers a call at once, or raises ``Refused``. It never waits, so each call is one step of the state."""


class PublicEndpoint:
    """An ASGI app around a handler: calls are counted when they arrive, and faults happen to them."""

    def __init__(self, state: SandboxState, endpoint: Endpoint, handler: Handler) -> None:
        self._state = state
        self._endpoint = endpoint
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = await read_call(request, self._state.config.public_base_url)
        if call is None:
            await Refused(413, "Request body too large").answer()(scope, receive, send)
            return
        entry = self._state.calls.record(self._endpoint, call.method, call.tenant, call.summary)
        fault = self._state.faults.take(self._endpoint, call.tenant)
        if fault is None:
            answer = self._carry_out(call)
            entry.outcome = str(answer.status_code)
            await answer(scope, receive, send)
        else:
            await self._broken(fault, call, entry, scope, receive, send)

    def _carry_out(self, call: PublicCall) -> Response:
        try:
            return self._handler(self._state, call)
        except Refused as refused:
            return refused.answer()

    async def _broken(
        self, fault: Fault, call: PublicCall, entry: Call, scope: Scope, receive: Receive, send: Send
    ) -> None:
        committed = self._carry_out(call) if fault.after_commit else None
        entry.outcome = fault.kind.value
        match fault.kind:
            case FaultKind.LATENCY:
                await asyncio.sleep(fault.seconds)
                answer = committed or self._carry_out(call)
                entry.outcome = f"{answer.status_code} after {fault.seconds:g} s"
                await answer(scope, receive, send)
            case FaultKind.HANG:
                with suppress(TimeoutError):
                    async with asyncio.timeout(fault.seconds):
                        await gone(receive)
                await drop(scope, receive)
            case FaultKind.LOST:
                await drop(scope, receive)
            case FaultKind.CUT:
                await send_half(committed or answer_of(fault), send)
                await drop(scope, receive)
            case _:
                await answer_of(fault)(scope, receive, send)


async def send_half(answer: Response, send: Send) -> None:
    """Send the headers of an answer, which promise all of its body, and half of the body."""
    body = bytes(answer.body)
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
