"""What can go wrong with payment messages and Stripe's API. No message holds a key, a secret, a link or a body."""

import re
from typing import Final

_HIDDEN: Final = re.compile(
    r"\bhttps?:\S+|\bcs_(?:live|test)_\S*|\b(?:sk|pk|rk)_(?:live|test)_\S+|\bwhsec_\S+|\bBearer\s+\S+", re.IGNORECASE
)


class PaymentsError(Exception):
    """Something about payments went wrong."""


class BadSignature(PaymentsError):
    """The message is not, or not provably, from who it claims to be from. Nothing of it may be believed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the signature was not accepted: {reason}")


class MalformedEvent(PaymentsError):
    """Rightly signed, but not an event as documented. ``reason`` names the member, never its value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the event can't be read: {reason}")


class StripeUnavailable(PaymentsError):
    """Stripe gave no usable answer for now. Whether an ``expire`` took effect shows in the next look.

    ``retry_after`` is in seconds, None where Stripe did not say.
    """

    def __init__(self, what: str, reason: str, *, status: int | None = None, retry_after: int | None = None) -> None:
        self.status = status
        self.reason = plain(reason)
        self.retry_after = retry_after
        when = "" if retry_after is None else f" in {retry_after} s"
        super().__init__(f"Stripe could not {what} ({self.reason}); it is worth another try{when}")


class StripeRefused(PaymentsError):
    """Stripe understood and said no: a wrong or too narrow key, a session it does not have."""

    def __init__(self, what: str, reason: str, *, status: int | None = None, code: str | None = None) -> None:
        self.status = status
        self.code = plain(code) if code else None
        self.reason = plain(reason)
        todo = "; check SEATS_STRIPE_API_KEY and what it may do" if self.credentials else ""
        super().__init__(f"Stripe refused to {what} ({self.reason}){todo}")

    @property
    def credentials(self) -> bool:
        """The key was not accepted (401) or may not do this (403)."""
        return self.status in (401, 403)

    @property
    def not_found(self) -> bool:
        """No such session in this account and mode."""
        return self.status == 404 or self.code == "resource_missing"


def plain(text: str, limit: int = 300) -> str:
    """One printable line without links, session ids and keys: Stripe's own words may quote them."""
    hidden = _HIDDEN.sub("[hidden]", text)[: 4 * limit]
    line = " ".join("".join(char if char.isprintable() else " " for char in hidden).split()).rstrip(".")
    return (line if len(line) <= limit else line[: limit - 1] + "…") or "no reason given"
