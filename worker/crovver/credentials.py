"""The two ways to prove to Crovver who is asking. Neither ever shows its key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PRINTABLE = re.compile(r"[\x21-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret key, ``sk_live_…`` or ``sk_test_…``, sent as a bearer token.

    Raises:
        ValueError: not something an HTTP header can carry.
    """

    key: str = field(repr=False)

    def __post_init__(self) -> None:
        _check("API key", self.key)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def checkout_query(self) -> Mapping[str, str]:
        return {}

    def hide(self, text: str) -> str:
        """``text`` without the key, should it quote it."""
        return text.replace(self.key, "[key]")

    @property
    def livemode(self) -> bool | None:
        """True for a live key, False for a test key, None where the key does not say."""
        return _livemode(self.key)


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A service key with the organization it acts for.

    Raises:
        ValueError: not something an HTTP header or query can carry.
    """

    key: str = field(repr=False)
    org_id: str

    def __post_init__(self) -> None:
        _check("service key", self.key)
        _check("organization id", self.org_id)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-service-key": self.key}

    @property
    def checkout_query(self) -> Mapping[str, str]:
        """Only proration-checkout is documented to take it (seed 003)."""
        return {"orgId": self.org_id}

    def hide(self, text: str) -> str:
        """``text`` without the key, should it quote it."""
        return text.replace(self.key, "[key]")

    @property
    def livemode(self) -> bool | None:
        """True for a live key, False for a test key, None where the key does not say."""
        return _livemode(self.key)


Credentials = SecretKey | ServiceKey


def _check(what: str, value: str) -> None:
    if not _PRINTABLE.fullmatch(value):
        raise ValueError(
            f"the Crovver {what} must be 1 to 512 plain ASCII characters without spaces or line ends; "
            "copy it again from the Crovver dashboard"
        )


def _livemode(key: str) -> bool | None:
    if key.startswith("sk_live_"):
        return True
    return False if key.startswith("sk_test_") else None
