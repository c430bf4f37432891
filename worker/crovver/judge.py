"""What an HTTP answer means for the call that brought it."""

from typing import Final

from worker.crovver.credentials import Credentials
from worker.crovver.envelope import refusal_of
from worker.crovver.errors import CrovverError, NotSent, OutcomeUnknown, Refused, Transient
from worker.crovver.transport import Answer

_WORDS: Final = {
    301: "a redirect; set the Crovver base URL to the address it leads to",
    302: "a redirect; set the Crovver base URL to the address it leads to",
    307: "a redirect; set the Crovver base URL to the address it leads to",
    308: "a redirect; set the Crovver base URL to the address it leads to",
    408: "the request timed out at the server",
    429: "too many calls",
}


class Judge:
    """Turns answers and failures of one call into the errors the caller may see.

    ``writes`` tells a call that changes something, whose outcome matters, from a read that can simply be repeated.
    """

    def __init__(self, *, tenant: str, endpoint: str, writes: bool, credentials: Credentials) -> None:
        self.tenant = tenant
        self._endpoint = endpoint
        self.writes = writes
        self._credentials = credentials

    def trouble(self, answer: Answer) -> CrovverError | None:
        """The error an answer stands for, None where its body is there to be read."""
        status = answer.status
        if 200 <= status < 300:
            return None if answer.flaw is None else self.unclear(answer.flaw, status)
        words, code = refusal_of(answer.body)
        said = words or _WORDS.get(status) or answer.flaw or "no reason given"
        if status == 429:
            return self._error(NotSent if self.writes else Transient, said, status, code, answer.retry_after)
        if 400 <= status < 500 and status != 408:
            return self._error(Refused, said, status, code, answer.retry_after)
        return self.unclear(said, status, code, answer.retry_after)

    def unsent(self, reason: str) -> CrovverError:
        """The request never left."""
        return self._error(NotSent if self.writes else Transient, reason)

    def unclear(
        self, reason: str, status: int | None = None, code: str | None = None, retry_after: int | None = None
    ) -> CrovverError:
        """Something may have happened, or an answer makes no sense."""
        return self._error(OutcomeUnknown if self.writes else Transient, reason, status, code, retry_after)

    def unsendable(self) -> CrovverError:
        """The tenant's id is no valid text: there are no bytes to send for it."""
        return self._error(Refused, "the id is not valid Unicode text, so nothing was sent")

    def _error(
        self,
        kind: type[CrovverError],
        message: str,
        status: int | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> CrovverError:
        return kind(
            tenant=self.tenant,
            endpoint=self._endpoint,
            message=self._credentials.hide(message),
            status=status,
            code=self._credentials.hide(code) if code else None,
            retry_after=retry_after,
        )
