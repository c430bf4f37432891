"""What can go wrong in a call to Crovver, split by what the caller may do next.

``NotSent`` may be repeated, ``OutcomeUnknown`` must not, ``Refused`` is final, ``Transient`` (reads) passes by itself.
Messages never hold credentials, links or bodies: only Crovver's own short error text, redacted and capped.
"""

from typing import ClassVar

from worker.crovver.words import one_line, plain

_TENANT_SHOWN = 100


class CrovverError(Exception):
    """A call to Crovver did not bring the wanted answer.

    ``message`` is what happened, in Crovver's words where it gave some; ``status`` and ``code`` are None where no
    answer arrived or it named no code; ``retry_after`` is in seconds, None where Crovver did not say.
    """

    outcome: ClassVar[str] = "error"

    def __init__(
        self,
        *,
        tenant: str,
        endpoint: str,
        message: str,
        status: int | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        self.tenant = tenant
        self.endpoint = endpoint
        self.status = status
        self.code = plain(code, 100) if code else None
        self.message = plain(message).rstrip(".") or "no reason given"
        self.retry_after = retry_after
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        return f"{self._call}: {self._what}"

    @property
    def _call(self) -> str:
        return f"{self.endpoint} for tenant {one_line(self.tenant, _TENANT_SHOWN)}"

    @property
    def _what(self) -> str:
        return self.message if self.status is None else f"{self.status}, {self.message}"

    @property
    def _when(self) -> str:
        return "" if self.retry_after is None else f" in {self.retry_after} s"


class NotSent(CrovverError):
    """The call surely had no effect: it never reached Crovver, or the rate limit turned it away."""

    outcome = "not_sent"

    def _sentence(self) -> str:
        return (
            f"Crovver did not take {self._call} ({self._what}); nothing was changed, it can be tried again{self._when}"
        )


class OutcomeUnknown(CrovverError):
    """The call may have had its effect. Repeating it may do it twice."""

    outcome = "unknown"

    def _sentence(self) -> str:
        return (
            f"nobody can tell whether Crovver acted on {self._call} ({self._what}); "
            "look for its effect before it is tried again"
        )


class Refused(CrovverError):
    """Crovver understood and said no (4xx). Asking the same again brings the same answer."""

    outcome = "refused"

    @property
    def no_subscription(self) -> bool:
        """The tenant has no active subscription (or is not known to Crovver at all)."""
        if self.status != 404:
            return False
        return self.message.casefold().startswith("no active subscription") or (
            self.code is not None and self.code.casefold() == "tenant_not_found"
        )

    @property
    def credentials(self) -> bool:
        """Crovver did not accept the key (401) or what it may do (403)."""
        return self.status in (401, 403)

    def _sentence(self) -> str:
        todo = ""
        if self.credentials:
            todo = "; check the Crovver API key, or the service key and its organization"
        elif self.no_subscription:
            todo = "; the tenant needs a subscription in Crovver first"
        return f"Crovver refused {self._call} ({self._what}){todo}"


class Transient(CrovverError):
    """A read brought no answer, or none that makes sense, for now."""

    outcome = "transient"

    def _sentence(self) -> str:
        return f"Crovver could not be asked about {self._call} ({self._what}); it is worth another try{self._when}"
