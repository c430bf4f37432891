"""Crovver's own webhooks."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.payments.crovver_webhook import CrovverHint, read_hint, verify
from worker.payments.errors import BadSignature, MalformedEvent

BODY = json.dumps({
    "id": "wh_1", "type": "subscription.updated", "created_at": "2026-05-01T10:00:00Z", "org_id": "org_1",
    "data": {"external_tenant_id": "workspace_123", "status": "active", "capacity_units": 15},
}).encode()  # fmt: skip


def signed(body: bytes = BODY, secret: str = "s3cret") -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_a_right_signature_is_believed_in_either_case() -> None:
    verify(BODY, signed(), "s3cret")
    verify(BODY, "sha256=" + signed()[7:].upper(), "s3cret")


@pytest.mark.parametrize(
    "header",
    [None, "", "sha256=", signed()[7:], signed().replace("sha256", "sha1"), signed(secret="other"), signed(b"other"),
     signed()[:-1], signed() + "0", signed() + "é", "sha256=" + "0" * 10_000, "sha256=\ud800"],
)  # fmt: skip
def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, header, "s3cret")


def test_nobody_gets_in_with_the_empty_secret() -> None:
    with pytest.raises(BadSignature):
        verify(BODY, signed(secret=""), "")


@given(header=st.text(max_size=100))
def test_nothing_but_bad_signature_comes_out(header: str) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, header, "s3cret")


def test_a_hint_names_its_tenant() -> None:
    assert read_hint(BODY) == CrovverHint("wh_1", "subscription.updated", "workspace_123")


@pytest.mark.parametrize("data", [None, {}, [], {"external_tenant_id": None}, {"external_tenant_id": "\ud800"}])
def test_a_hint_may_name_no_tenant(data: object) -> None:
    assert read_hint(json.dumps({"id": "wh_1", "type": "webhook.test", "data": data}).encode()).tenant is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"id":"x"}', b'{"id":1,"type":"y"}', b"\xff", b"[" * 100_000])
def test_anything_odd_is_a_malformed_event(payload: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_hint(payload)
