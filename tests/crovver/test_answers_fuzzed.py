"""Whatever arrives, only a typed value or ``Nonsense`` comes out, and what comes out can be written down."""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.crovver import answers
from worker.crovver.answers import allocations_page, bulk_allocation, checkout, credit_pools
from worker.crovver.envelope import Nonsense, refusal_of
from worker.crovver.retry_after import retry_after
from worker.crovver.words import plain

from .harness import fixture

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "allocations": allocations_page,
    "proration_checkout": checkout,
    "credits_balance": credit_pools,
    "bulk": lambda body: bulk_allocation(body, status=207),
}
BULK = {"success": True, "data": {"allocated": ["u"], "skipped": [{"externalUserId": "v"}], "rejected": []}}
GOOD: dict[str, Any] = {name: BULK if name == "bulk" else fixture(name) for name in PARSERS}

texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "active", "https://x", "1" * 5000, "\x00"])
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 2**53, 1e308, True])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


def outcome(name: str, body: bytes) -> Any:
    try:
        result = PARSERS[name](body)
    except Nonsense as nonsense:
        nonsense.reason.encode()
        return None
    plain_data = {key: asdict(pool) for key, pool in result.items()} if isinstance(result, dict) else asdict(result)
    if name != "credits_balance":
        json.dumps(plain_data, allow_nan=False, ensure_ascii=False).encode()
    else:
        json.dumps(list(plain_data.values()), allow_nan=False, ensure_ascii=False).encode()
    return result


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(document, dict):
        for key in document:
            found += places(document[key], (*path, key))
    elif isinstance(document, list):
        for index, item in enumerate(document):
            found += places(item, (*path, index))
    return found


@pytest.mark.parametrize("name", PARSERS)
@given(body=st.binary(max_size=200))
def test_bytes(name: str, body: bytes) -> None:
    outcome(name, body)
    refusal_of(body)


