"""What a proration-checkout call answers (seed 003)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Checkout:
    """A started checkout or invoice.

    ``url`` is a bearer secret: whoever holds it can pay, so it is kept out of every repr, log and journal.
    ``amount`` is Crovver's ``prorationAmount`` as given: its unit and currency are not documented, nothing is computed
    from it. ``url`` is None for providers that invoice.
    """

    proration_id: str | None
    url: str | None = field(repr=False)
    requires_payment: bool
    amount: int | float | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None

    @property
    def session(self) -> str | None:
        """The Stripe Checkout Session id that stands in the URL, None where there is none."""
        return session_of(self.url) if self.url else None


def session_of(url: str) -> str | None:
    """The path segment of a checkout URL that names its session (``cs_…``)."""
    return next((part for part in urlsplit(url).path.split("/") if part.startswith("cs_")), None)
