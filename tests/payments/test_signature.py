"""Stripe's signature: what is believed and what is not."""

import hashlib
import hmac
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.payments.errors import BadSignature
from worker.payments.signature import verify

NOW = 1_800_000_000
SECRET = "whsec_one"
PAYLOAD = b'{"id":"evt_1"}'


def v1(payload: bytes = PAYLOAD, secret: str = SECRET, at: int | str = NOW) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()


def refused(header: str | None, *, payload: bytes = PAYLOAD, secrets: tuple[str, ...] = (SECRET,)) -> str:
    with pytest.raises(BadSignature) as caught:
        verify(payload, header, secrets, now=NOW)
    return caught.value.reason


def test_the_library_that_stripe_gives_us_signs_the_same_way() -> None:
    import stripe

    header = f"t={NOW},v1={v1()}"
    stripe.WebhookSignature.verify_header(PAYLOAD.decode(), header, SECRET, tolerance=None)
    verify(PAYLOAD, header, [SECRET], now=NOW)


def test_a_right_signature_is_believed() -> None:
    verify(PAYLOAD, f"t={NOW},v1={v1()}", [SECRET], now=NOW)


def test_bytes_that_are_no_text_can_be_signed() -> None:
    payload = b"\xff\x00"
    verify(payload, f"t={NOW},v1={v1(payload)}", [SECRET], now=NOW)


def test_any_secret_in_force_will_do() -> None:
    for secret in ("whsec_old", "whsec_new"):
        verify(PAYLOAD, f"t={NOW},v1={v1(secret=secret)}", ["whsec_old", "whsec_new"], now=NOW)


def test_any_v1_of_several_will_do_and_other_schemes_count_for_nothing() -> None:
    verify(PAYLOAD, f"t={NOW},v0=abc,v1={'0' * 64},v1={v1()},v2=x", [SECRET], now=NOW)
    assert "v1" in refused(f"t={NOW},v0={v1()}")


@pytest.mark.parametrize("skew", [-300, -1, 0, 1, 300])
def test_within_five_minutes_either_way_is_now(skew: int) -> None:
    verify(PAYLOAD, f"t={NOW + skew},v1={v1(at=NOW + skew)}", [SECRET], now=NOW)


@pytest.mark.parametrize("skew", [-301, 301, -NOW, 86_400])
def test_too_old_and_too_far_ahead_are_refused(skew: int) -> None:
    assert "timestamp" in refused(f"t={NOW + skew},v1={v1(at=NOW + skew)}")


def test_a_clock_that_is_no_number_believes_nothing() -> None:
    with pytest.raises(BadSignature):
        verify(PAYLOAD, f"t={NOW},v1={v1()}", [SECRET], now=float("nan"))


@pytest.mark.parametrize("header", [
    None, "", "nonsense", ",,,", "t=,v1=", f"v1={v1()}", f"t={NOW}", f"t={NOW},v1=", f"t=abc,v1={v1()}",
    f"t=-{NOW},v1={v1()}", f"t={NOW}.0,v1={v1()}", f"t={'9' * 400},v1={v1()}", f"t={'9' * 5000},v1={v1()}",
    f"t={NOW},t={NOW},v1={v1()}", f"t={NOW},v1={v1()}é", f"t={NOW},v1=\ud800", f"t=١٢٣,v1={v1()}",
    f"t={NOW},v1={v1().upper()}", f"t={NOW},v1={v1()[:-1]}", f"t={NOW},v1={v1()}0", "t=1," + "v1=0," * 2000,
    f"t={NOW}," + ",".join(["v1=" + "0" * 64] * 17), f"t={NOW + 1},v1={v1()}",
])  # fmt: skip
def test_a_malformed_or_wrong_header_is_refused(header: str | None) -> None:
    refused(header)


def test_a_changed_body_is_refused() -> None:
    refused(f"t={NOW},v1={v1()}", payload=PAYLOAD + b" ")


def test_nobody_gets_in_with_the_empty_secret_or_none() -> None:
    assert "matches" in refused(f"t={NOW},v1={v1(secret='')}", secrets=("",))
    assert "matches" in refused(f"t={NOW},v1={v1()}", secrets=())


def test_no_error_shows_a_secret_or_the_right_signature() -> None:
    reason = refused(f"t={NOW},v1={'0' * 64}")
    assert SECRET not in reason
    assert v1() not in reason


@given(header=st.text(max_size=200) | st.builds(lambda t, s: f"t={t},v1={s}", st.text(max_size=20), st.text()))
def test_nothing_but_bad_signature_comes_out(header: str) -> None:
    refused(header)


def test_checking_and_reading_do_not_import_stripe() -> None:
    code = (
        "import sys, worker.payments.signature, worker.payments.events, worker.payments.sessions, "
        "worker.payments.crovver_webhook; sys.exit('stripe' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
