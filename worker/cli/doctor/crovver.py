"""Crovver: is it reachable, and does it accept the key? Told by reads alone."""

from urllib.parse import urlsplit

from worker.cli.doctor.findings import Finding, better, fix, good
from worker.cli.doctor.reach import unreachable
from worker.crovver.calls import Retries
from worker.crovver.client import CrovverClient
from worker.crovver.credentials import SecretKey, ServiceKey
from worker.crovver.errors import CrovverError, Refused
from worker.crovver.transport import Timeouts
from worker.settings import ConfigError, CrovverKey, Settings

NOBODY = "seats-doctor-asks-for-nobody"
"""A tenant that nobody has: a key that is accepted is answered 404, one that is not 401 or 403."""

_QUICK = Timeouts(connect=3, pool=3, read=5, read_total=6)
_SUBJECT, _KEY, _CREDITS = "Crovver", "Crovver key", "Crovver credits"


class _NoWait:
    """Two calls are within any rate, and the fleet's may be kept on a server that is away."""

    async def acquire(self) -> None:
        return


async def examine_crovver(settings: Settings) -> list[Finding]:
    """Whether the address answers, whether the key opens it, and what the key may read."""
    parts = urlsplit(settings.crovver_base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if reason := await unreachable(host, port):
        remedy = "check SEATS_CROVVER_BASE_URL, this machine's DNS, and whether it may connect to that host"
        found = [fix(_SUBJECT, f"{host} port {port} can't be reached: {reason}", remedy)]
    else:
        found = []
    try:
        key = settings.require_crovver()
    except ConfigError as error:
        return [*(found or [good(_SUBJECT, f"{host} port {port} takes connections")]), fix(_KEY, *_of(error))]
    return found or await _asked(settings.crovver_base_url, key)


async def _asked(base_url: str, key: CrovverKey) -> list[Finding]:
    text = key.secret.get_secret_value()
    try:
        client = CrovverClient(
            base_url=base_url,
            credentials=ServiceKey(text, key.org_id) if key.org_id else SecretKey(text),
            limiter=_NoWait(),
            timeouts=_QUICK,
            retries=Retries(attempts=1),
        )
    except ValueError as error:
        return [fix(_SUBJECT, str(error), "correct SEATS_CROVVER_BASE_URL or the key")]
    try:
        try:
            await client.allocations_page(NOBODY, limit=1)
        except CrovverError as error:
            if not _is_good(error):
                return _refused(error)
        found = [
            good(_SUBJECT, "its API answers"),
            good(_KEY, "accepted for reading" + (f"; organization {key.org_id}" if key.org_id else "")),
        ]
        return [*found, await _credits(client, key)]
    finally:
        await client.aclose()


async def _credits(client: CrovverClient, key: CrovverKey) -> Finding:
    if key.org_id:
        return better(
            _CREDITS,
            "balances can't be read with a service key, so no credit pool is watched",
            "use SEATS_CROVVER_API_KEY in place of the service key if credits matter to you",
        )
    try:
        await client.credits_balance(NOBODY)
    except CrovverError as error:
        if not _is_good(error):
            remedy = "ask Crovver what this key may read; seats are looked after all the same"
            return better(_CREDITS, str(error), remedy)
    return good(_CREDITS, "balances can be read")


def _is_good(error: CrovverError) -> bool:
    """The key was accepted: Crovver looked for the tenant and found nobody, in whichever words it says so."""
    if not isinstance(error, Refused) or error.status != 404:
        return False
    said = error.message.casefold()
    return error.no_subscription or "tenant" in said or "subscription" in said


def _refused(error: CrovverError) -> list[Finding]:
    base = "check SEATS_CROVVER_BASE_URL"
    if isinstance(error, Refused) and error.credentials:
        setting = "SEATS_CROVVER_API_KEY (or SEATS_CROVVER_SERVICE_KEY and SEATS_CROVVER_ORG_ID)"
        seen = f"not accepted ({error.status}, {error.message})"
        return [good(_SUBJECT, "its API answers"), fix(_KEY, seen, f"copy {setting} again from Crovver's dashboard")]
    if error.status == 429:
        seen = "its API answers, and turns calls away (429): the key could not be tried"
        return [better(_SUBJECT, seen, "lower SEATS_CROVVER_RATE, and run this again")]
    if error.status is not None and error.status >= 500:
        return [fix(_SUBJECT, f"it has trouble of its own ({error.status}, {error.message})", "try again later")]
    if error.status is not None:
        seen = f"what answers there is not Crovver's API ({error.status}, {error.message})"
        return [fix(_SUBJECT, seen, f"{base}, and any proxy in front of it")]
    remedy = f"{base}; a private certificate authority is trusted through SSL_CERT_FILE"
    return [fix(_SUBJECT, f"it takes connections and gives no answer: {error.message}", remedy)]


def _of(error: ConfigError) -> tuple[str, str]:
    return f"{error.setting} {error.problem}", error.remedy
