"""Secrets, links and addresses in the disguises they come in; and what must stay readable."""

import time

import pytest

from tests.unit.test_logs import logging_of_its_own, only_entry
from worker.logs import redacted, setup

HIDDEN = ("hunter2", "51Habc", "ann", "example.com", "example.org", "a1B2", "fidk", "mfkq9", "müller", "M\\xc3")


@pytest.mark.parametrize(
    "text",
    [
        # addresses
        "to=ann%40example.com&x=1",
        "ann%2540example.com",
        "ann\\u0040example.com",
        "ann&#64;example.com",
        "ann\uff20example.com",
        '"ann lee"@example.com',
        "ann@[192.168.0.1]",
        "<ann+tag@mail.example.co.uk>",
        "müller@bücher.example",
        "ann@почта.рф",
        "https://app.test/invite?to=ann%40example.com",
        # keys
        '{"key":"sk_live_51Habc"}',
        '"{\\"key\\":\\"sk_live_51Habc\\"}"',
        "SK_LIVE_51HABC",
        "old_sk_live_51Habc",
        "secret=whsec_MfKQ9r",
        # headers, as text, as Python shows them, as JSON
        "Bearer\thunter2",
        "Bearer%20hunter2",
        "b'Authorization: Bearer hunter2'",
        "{'authorization': b'hunter2'}",
        "[(b'x-service-key', b'hunter2'), (b'accept', b'*/*')]",
        "('x-service-key', 'hunter2')",
        "x-api-key: hunter2",
        "Set-Cookie: session=hunter2; Path=/",
        '{\\"operator_token\\":\\"hunter2\\"}',
        '{"password": "not one word but hunter2"}',
        "Configured(api_key='hunter2', port=1)",
        "api_key: 'hunter2'",
        "password: hunter2",
        "seats web --operator-token hunter2",
        # links that can be paid
        "checkout.stripe.com/c/pay/cs_test_a1B2#fidk",
        "https:\\/\\/checkout.stripe.com\\/c\\/pay\\/cs_test_a1B2#fidk",
        "https%3A%2F%2Fcheckout.stripe.com%2Fc%2Fpay%2Fcs_test_a1B2%23fidk",
        "https://invoice.stripe.com/i/acct_1/live_hunter2",
        "https://buy.stripe.com/hunter2",
        "session cs_live_b1a1B2c3 and CS_TEST_a1B2",
        # servers
        "rediss://user:hunter2@cache.test:6380/0",
        "rediss://:p@ss@hunter2@cache.test:6380",
        "redis://:hun/hunter2@cache.test:6380",
        "redis%3A%2F%2F%3Ahunter2%40cache.test",
        "redis+sentinel://u:hunter2@h1:1,h2:2/svc?sentinel_password=hunter2",
        # alert channels
        "slack://hunter2/a1B2/x",
        "mailto://ann:hunter2@example.com",
        "https://hooks.slack.com/services/T1/B1/hunter2",
        "https://discord.com/api/webhooks/1/hunter2",
    ],
)
def test_a_secret_is_masked_in_whatever_disguise(text: str) -> None:
    for wrapped in (text, f"refused: {text}, sorry", f"['{text}']"):
        shown = redacted(wrapped)
        assert [word for word in HIDDEN if word.lower() in shown.lower()] == [], shown


@pytest.mark.parametrize(
    "text",
    [
        "the token is missing: set it to 16 characters or more",
        "seats why acme --entries 20",
        "task_test_1 of risk_live_data",
        "redis://127.0.0.1:6379/0 can't be reached",
        "unix:///run/valkey/valkey.sock",
        "POST https://seats.test/webhooks/stripe answered 200",
        "https://app.crovver.com/api/public/credits/balance?tenantId=workspace_123",
        "12 of 15 seats, 80 % @ 10:00",
        'File "worker/store/scripts.py", line 12, in run',
    ],
)
def test_what_only_looks_a_little_like_one_stays_readable(text: str) -> None:
    assert redacted(text) == text


def test_headers_and_bytes_are_masked_by_name_and_by_value() -> None:
    import structlog

    with logging_of_its_own() as out:
        setup("json", "info", "web", out)
        structlog.get_logger().info(
            "told",
            headers=[("Authorization", "hunter2"), (b"x-service-key", b"hunter2"), ("accept", "*/*")],
            raw="zoë.müller@bücher.example".encode(),
            auth="hunter2",
            alert_urls=("slack://hunter2",),
            author="kept",
        )
        entry = only_entry(out)
    assert entry["headers"] == [["Authorization", "***"], ["x-service-key", "***"], ["accept", "*/*"]]
    assert (entry["raw"], entry["auth"], entry["alert_urls"], entry["author"]) == ("***@***", "***", "***", "kept")


@pytest.mark.parametrize(
    "text",
    [
        "--key-",
        "x-key-",
        "\\",
        "a:\\",
        "@",
        "a@",
        "%25",
        "%2540",
        'token="',
        "token\\",
        "http://",
        "Bearer ",
        '" ',
        "&#0",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    redacted(text * (22_000 // len(text)), 20_000)
    assert time.process_time() - began < 1.0
