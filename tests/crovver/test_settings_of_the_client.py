"""Credentials and base URLs that can't work are refused at once, in words, without showing them."""

import pytest

from worker.crovver.credentials import SecretKey, ServiceKey
from worker.crovver.transport import DEFAULT_TIMEOUTS, Transport


@pytest.mark.parametrize("key", ["", "sk_live_é", "sk_live_a\n", "sk live", "sk_live_a\x00", "x" * 513])
def test_a_key_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="plain ASCII") as caught:
        SecretKey(key)
    assert not key or key not in str(caught.value)
    with pytest.raises(ValueError, match="service key"):
        ServiceKey(key, "org")
    with pytest.raises(ValueError, match="organization id"):
        ServiceKey("svc", key)


def test_no_repr_shows_a_key() -> None:
    assert "hidden" not in repr(SecretKey("sk_live_hidden"))
    assert "hidden" not in repr(ServiceKey("svc_hidden", "org"))


@pytest.mark.parametrize(("key", "live"), [("sk_live_1", True), ("sk_test_1", False), ("other", None)])
def test_a_key_tells_its_mode(key: str, live: bool | None) -> None:
    assert SecretKey(key).livemode is live


def transport(base_url: str) -> Transport:
    return Transport(base_url=base_url, headers={}, timeouts=DEFAULT_TIMEOUTS, max_connections=1)


@pytest.mark.parametrize(
    "base_url",
    ["", "app.crovver.com", "ftp://x", "https://", "https://u:p@x", "https://x?q", "https://x#f", "https://x:99999",
     "https://[", "https://ä.example", "https://x/ y", "https://x\n"],
)  # fmt: skip
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base URL must look like"):
        transport(base_url)


@pytest.mark.parametrize("base_url", ["https://app.crovver.com", "http://127.0.0.1:8080/crovver/"])
def test_a_base_url_may_have_a_port_and_a_path(base_url: str) -> None:
    transport(base_url)
