"""schemathesis calls every operation of /openapi.json: what fits the description and what does not, with and without
the right to. Only documented statuses, media types and documents come back, and no 5xx.

That each reader refuses what it should, and keeps nothing then, is tested beside; here the description is what counts.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.canaries import INGEST, OPERATOR
from tests.dashboard.sample import TRICKY, seed
from tests.hostile.counting import GROWTH_MIB, Counter, cases
from tests.hostile.web_process import CROVVER_SECRET, web_process
from tests.web.site import NOW, Site, crovver_headers, stripe_headers
from worker.web.openapi import document

IN_PROCESS, OVER_HTTP = 4, 1
"""Cases of each operation, and of each way to make them."""

SHARE: Final = 60
"""Of a budget; schemathesis takes as long for one case as the other fuzzers for so many."""

SCHEMA: Final = from_dict(document())
OPERATIONS: Final = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations() if isinstance(result, Ok))
}
CHECKS: Final = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip
KNOWN: Final = {
    "tenantId": ["acme", "initech", "hooli", TRICKY],
    "upgradeId": ["upg_wait", "upg_failed", "upg_old", "upg_lost"],
    "deadLetterId": ["dead_1"],
}
MODES: Final = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
RESEED_AFTER: Final = 100

STRATEGIES: Final = {
    (name, mode): operation.as_strategy(generation_mode=mode)
    for name, operation in OPERATIONS.items()
    for mode in MODES
    # Where nothing is asked for, nothing can be asked for wrongly.
    if mode is GenerationMode.POSITIVE or operation.definition.raw.get("security")
}

AnyCase = Case[Any]
Send = Callable[[httpx.Request], httpx.Response]


def rights(operation: Any, body: bytes, right: str, now: float) -> dict[str, str]:
    """The header by which an operation knows its callers, as it should be, or as another's, wrong or missing."""
    (scheme,) = [name for one in operation.definition.raw.get("security", [{"": []}]) for name in one]
    tokens = {"ingest": INGEST, "operator": OPERATOR}
    if not scheme or right == "none":
        return {}
    if scheme in tokens:
        other = tokens["operator" if scheme == "ingest" else "ingest"]
        return {"Authorization": f"Bearer {dict(right=tokens[scheme], other=other, wrong='wrong')[right]}"}
    signed = body if right == "right" else body + b" "
    return stripe_headers(signed, at=now) if scheme == "stripe" else crovver_headers(signed, CROVVER_SECRET)


def request_of(case: AnyCase, right: str, known: str | None, now: float) -> httpx.Request:
    """A case as a request; its ids may be such as are known."""
    wanted = case.as_transport_kwargs(base_url="http://seats.test")
    kept = {name: wanted[name] for name in ("params", "json", "data", "files") if name in wanted}
    url = wanted["url"]
    if known is not None and case.path_parameters:
        path = case.path.format(**dict.fromkeys(case.path_parameters, quote(known, safe="")))
        url = f"http://seats.test{path}"
    prepared = requests.Request(case.method, url, **kept).prepare()
    body = prepared.body if isinstance(prepared.body, bytes) else str(prepared.body or "").encode("utf-8")
    kind = wanted["headers"].get("Content-Type") or prepared.headers.get("Content-Type")
    headers = rights(case.operation, body, right, now)
    if kind:
        headers["Content-Type"] = kind if isinstance(kind, str) else kind.decode("latin-1")
    return httpx.Request(case.method, prepared.url or "", headers=headers, content=body)


def judge(case: AnyCase, answer: httpx.Response) -> None:
    """Everything about an answer is as documented."""
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code < 500 or "/readyz" in str(answer.request.url), answer.text
    assert not any(trace in answer.text for trace in ("Traceback (most", 'File "/', "site-packages"))
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["type"]
        assert problem["detail"]


@pytest.fixture(scope="module")
def fleet(state_url: str) -> Iterator["Fleet"]:
    with asyncio.Runner() as runner:
        fleet = Fleet(runner, state_url)
        yield fleet
        fleet.site.close()


class Fleet:
    """A deployment with something of everything, filled anew now and then: what is accepted piles up in it."""

    def __init__(self, runner: asyncio.Runner, state_url: str) -> None:
        self._runner, self._state_url, self._sent = runner, state_url, 0
        self.site = self._filled()

    def _filled(self) -> Site:
        site = Site(self._runner, self._state_url, crovver_secret=CROVVER_SECRET)
        site.do(lambda _: seed(site.store))
        return site

    def send(self, request: httpx.Request) -> httpx.Response:
        self._sent += 1
        if self._sent % RESEED_AFTER == 0:
            self.site.close()
            self.site = self._filled()
        return self.site.request(
            request.method, str(request.url), headers=dict(request.headers), content=request.content
        )


RIGHTS = st.sampled_from(["right", "right", "right", "none", "wrong", "other"])


def run(counter: Counter, case: AnyCase, data: st.DataObject, send: Send, now: float) -> None:
    right = data.draw(RIGHTS, "rights")
    names = [name for name in case.path_parameters or {} if name in KNOWN]
    known = data.draw(st.sampled_from([None, *KNOWN[names[0]]]), "known id") if names else None
    request = request_of(case, right, known, now)
    with counter.case():
        answer = send(request)
        answer.request = request
        judge(case, answer)
        if right == "right":
            assert answer.status_code != 401
        elif case.operation.definition.raw.get("security"):
            assert answer.status_code in (400, 401, 405, 413, 415), (right, answer.status_code)


@pytest.mark.parametrize(("name", "mode"), STRATEGIES, ids=lambda value: getattr(value, "value", value))
@given(data=st.data())
@cases(IN_PROCESS, share=SHARE)
def test_in_this_process(counter: Counter, fleet: Fleet, name: str, mode: GenerationMode, data: st.DataObject) -> None:
    case = data.draw(STRATEGIES[name, mode])
    run(counter, case, data, fleet.send, NOW)


@pytest.fixture(scope="module")
def web(state_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Sends to a process of its own."""
    directory = tmp_path_factory.mktemp("web")
    with web_process(state_url, directory, {"SEATS_NAMESPACE": "called"}) as web, httpx.Client(timeout=30) as client:

        def send(request: httpx.Request) -> httpx.Response:
            url = web.url + request.url.raw_path.decode("ascii")
            return client.request(request.method, url, headers=request.headers.raw, content=request.content)

        yield send
        assert web.growth < GROWTH_MIB
        assert not [entry for entry in web.entries() if entry["level"] in ("error", "critical")]


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@cases(OVER_HTTP, share=8 * SHARE)
def test_over_http(counter: Counter, web: Send, name: str, data: st.DataObject) -> None:
    case = data.draw(
        STRATEGIES[name, data.draw(st.sampled_from([mode for mode in MODES if (name, mode) in STRATEGIES]))]
    )
    run(counter, case, data, web, time.time())
