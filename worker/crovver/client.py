"""The Crovver API, as far as this project needs it."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import stamina
import structlog

from worker.core.checkout import Checkout
from worker.core.credits import CreditPool
from worker.core.facts import RosterUser
from worker.crovver import answers
from worker.crovver.calls import DEFAULT_RETRIES, Call, Endpoint, Limiter, Retries
from worker.crovver.credentials import Credentials
from worker.crovver.envelope import Nonsense
from worker.crovver.errors import CrovverError, Transient
from worker.crovver.judge import Judge
from worker.crovver.results import AllocationsPage, BulkAllocation
from worker.crovver.transport import DEFAULT_TIMEOUTS, Answer, Cut, Timeouts, Transport, Unsent

Status = Literal["active", "removed", "all"]
Read = TypeVar("Read")

MAX_BULK: Final = 100
_PATHS: Final = {
    Endpoint.ALLOCATIONS: "/api/public/capacity/allocations",
    Endpoint.PRORATION_CHECKOUT: "/api/public/capacity/proration-checkout",
    Endpoint.CREDITS_BALANCE: "/api/public/credits/balance",
    Endpoint.BULK_ALLOCATE: "/api/public/capacity/bulk-allocate",
}
log = structlog.get_logger(__name__)


class CrovverClient:
    """Typed calls for one Crovver organization, all in one event loop.

    Reads are tried a few times and then raise ``Transient``; writes are sent once and raise ``NotSent`` or
    ``OutcomeUnknown``; both raise ``Refused``. A cancelled write may have reached Crovver: treat it as unknown.

    Raises:
        ValueError: the base URL is none.
    """

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        limiter: Limiter,
        max_concurrency: int = 16,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        retries: Retries = DEFAULT_RETRIES,
        on_call: Callable[[Call], None] | None = None,
    ) -> None:
        self._credentials = credentials
        self._limiter = limiter
        self._slots = asyncio.Semaphore(max_concurrency)
        self._retries = retries
        self._on_call = on_call
        self._transport = Transport(
            base_url=base_url, headers=credentials.headers, timeouts=timeouts, max_connections=max_concurrency
        )

    async def allocations_page(
        self, tenant: str, *, page: int = 1, limit: int = 100, status: Status = "all"
    ) -> AllocationsPage:
        """One page of a tenant's allocations with the subscription's summary (seed 000).

        Raises:
            Refused, Transient
        """
        query = {"requestingEntityId": tenant, "status": status, "page": str(page), "limit": str(limit)}
        return await self._read(Endpoint.ALLOCATIONS, tenant, query, answers.allocations_page)

    async def credits_balance(self, tenant: str) -> Mapping[str, CreditPool]:
        """The tenant's credit pools by key; empty where it has no active subscription (seed 004).

        Raises:
            Refused, Transient
        """
        return await self._read(Endpoint.CREDITS_BALANCE, tenant, {"tenantId": tenant}, answers.credit_pools)

    async def proration_checkout(
        self,
        tenant: str,
        new_capacity: int,
        *,
        plan_id: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
        still_wanted: Callable[[], bool] | None = None,
    ) -> Checkout:
        """Start a payable checkout, or an invoice, for a larger capacity (seed 003). Sent at most once, never retried.

        ``still_wanted`` is asked right before sending, after any wait for a free slot and the fleet's rate; where it
        says no, nothing is sent.

        Raises:
            NotSent, OutcomeUnknown, Refused
        """
        body: dict[str, object] = {"externalTenantId": tenant, "newCapacity": new_capacity}
        body |= _given(planId=plan_id, successUrl=success_url, cancelUrl=cancel_url)
        return await self._write(
            Endpoint.PRORATION_CHECKOUT,
            tenant,
            self._credentials.checkout_query,
            body,
            lambda answer: answers.checkout(answer.body),
            still_wanted,
        )

    async def bulk_allocate(
        self, tenant: str, users: Sequence[RosterUser], metadata: Mapping[str, object] | None = None
    ) -> BulkAllocation:
        """Record 1 to 100 different users as seat holders. Safe to repeat: active users are skipped. One attempt.

        Raises:
            NotSent, OutcomeUnknown, Refused
            ValueError: no users, more than 100, or one twice (Crovver refuses such a batch as a whole).
        """
        if not 1 <= len(users) <= MAX_BULK or len({user.user for user in users}) != len(users):
            raise ValueError("a bulk allocation names 1 to 100 different users")
        rows = [{"externalUserId": one.user, **_given(email=one.email, name=one.name)} for one in users]
        body = {"requestingEntityId": tenant, "users": rows, **_given(metadata=metadata)}
        return await self._write(
            Endpoint.BULK_ALLOCATE,
            tenant,
            {},
            body,
            lambda answer: answers.bulk_allocation(answer.body, status=answer.status),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _read(
        self, endpoint: Endpoint, tenant: str, query: Mapping[str, str], parse: Callable[[bytes], Read]
    ) -> Read:
        judge = Judge(tenant=tenant, endpoint=endpoint, writes=False, credentials=self._credentials)
        target = _target(endpoint, query, judge)
        retries = self._retries
        async for attempt in stamina.retry_context(
            on=self._worth_another_try,
            attempts=retries.attempts,
            timeout=retries.total,
            wait_initial=retries.wait,
            wait_max=retries.wait_max,
            wait_jitter=retries.jitter,
        ):
            with attempt:
                return await self._once(
                    endpoint, judge, lambda: self._transport.get(target), lambda answer: parse(answer.body)
                )
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _write(
        self,
        endpoint: Endpoint,
        tenant: str,
        query: Mapping[str, str],
        body: Mapping[str, object],
        parse: Callable[[Answer], Read],
        still_wanted: Callable[[], bool] | None = None,
    ) -> Read:
        judge = Judge(tenant=tenant, endpoint=endpoint, writes=True, credentials=self._credentials)
        target = _target(endpoint, query, judge)
        content = json.dumps(body).encode()
        return await self._once(endpoint, judge, lambda: self._transport.post(target, content), parse, still_wanted)

    async def _once(
        self,
        endpoint: Endpoint,
        judge: Judge,
        send: Callable[[], Awaitable[Answer]],
        parse: Callable[[Answer], Read],
        still_wanted: Callable[[], bool] | None = None,
    ) -> Read:
        async with self._slots:
            await self._limiter.acquire()
            if still_wanted is not None and not still_wanted():
                raise judge.unsent("it was not wanted any more when its turn came")
            started = time.monotonic()
            outcome, status, reason = "cancelled", None, None
            try:
                result, status = await _exchange(judge, send, parse)
            except CrovverError as error:
                outcome, status, reason = error.outcome, error.status, error.message
                raise
            else:
                outcome = "ok"
                return result
            finally:
                call = Call(endpoint, outcome, status, time.monotonic() - started)
                # A write, and trouble, are worth a line in any log; a read is one of very many.
                tell = log.info if judge.writes or outcome not in ("ok", "refused") else log.debug
                tell(
                    "Crovver was called", call=uuid.uuid4().hex[:12], tenant=judge.tenant, endpoint=endpoint.value,
                    outcome=outcome, status=status, seconds=round(call.seconds, 3), reason=reason,
                )  # fmt: skip
                self._tell(call)

    def _worth_another_try(self, error: Exception) -> bool | float:
        if not isinstance(error, Transient):
            return False
        if error.retry_after is None:
            return True
        return float(error.retry_after) if error.retry_after <= self._retries.patience else False

    def _tell(self, call: Call) -> None:
        if self._on_call is None:
            return
        try:
            self._on_call(call)
        except Exception:  # a broken counter must not cost the answer to a checkout
            log.exception("on_call failed")


async def _exchange(
    judge: Judge, send: Callable[[], Awaitable[Answer]], parse: Callable[[Answer], Read]
) -> tuple[Read, int]:
    try:
        answer = await send()
    except Unsent as error:
        raise judge.unsent(str(error)) from None
    except Cut as error:
        raise judge.unclear(str(error)) from None
    trouble = judge.trouble(answer)
    if trouble is not None:
        raise trouble
    try:
        return parse(answer), answer.status
    except Nonsense as error:
        reason = error.reason
    except Exception as error:  # a parser's own mistake must not let a sent checkout pass for one never sent
        reason = f"reading the answer failed ({type(error).__name__})"
    raise judge.unclear(reason, answer.status)


def _target(endpoint: Endpoint, query: Mapping[str, str], judge: Judge) -> str:
    try:
        encoded = urlencode(query, quote_via=quote, safe="")
    except UnicodeEncodeError:
        raise judge.unsendable() from None
    return f"{_PATHS[endpoint]}?{encoded}" if encoded else _PATHS[endpoint]


def _given(**members: object) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}