@pytest.mark.parametrize("name", PARSERS)
@given(document=values)
def test_any_json(name: str, document: object) -> None:
    outcome(name, encode(document))
    outcome(name, encode({"success": True, "data": document}))
    refusal_of(encode({"error": document}))


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=200)
@given(data=st.data())
def test_a_good_answer_with_one_thing_changed(name: str, data: st.DataObject) -> None:
    document = copy.deepcopy(GOOD[name])
    path = data.draw(st.sampled_from([place for place in places(document) if place]))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    if isinstance(parent, dict) and data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = data.draw(values)
    outcome(name, encode(document))


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"success":true,"data":' + b'{"a":' * 100_000, b'{"success":true,"data":' + b"9" * 10_000 + b"}",
     b'{"success":true,"data":NaN}', b'{"success":true,"data":{},"data":null}', b'"\\ud800"', b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_famous_troublemakers(name: str, body: bytes) -> None:
    outcome(name, body)


@pytest.mark.parametrize("name", PARSERS)
def test_a_byte_order_mark_is_no_trouble(name: str) -> None:
    assert outcome(name, b"\xef\xbb\xbf" + encode(GOOD[name])) is not None


@given(text=texts | st.text(max_size=2000))
def test_plain_text_is_one_short_printable_line(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= 300
    assert shown.isprintable()
    shown.encode()


@given(value=st.text(max_size=40), date=st.none() | st.text(max_size=40))
def test_a_wait_is_none_or_at_most_a_day(value: str, date: str | None) -> None:
    wait = retry_after(value, date=date)
    assert wait is None or 0 <= wait <= 86_400


def row(**members: object) -> bytes:
    page = copy.deepcopy(GOOD["allocations"])
    page["data"]["allocations"] = [
        {"externalUserId": "u", "status": "active", "allocatedAt": "2026-05-01T10:00:00Z", **members}
    ]
    return encode(page)


MAY_1 = 1_777_629_600_000_000


@pytest.mark.parametrize(
    ("members", "at"),
    [
        ({}, MAY_1),
        ({"status": "removed", "removedAt": "2026-05-01T10:00:01Z"}, MAY_1 + 1_000_000),
        ({"status": "removed", "removedAt": None}, MAY_1),
        ({"status": "active", "removedAt": "2026-05-01T10:00:01Z"}, MAY_1),
        ({"allocatedAt": None}, 0),
        ({"allocatedAt": "yesterday"}, 0),
        ({"allocatedAt": 1777629600}, 0),
        ({"status": "removed", "removedAt": "?", "allocatedAt": "?"}, 0),
    ],
)
def test_a_row_speaks_of_the_instant_its_status_began(members: dict[str, object], at: int) -> None:
    assert allocations_page(row(**members)).rows[0].at == at


@pytest.mark.parametrize(
    "members",
    [{"externalUserId": ""}, {"externalUserId": None}, {"externalUserId": 5}, {"externalUserId": "\ud800"},
     {"status": "pending"}, {"status": None}, {"status": []}, {"externalUserId": "x" * 1025}],
)  # fmt: skip
def test_a_row_without_user_or_known_status_makes_the_page_nonsense(members: dict[str, object]) -> None:
    with pytest.raises(Nonsense, match=r"allocations\.0"):
        allocations_page(row(**members))


@pytest.mark.parametrize("members", [{"email": 5, "name": []}, {"email": None}, {"metadata": "x", "extra": {}}])
def test_decoration_may_be_missing_or_odd(members: dict[str, object]) -> None:
    page = allocations_page(row(**members))
    assert (page.rows[0].email, page.rows[0].name) == (None, None)


def test_an_email_that_looks_like_a_key_is_kept_as_it_is() -> None:
    assert allocations_page(row(email="sk_anna@acme.com")).rows[0].email == "sk_anna@acme.com"


@pytest.mark.parametrize("value", [True, False, -1, 1.5, "10", None, 1e400, 10**400, 10**10, [], {}])
@pytest.mark.parametrize("place", [("capacity", "activeCount"), ("capacity", "capacityUnits"), ("pagination", "total")])
def test_a_count_is_a_whole_number_that_can_be(place: tuple[str, str], value: object) -> None:
    page = copy.deepcopy(GOOD["allocations"])
    page["data"][place[0]][place[1]] = value
    with pytest.raises(Nonsense, match=place[1]):
        allocations_page(encode(page))


def test_a_count_written_as_10_point_0_is_ten() -> None:
    page = copy.deepcopy(GOOD["allocations"])
    page["data"]["capacity"]["capacityUnits"] = 10.0
    assert allocations_page(encode(page)).summary.capacity_units == 10


@pytest.mark.parametrize("value", [None, "NaN", -1, 10**400])
def test_utilization_is_ignored(value: object) -> None:
    page = copy.deepcopy(GOOD["allocations"])
    page["data"]["capacity"]["utilizationPercentage"] = value
    allocations_page(encode(page))


def test_overage_of_a_soft_pool_is_no_nonsense() -> None:
    balance = copy.deepcopy(GOOD["credits_balance"])
    balance["data"]["api_calls"] |= {"baseRemaining": -20, "usagePercent": 102.5, "nextExpiry": None, "new": 1}
    pool = credit_pools(encode(balance))["api_calls"]
    assert (pool.base_remaining, pool.usage_percent, pool.next_expiry) == (-20, 102.5, None)


def test_details_are_few_short_strings_without_links() -> None:
    answer = copy.deepcopy(GOOD["proration_checkout"])
    answer["data"]["prorationDetails"] = {
        **{f"k{number}": "v" * 1000 for number in range(50)},
        "k0": "pay https://checkout.stripe.com/c/pay/cs_live_1#x",
        "k1": 12.5,
        "k2": {"nested": 1},
    }
    details = answers.checkout(encode(answer)).details
    assert len(details) == 19
    assert details["k0"] == "pay [link]"
    assert details["k1"] == "12.5"
    assert max(len(value) for value in details.values()) == 300


def test_a_numeric_proration_id_is_kept_as_text() -> None:
    answer = copy.deepcopy(GOOD["proration_checkout"])
    answer["data"]["prorationId"] = 41
    assert checkout(encode(answer)).proration_id == "41"
