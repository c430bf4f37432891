"""Stripe's API key, where one is set: does it open the account's checkout sessions? Told by one read."""

from worker.cli.doctor.findings import Finding, better, fix, good
from worker.payments.errors import PaymentsError, StripeRefused
from worker.payments.sessions import StripeSessions
from worker.settings import Settings

NO_SESSION = "cs_test_seats_doctor_asks_for_none"
_SUBJECT = "Stripe key"
_SECONDS = 6.0


async def examine_stripe(settings: Settings) -> list[Finding]:
    """Whether Stripe accepts the key for reading sessions. What it may expire is not tried, as that would change it."""
    if settings.stripe_api_key is None:
        return [
            better(
                _SUBJECT,
                "SEATS_STRIPE_API_KEY is not set: a checkout whose answer was lost is held until a webhook or its "
                "capacity tells of it, and one that is not wanted any more stays open",
                "set a restricted key (rk_…) that may read and write Checkout Sessions, if you want both done",
            )
        ]
    try:
        sessions = StripeSessions(
            settings.stripe_api_key.get_secret_value(), settings.stripe_base_url, timeout=_SECONDS
        )
    except ValueError as error:
        return [fix(_SUBJECT, str(error), "correct SEATS_STRIPE_API_KEY or SEATS_STRIPE_BASE_URL")]
    try:
        await sessions.get(NO_SESSION)
    except StripeRefused as error:
        if not error.not_found:
            seen = f"not accepted ({error.status}, {error.reason})"
            remedy = "copy SEATS_STRIPE_API_KEY again, and let it read and write Checkout Sessions"
            return [fix(_SUBJECT, seen, remedy)]
    except PaymentsError as error:
        return [fix(_SUBJECT, str(error), "see that this machine may connect to SEATS_STRIPE_BASE_URL, and try again")]
    finally:
        await sessions.aclose()
    return [good(_SUBJECT, "accepted for reading checkout sessions")]
